"""Roles and what they imply."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.domain.access import Role
from appliance.domain.errors import Conflict, Forbidden
from appliance.models.grant import Implication, RoleRow
from appliance.services.identity import fields, rights
from appliance.services.identity.fields import Columns


def fetch(session: Session, role_id: str) -> RoleRow:
    """Raises NotFound."""
    return fields.fetch(session, RoleRow, role_id, "role")


def of_ours(session: Session, role: Role) -> RoleRow:
    """One of the roles that the appliance knows; `init` made it."""
    row = session.scalar(select(RoleRow).where(RoleRow.name == role.value, RoleRow.domain_id == ""))
    if row is None:
        fields.missing("role", role.value)
    return row


def create(session: Session, *, name: str, domain_id: str, columns: Columns) -> RoleRow:
    _refuse_taken(session, domain_id, name)
    role = RoleRow(name=name, domain_id=domain_id, options={}, extra={})
    fields.apply(role, columns)
    session.add(role)
    session.flush()
    return role


def update(session: Session, role: RoleRow, columns: Columns) -> None:
    fields.refuse_immutable(role, "role", columns)
    if (name := columns.get("name", role.name)) != role.name:
        _refuse_taken(session, role.domain_id, name)
    with rights.changing(session):
        fields.apply(role, columns)


def remove(session: Session, role: RoleRow) -> None:
    """Raises Forbidden, LastAdmin."""
    fields.refuse_immutable(role, "role")
    with rights.changing(session):
        session.delete(role)


def imply(session: Session, prior: RoleRow, implied: RoleRow) -> bool:
    """False when it was so before. Raises Forbidden for what nobody may come by in passing, Conflict for a circle."""
    if implied.name == Role.ADMIN.value and not implied.domain_id:
        raise Forbidden(f"{implied.id} cannot be an implied roles.")
    if implied.domain_id and implied.domain_id != prior.domain_id:
        raise Forbidden("A domain's own role cannot be implied by a role of another domain.")
    with rights.changing(session):  # the circle is looked for in turn too, or two could close one together
        if prior.id in rights.closure(session, [implied.id]):
            raise Conflict(f"role {prior.id} would imply itself")
        is_new = session.get(Implication, (prior.id, implied.id)) is None
        if is_new:
            session.add(Implication(prior_id=prior.id, implied_id=implied.id))
    return is_new


def no_longer_imply(session: Session, prior: RoleRow, implied: RoleRow) -> None:
    """Raises NotFound, LastAdmin."""
    with rights.changing(session):
        row = session.get(Implication, (prior.id, implied.id))
        if row is None:
            fields.missing("implied role", f"{prior.id} does not imply {implied.id}")
        session.delete(row)


def implications(session: Session, prior_id: str | None = None) -> dict[str, list[str]]:
    """Directly implied role ids by prior role id."""
    query = select(Implication.prior_id, Implication.implied_id).order_by(Implication.prior_id, Implication.implied_id)
    if prior_id is not None:
        query = query.where(Implication.prior_id == prior_id)
    found: dict[str, list[str]] = {}
    for prior, implied in session.execute(query):
        found.setdefault(prior, []).append(implied)
    return found


def _refuse_taken(session: Session, domain_id: str, name: str) -> None:
    taken = (RoleRow.domain_id == domain_id) & (RoleRow.name == name)
    fields.refuse_taken(session, taken, "role", name, domain_id=domain_id)
