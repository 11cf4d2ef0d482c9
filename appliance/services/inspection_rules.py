"""Inspection rules: kept here, and applied to a node when an inspection of it ends (appliance.flows.inspect)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import delete as sql_delete
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from appliance.domain import inspection_rules as rules
from appliance.domain.errors import Conflict, Invalid
from appliance.models.columns import new_uuid
from appliance.models.inspection_rule import InspectionRule
from appliance.services.belonging import apply, first, keep
from appliance.services.vault import Vault

MOST = 200
"""All of them run while the node's row is locked."""


def fetch(session: Session, uuid: str) -> InspectionRule:
    missing = f"Rule {uuid[:64]} could not be found."
    return first(session, select(InspectionRule).where(InspectionRule.uuid == uuid[:36]), otherwise=missing)


def create(session: Session, vault: Vault, wish: Mapping[str, Any], *, now: datetime) -> InspectionRule:
    if session.scalar(select(func.count()).select_from(InspectionRule)) == MOST:
        raise Invalid(f"there are {MOST} inspection rules already", next_step="delete some, or join them")
    if wish.get("uuid") and session.scalar(select(InspectionRule.id).where(InspectionRule.uuid == wish["uuid"])):
        raise Conflict(f"A rule with UUID {wish['uuid']} already exists.")
    row = InspectionRule(created_at=now, **{"uuid": new_uuid(), "conditions": [], **wish})
    _keep_secret(vault, row)
    session.add(row)
    keep(session, f"A rule with UUID {row.uuid} already exists.")
    return row


def change(session: Session, vault: Vault, row: InspectionRule, changes: dict[str, Any], *, now: datetime) -> None:
    """A sensitive rule stays one: what was hidden is not shown by a change."""
    if row.sensitive and changes.get("sensitive") is False:
        raise Invalid("a sensitive rule cannot be made a plain one", next_step="delete it and write it anew")
    apply(row, {**opened(vault, row), **changes})
    _keep_secret(vault, row)
    row.updated_at = now
    session.flush()


def delete(session: Session, row: InspectionRule) -> None:
    session.delete(row)
    session.flush()


def delete_all(session: Session) -> None:
    session.execute(sql_delete(InspectionRule))


def opened(vault: Vault, row: InspectionRule) -> dict[str, Any]:
    """What a rule asks and does: {conditions, actions}, as they were given."""
    if row.secret is None:
        return {"conditions": row.conditions, "actions": row.actions}
    found: dict[str, Any] = orjson.loads(vault.open(row.secret, _context(row)))
    return found


def _keep_secret(vault: Vault, row: InspectionRule) -> None:
    """Of a sensitive rule only a sealed copy is written."""
    if row.sensitive:
        plain = orjson.dumps({"conditions": row.conditions, "actions": row.actions})
        row.secret, row.conditions, row.actions = vault.seal(plain, _context(row)), [], []


def _context(row: InspectionRule) -> str:
    return f"inspection-rule:{row.uuid}"


def in_order(session: Session, vault: Vault, phase: str = "main") -> list[rules.Rule]:
    """Those of a phase, the highest priority first, of equals the oldest."""
    rows = session.scalars(
        select(InspectionRule)
        .where(InspectionRule.phase == phase)
        .order_by(InspectionRule.priority.desc(), InspectionRule.id)
        .limit(MOST)
    )
    return [rules.Rule(uuid=row.uuid, sensitive=row.sensitive, **opened(vault, row)) for row in rows]
