"""Who may do what through OpenStack Identity: Keystone's default personas, none of which reaches beyond its scope.

    site(role)       the role on the whole system, or admin of the project `admin`
    domain(id, role) the role on that domain, with a token for that domain
    own              one's own user; a project's token for its own project

Unlike Keystone, the role admin on some project or domain is admin there only. Decision 112 says why. A refusal does not
tell whether the thing exists: only who may see a thing learns that there is none.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.domain.access import Actor, Role, implies
from appliance.domain.errors import Forbidden, NotFound
from appliance.models.grant import Assignment, RoleRow
from appliance.models.identity import DEFAULT_DOMAIN, Group, Membership, Project, User
from appliance.services.identity import rights
from appliance.services.identity.grants import Place

GRANTED_BY_MANAGERS = frozenset({"manager", "member", "reader"})


def site(actor: Actor, role: Role) -> bool:
    return actor.is_site_wide and role in implies(actor.role)


def domain(actor: Actor, domain_id: str | None, role: Role) -> bool:
    return domain_id is not None and actor.domain_id == domain_id and role in implies(actor.role)


def demand(is_allowed: bool, action: str) -> None:  # noqa: FBT001  (the question is asked in the call)
    if not is_allowed:
        raise Forbidden(f"You are not authorized to perform the requested action: identity:{action}.")


Row = TypeVar("Row")


def maybe(look: Callable[[], Row]) -> Row | None:
    """The thing, or None when it is not there."""
    try:
        return look()
    except NotFound:
        return None


def may_see_user(actor: Actor, user: User | None) -> bool:
    if site(actor, Role.READER):
        return True
    return user is not None and (user.uuid == actor.user_uuid or domain(actor, user.domain_id, Role.READER))


def may_see_project(actor: Actor, project: Project | None) -> bool:
    if site(actor, Role.READER):
        return True
    return project is not None and (actor.project_id == project.id or domain(actor, project.domain_id, Role.READER))


def may_change_project(actor: Actor, project: Project | None) -> bool:
    """A domain's manager changes its projects, but not the one whose administrators administer everything."""
    if site(actor, Role.ADMIN):
        return True
    is_mine = project is not None and domain(actor, project.domain_id, Role.MANAGER)
    return is_mine and project is not None and not rights.is_admin_project(project)


def may_change_user(session: Session, actor: Actor, user: User | None) -> bool:
    """A domain's manager changes its users, but none who has more to lose than the domain."""
    if site(actor, Role.ADMIN):
        return True
    if user is None or not domain(actor, user.domain_id, Role.MANAGER):
        return False
    return not _reaches_beyond(session, actor, [user.uuid, *rights.group_ids(session, user)])


def may_change_group(session: Session, actor: Actor, group: Group | None) -> bool:
    if site(actor, Role.ADMIN):
        return True
    if group is None or not domain(actor, group.domain_id, Role.MANAGER):
        return False
    return not _reaches_beyond(session, actor, [group.id])


def may_join(session: Session, actor: Actor, group: Group | None, user: User | None) -> bool:
    """To put a user into a group or take one out, one must be able to change both."""
    return may_change_group(session, actor, group) and (
        site(actor, Role.ADMIN) or (user is not None and domain(actor, user.domain_id, Role.MANAGER))
    )


def _reaches_beyond(session: Session, actor: Actor, actor_ids: list[str]) -> bool:
    """Do these users and groups hold something outside the actor's domain, or a role that the actor lacks?"""
    rows = session.execute(
        select(Assignment.target_kind, Assignment.target_id, Assignment.is_inherited, Assignment.role_id).where(
            Assignment.actor_id.in_(actor_ids)
        )
    ).all()
    inside = set(session.scalars(select(Project.id).where(Project.domain_id == actor.domain_id)))
    for kind, target, is_inherited, role_id in rows:
        is_inside = (kind == "domain" and target == actor.domain_id) or (kind == "project" and target in inside)
        if not is_inside or _is_admin_project(session, kind, target):
            return True
        if is_inherited and _reaches_admin_project(target, _names(session, {role_id})):
            return True
    return not set(_names(session, {row[3] for row in rows})) <= actor.roles


def _reaches_admin_project(target_id: str, names: Iterable[str]) -> bool:
    """Inherited from domain Default, the role admin arrives at the project `admin` too."""
    return target_id == DEFAULT_DOMAIN and Role.ADMIN.value in names


def _names(session: Session, role_ids: set[str]) -> list[str]:
    ids = rights.closure(session, role_ids)
    return list(session.scalars(select(RoleRow.name).where(RoleRow.id.in_(ids))))


def _is_admin_project(session: Session, kind: str, target_id: str) -> bool:
    project = session.get(Project, target_id) if kind == "project" else None
    return project is not None and rights.is_admin_project(project)


def may_see_grants(actor: Actor, actor_domain: str | None, target_domain: str | None) -> bool:
    if site(actor, Role.READER):
        return True
    return domain(actor, actor_domain, Role.READER) and domain(actor, target_domain, Role.READER)


def may_grant(session: Session, actor: Actor, place: Place, *, actor_domain: str | None, role: RoleRow | None) -> bool:
    """A domain's manager hands on manager, member and reader within the domain; its admin every role held there.

    Never on the project `admin`, whose administrators administer everything, nor inherited into it.
    """
    if site(actor, Role.ADMIN):
        return True
    target_domain = domain_of(session, place.target_kind, place.target_id)
    if role is None or not domain(actor, target_domain, Role.MANAGER) or actor_domain != actor.domain_id:
        return False
    names = set(_names(session, {role.id}))
    if _is_admin_project(session, place.target_kind, place.target_id):
        return False
    if place.is_inherited and _reaches_admin_project(place.target_id, names):
        return False
    if Role.ADMIN in implies(actor.role):
        return names <= actor.roles and role.domain_id in ("", actor.domain_id)
    return role.domain_id == "" and role.name in GRANTED_BY_MANAGERS and names <= actor.roles


def is_member(session: Session, actor: Actor, group: Group) -> bool:
    mine = select(Membership.group_id).where(Membership.group_id == group.id, Membership.user_id == actor.user_id)
    return session.scalar(mine) is not None


def domain_of(session: Session, kind: str, target_id: str) -> str | None:
    if kind == "project":
        project = session.get(Project, target_id)
        return project.domain_id if project else None
    return target_id if kind == "domain" else None
