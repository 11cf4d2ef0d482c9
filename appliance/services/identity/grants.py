"""Giving a role to a user or a group on a project, a domain or the system, and taking it away."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, delete, select
from sqlalchemy.orm import Session

from appliance.domain.access import Role
from appliance.domain.errors import Forbidden, NotFound
from appliance.models.grant import Assignment, RoleRow
from appliance.models.identity import ApplicationCredential, Group, Project, User
from appliance.services.identity import fields, rights, roles
from appliance.services.identity.rights import SYSTEM


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Somebody on something. actor_kind: user|group; target_kind: project|domain|system (target_id `system`)."""

    actor_kind: str
    actor_id: str
    target_kind: str
    target_id: str
    is_inherited: bool = False

    @property
    def here(self) -> ColumnElement[bool]:
        return and_(
            Assignment.actor_kind == self.actor_kind,
            Assignment.actor_id == self.actor_id,
            Assignment.target_kind == self.target_kind,
            Assignment.target_id == self.target_id,
            Assignment.is_inherited.is_(self.is_inherited),
        )


def give(session: Session, place: Place, role: RoleRow) -> None:
    """Giving twice changes nothing. Raises Forbidden for a role of another domain."""
    if role.domain_id and role.domain_id != _domain_of(session, place):
        raise Forbidden(f"Project {place.target_id} must be in the same domain as the role {role.id} being assigned.")
    with rights.changing(session):
        if find(session, place, role) is None:
            session.add(
                Assignment(
                    actor_kind=place.actor_kind,
                    actor_id=place.actor_id,
                    target_kind=place.target_kind,
                    target_id=place.target_id,
                    role_id=role.id,
                    is_inherited=place.is_inherited,
                )
            )


def _domain_of(session: Session, place: Place) -> str:
    if place.target_kind == "project":
        project = session.get(Project, place.target_id)
        return project.domain_id if project else ""
    return place.target_id if place.target_kind == "domain" else ""


def take(session: Session, place: Place, role: RoleRow) -> None:
    """What was made of the right goes too: application credentials of users who hold nothing there any more.

    Raises NotFound, LastAdmin.
    """
    with rights.changing(session):
        row = find(session, place, role)
        if row is None:
            raise NotFound(
                f"Could not find role assignment with role: {role.id}, user or group: {place.actor_id}, "
                f"project, domain, or system: {place.target_id}."
            )
        session.delete(row)
        session.flush()
        if place.target_kind == "project" and place.actor_kind == "user":
            _end_credentials(session, place)


def _end_credentials(session: Session, place: Place) -> None:
    user = session.scalar(select(User).where(User.uuid == place.actor_id))
    project = session.get(Project, place.target_id)
    if user is not None and project is not None and not rights.on_project(session, user, project):
        mine = and_(ApplicationCredential.user_id == user.id, ApplicationCredential.project_id == project.id)
        session.execute(delete(ApplicationCredential).where(mine))


def find(session: Session, place: Place, role: RoleRow) -> Assignment | None:
    return session.scalar(select(Assignment).where(place.here, Assignment.role_id == role.id))


def held(session: Session, place: Place) -> list[RoleRow]:
    """The roles given there, without those that they imply."""
    given = select(Assignment.role_id).where(place.here)
    return list(session.scalars(select(RoleRow).where(RoleRow.id.in_(given)).order_by(RoleRow.name)))


def on_system(user: User) -> Place:
    return Place(actor_kind="user", actor_id=user.uuid, target_kind=SYSTEM, target_id=SYSTEM)


def give_on_system(session: Session, user: User, role: Role) -> None:
    """The user's only role there."""
    row = roles.of_ours(session, role)
    with rights.changing(session):
        session.execute(delete(Assignment).where(on_system(user).here, Assignment.role_id != row.id))
        give_inside(session, on_system(user), row)


def give_inside(session: Session, place: Place, role: RoleRow) -> None:
    if find(session, place, role) is None:
        session.add(
            Assignment(
                actor_kind=place.actor_kind,
                actor_id=place.actor_id,
                target_kind=place.target_kind,
                target_id=place.target_id,
                role_id=role.id,
                is_inherited=place.is_inherited,
            )
        )
        session.flush()


def check_actor(session: Session, place: Place) -> User | Group:
    """The user or group of the place. Raises NotFound."""
    if place.actor_kind == "group":
        return fields.fetch(session, Group, place.actor_id, "group")
    user = session.scalar(select(User).where(User.uuid == place.actor_id))
    if user is None:
        fields.missing("user", place.actor_id)
    return user
