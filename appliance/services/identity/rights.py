"""Which roles somebody holds on what: direct and inherited, their own and their groups', and all that these imply."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from appliance.domain.access import ADMIN_PROJECT, Role
from appliance.domain.errors import Conflict
from appliance.models.database import announce, take_turns
from appliance.models.grant import Assignment, Implication, RoleRow
from appliance.models.identity import DEFAULT_DOMAIN, Domain, Group, Membership, Project, User

TOPIC = "identity"
"""The bell that rings when somebody's tokens or rights have changed."""

SYSTEM = "system"
_DEEPEST = 64


class LastAdmin(Conflict):
    """Nobody would be left who administers the appliance."""

    code: ClassVar[str] = "last-admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A role that somebody holds. domain_id: empty for a role of all domains."""

    id: str
    name: str
    domain_id: str = ""


def closure(session: Session, role_ids: Iterable[str]) -> set[str]:
    """These roles and all that they imply."""
    found = set(role_ids)
    if not found:
        return found
    implied: dict[str, list[str]] = {}
    for prior, then in session.execute(select(Implication.prior_id, Implication.implied_id)):
        implied.setdefault(prior, []).append(then)
    ahead = list(found)
    while ahead:
        for then in implied.get(ahead.pop(), ()):
            if then not in found:
                found.add(then)
                ahead.append(then)
    return found


def ancestors(session: Session, project: Project) -> list[Project]:
    """The projects above this one, the nearest first."""
    found: list[Project] = []
    here = project
    while here.parent_id is not None and len(found) < _DEEPEST:
        above = session.get(Project, here.parent_id)
        if above is None:
            break
        found.append(above)
        here = above
    return found


def group_ids(session: Session, user: User) -> list[str]:
    return list(session.scalars(select(Membership.group_id).where(Membership.user_id == user.id)))


def on_system(session: Session, user: User) -> list[Held]:
    return _held(session, user, and_(Assignment.target_kind == SYSTEM, Assignment.is_inherited.is_(False)))


def on_domain(session: Session, user: User, domain_id: str) -> list[Held]:
    here = and_(Assignment.target_kind == "domain", Assignment.target_id == domain_id)
    return _held(session, user, and_(here, Assignment.is_inherited.is_(False)))


def on_project(session: Session, user: User, project: Project) -> list[Held]:
    above = [one.id for one in ancestors(session, project)]
    here = and_(Assignment.target_kind == "project", Assignment.target_id == project.id)
    direct = and_(here, Assignment.is_inherited.is_(False))
    of_domain = and_(Assignment.target_kind == "domain", Assignment.target_id == project.domain_id)
    of_parents = and_(Assignment.target_kind == "project", Assignment.target_id.in_(above))
    return _held(session, user, or_(direct, and_(Assignment.is_inherited, or_(of_domain, of_parents))))


def _held(session: Session, user: User, where: object) -> list[Held]:
    own = and_(Assignment.actor_kind == "user", Assignment.actor_id == user.uuid)
    groups = group_ids(session, user)
    by_group = and_(Assignment.actor_kind == "group", Assignment.actor_id.in_(groups))
    query = select(Assignment.role_id).where(or_(own, by_group) if groups else own, where)  # type: ignore[arg-type]  # an SQL clause
    return named(session, closure(session, session.scalars(query)))


def named(session: Session, role_ids: Iterable[str]) -> list[Held]:
    """The roles by name; a domain's own role only stands for those that it implies."""
    rows = session.scalars(select(RoleRow).where(RoleRow.id.in_(set(role_ids)), RoleRow.domain_id == ""))
    return sorted((Held(id=row.id, name=row.name) for row in rows), key=lambda held: held.name)


def highest(names: Iterable[str]) -> Role:
    """The highest of our roles among these names."""
    known = set(names)
    return next((role for role in reversed(Role) if role.value in known), Role.NONE)


def is_admin_project(project: Project) -> bool:
    return project.domain_id == DEFAULT_DOMAIN and project.name == ADMIN_PROJECT


def projects_of(session: Session, user: User) -> list[Project]:
    """The projects on which the user holds any role."""
    own = and_(Assignment.actor_kind == "user", Assignment.actor_id == user.uuid)
    groups = group_ids(session, user)
    by_group = and_(Assignment.actor_kind == "group", Assignment.actor_id.in_(groups))
    rows = session.execute(
        select(Assignment.target_kind, Assignment.target_id, Assignment.is_inherited).where(or_(own, by_group))
    ).all()
    direct = {target for kind, target, inherited in rows if kind == "project" and not inherited}
    below_domains = {target for kind, target, inherited in rows if kind == "domain" and inherited}
    below = _below(session, {target for kind, target, inherited in rows if kind == "project" and inherited})
    where = or_(Project.id.in_(direct | below), Project.domain_id.in_(below_domains))
    return list(session.scalars(select(Project).where(where).order_by(Project.name, Project.id)))


def domains_of(session: Session, user: User) -> list[Domain]:
    """The domains on which the user holds any role."""
    own = and_(Assignment.actor_kind == "user", Assignment.actor_id == user.uuid)
    by_group = and_(Assignment.actor_kind == "group", Assignment.actor_id.in_(group_ids(session, user)))
    ids = select(Assignment.target_id).where(
        or_(own, by_group), Assignment.target_kind == "domain", Assignment.is_inherited.is_(False)
    )
    return list(session.scalars(select(Domain).where(Domain.id.in_(ids)).order_by(Domain.name)))


def _below(session: Session, tops: set[str]) -> set[str]:
    found: set[str] = set()
    level = tops
    while level:
        level = set(session.scalars(select(Project.id).where(Project.parent_id.in_(level)))) - found
        found |= level
    return found


def subtree(session: Session, project: Project) -> list[Project]:
    """The projects below this one."""
    return list(session.scalars(select(Project).where(Project.id.in_(_below(session, {project.id})))))


def administrators(session: Session) -> set[str]:
    """Uuids of enabled users whose rights reach over the whole site as admin."""
    admin = session.scalar(select(RoleRow.id).where(RoleRow.name == Role.ADMIN.value, RoleRow.domain_id == ""))
    if admin is None:
        return set()
    roles = implying(session, admin)
    project = session.scalar(
        select(Project)
        .join(Domain, Domain.id == Project.domain_id)
        .where(
            Project.domain_id == DEFAULT_DOMAIN, Project.name == ADMIN_PROJECT, Project.is_enabled, Domain.is_enabled
        )
    )
    places = [Assignment.target_kind == SYSTEM]
    if project is not None:
        here = and_(Assignment.target_kind == "project", Assignment.target_id == project.id)
        places.append(and_(here, Assignment.is_inherited.is_(False)))
        of_domain = and_(Assignment.target_kind == "domain", Assignment.target_id == DEFAULT_DOMAIN)
        places.append(and_(of_domain, Assignment.is_inherited))
    rows = session.execute(
        select(Assignment.actor_kind, Assignment.actor_id).where(Assignment.role_id.in_(roles), or_(*places))
    ).all()
    users = {actor for kind, actor in rows if kind == "user"}
    groups = {actor for kind, actor in rows if kind == "group"}
    members = select(Membership.user_id).join(Group, Group.id == Membership.group_id).where(Group.id.in_(groups))
    query = select(User.uuid).join(Domain, Domain.id == User.domain_id)
    able = and_(User.is_enabled, User.password_hash.is_not(None), Domain.is_enabled)
    return set(session.scalars(query.where(able, or_(User.uuid.in_(users), User.id.in_(members)))))


def implying(session: Session, role_id: str) -> set[str]:
    """The role and all that imply it."""
    found = {role_id}
    pairs: Sequence[tuple[str, str]] = [
        (prior, then) for prior, then in session.execute(select(Implication.prior_id, Implication.implied_id))
    ]
    while more := {prior for prior, then in pairs if then in found} - found:
        found |= more
    return found


@contextmanager
def changing(session: Session) -> Iterator[None]:
    """Around each change of who may what: caches hear of it, and an administrator is left. Raises LastAdmin."""
    take_turns(session, TOPIC)
    announce(session, TOPIC)
    had = administrators(session)
    yield
    session.flush()
    if had and not administrators(session):
        raise LastAdmin(next_step="make somebody else an administrator first")
