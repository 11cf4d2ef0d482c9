"""How much of a resource anybody may have (registered limits), and where a project or a domain may have another amount.

Kept for services that ask; nothing of the appliance's own is limited by them.
"""

from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.domain.errors import Conflict, Forbidden, Invalid
from appliance.models.catalogue import Limit, Region, Service
from appliance.models.identity import Domain, Project
from appliance.services.identity import fields
from appliance.services.identity.fields import Columns

FOR_ALL = (Limit.project_key == "") & (Limit.domain_key == "")


def fetch(session: Session, limit_id: str, *, is_registered: bool) -> Limit:
    """Raises NotFound."""
    row = session.get(Limit, limit_id) if len(limit_id) <= 64 else None
    if row is None or is_for_all(row) is not is_registered:
        fields.missing("registered limit" if is_registered else "limit", limit_id)
    return row


def is_for_all(row: Limit) -> bool:
    return not row.project_key and not row.domain_key


def create(session: Session, columns: Columns) -> Limit:
    """Raises Invalid, Conflict, and Forbidden for a project's limit of what has no registered one."""
    _check(session, columns)
    row = Limit(**columns)
    if not is_for_all_in(columns) and _registered(session, row) is None:
        raise Forbidden("Unable to create a limit that has no corresponding registered limit.")
    _refuse_double(session, row)
    session.add(row)
    session.flush()
    return row


def is_for_all_in(columns: Columns) -> bool:
    return not columns.get("project_key") and not columns.get("domain_key")


def update(session: Session, row: Limit, columns: Columns) -> None:
    _check(session, columns)
    moves = {"service_id", "region_key", "resource_name"} & {
        key for key in columns if columns[key] != getattr(row, key)
    }
    if moves and _dependants(session, row):
        raise Forbidden(f"Unable to update or delete registered limit {row.id} because there are project limits.")
    fields.apply(row, columns)
    session.flush()


def remove(session: Session, row: Limit) -> None:
    """Raises Forbidden for a registered one that others go by."""
    if is_for_all(row) and _dependants(session, row):
        raise Forbidden(f"Unable to update or delete registered limit {row.id} because there are project limits.")
    session.delete(row)


def _same(row: Limit) -> tuple[object, ...]:
    return (
        Limit.service_id == row.service_id,
        Limit.region_key == (row.region_key or ""),
        Limit.resource_name == row.resource_name,
    )


def _registered(session: Session, row: Limit) -> Limit | None:
    where = _same(row)
    return session.scalar(select(Limit).where(*where, Limit.project_key == "", Limit.domain_key == ""))  # type: ignore[arg-type]  # SQL clauses


def _dependants(session: Session, row: Limit) -> bool:
    query = select(Limit.id).where(*_same(row), (Limit.project_key != "") | (Limit.domain_key != ""))  # type: ignore[arg-type]  # SQL clauses
    return session.scalar(query.limit(1)) is not None


def _refuse_double(session: Session, row: Limit) -> None:
    mine = (Limit.project_key == (row.project_key or ""), Limit.domain_key == (row.domain_key or ""))
    if session.scalar(select(Limit.id).where(*_same(row), *mine)) is not None:  # type: ignore[arg-type]  # SQL clauses
        raise Conflict("Conflict occurred attempting to store limit - Duplicate entry.")


def _check(session: Session, columns: Columns) -> None:
    for key, kind, word in (("service_id", Service, "service"), ("region_key", Region, "region"),
                            ("project_key", Project, "project"), ("domain_key", Domain, "domain")):  # fmt: skip
        if columns.get(key) and session.get(kind, columns[key]) is None:
            raise Invalid(f"Could not find {word}: {str(columns[key])[:64]}.")
