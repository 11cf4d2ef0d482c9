"""Runbooks: steps that may be run on a node by name. A project sees its own and the public ones."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from appliance.domain.errors import Conflict
from appliance.models.runbook import Runbook
from appliance.services.belonging import apply, first, is_uuid, keep


def scoped(project: str | None) -> Select[Runbook]:
    query = select(Runbook)
    if project is None:
        return query
    mine = Runbook.owner == project if project else Runbook.is_public.is_(True)
    return query.where(or_(mine, Runbook.is_public.is_(True)))


def fetch(session: Session, ident: str, *, project: str | None = None) -> Runbook:
    """The runbook with this UUID or name, if the project sees it (None sees all). Raises NotFound."""
    column = Runbook.uuid if is_uuid(ident) else Runbook.name
    missing = f"Runbook {ident[:255]} could not be found."
    found: Runbook = first(session, scoped(project).where(column == ident[:255]), otherwise=missing)
    return found


def create(session: Session, wish: Mapping[str, Any], *, now: datetime) -> Runbook:
    _refuse_taken(session, wish, but_not=0)
    row = Runbook(created_at=now, **wish)
    session.add(row)
    keep(session, f"A runbook with name {row.name} already exists.")
    return row


def change(session: Session, row: Runbook, changes: dict[str, Any], *, now: datetime) -> None:
    """A public runbook is nobody's; who makes it public gives it away."""
    _refuse_taken(session, changes, but_not=row.id)
    if changes.get("is_public") is True:
        changes = {**changes, "owner": None}
    elif changes.get("owner") is not None and row.is_public and "is_public" not in changes:
        raise Conflict(f"runbook {row.name} is public; it has no owner", next_step="set public to false first")
    apply(row, changes)
    row.updated_at = now
    keep(session, f"A runbook with name {row.name} already exists.")


def delete(session: Session, row: Runbook) -> None:
    session.delete(row)
    session.flush()


def _refuse_taken(session: Session, wish: Mapping[str, Any], *, but_not: int) -> None:
    for column, said in ((Runbook.name, "name"), (Runbook.uuid, "UUID")):
        value = wish.get(column.key)
        if value and session.scalar(select(Runbook.id).where(column == value, Runbook.id != but_not)):
            raise Conflict(f"A runbook with {said} {value} already exists.")
