"""Groups of users of one domain: who is in one holds what the group holds."""

from sqlalchemy import delete
from sqlalchemy.orm import Session

from appliance.models.grant import Assignment
from appliance.models.identity import Group, Membership, User
from appliance.services.identity import fields, rights
from appliance.services.identity.fields import Columns


def fetch(session: Session, group_id: str) -> Group:
    """Raises NotFound."""
    return fields.fetch(session, Group, group_id, "group")


def create(session: Session, *, domain_id: str, name: str, columns: Columns) -> Group:
    _refuse_taken(session, domain_id, name)
    group = Group(domain_id=domain_id, name=name, extra={})
    fields.apply(group, columns)
    session.add(group)
    session.flush()
    return group


def update(session: Session, group: Group, columns: Columns) -> None:
    if (name := columns.get("name", group.name)) != group.name:
        _refuse_taken(session, group.domain_id, name)
    fields.apply(group, columns)
    session.flush()


def remove(session: Session, group: Group) -> None:
    """Raises LastAdmin."""
    with rights.changing(session):
        session.execute(delete(Assignment).where(Assignment.actor_kind == "group", Assignment.actor_id == group.id))
        session.delete(group)


def has(session: Session, group: Group, user: User) -> bool:
    return session.get(Membership, (group.id, user.id)) is not None


def add(session: Session, group: Group, user: User) -> None:
    """Adding somebody twice changes nothing."""
    with rights.changing(session):
        if not has(session, group, user):
            session.add(Membership(group_id=group.id, user_id=user.id))


def take_out(session: Session, group: Group, user: User) -> None:
    """Raises NotFound, LastAdmin."""
    with rights.changing(session):
        member = session.get(Membership, (group.id, user.id))
        if member is None:
            fields.missing("user in group", user.uuid)
        session.delete(member)


def _refuse_taken(session: Session, domain_id: str, name: str) -> None:
    taken = (Group.domain_id == domain_id) & (Group.name == name)
    fields.refuse_taken(session, taken, "group", name, domain_id=domain_id)
