"""Chassis: what holds several nodes. Only a label; nothing is powered or counted by it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.domain.errors import Conflict, Invalid
from appliance.models.chassis import Chassis
from appliance.models.node import Node
from appliance.services.belonging import apply, first, keep


def fetch(session: Session, uuid: str) -> Chassis:
    found: Chassis = first(
        session, select(Chassis).where(Chassis.uuid == uuid[:36]), otherwise=f"Chassis {uuid[:64]} could not be found."
    )
    return found


def create(session: Session, wish: Mapping[str, Any], *, now: datetime) -> Chassis:
    taken = f"A chassis with UUID {wish.get('uuid')} already exists."
    if wish.get("uuid") and session.scalar(select(Chassis.id).where(Chassis.uuid == wish["uuid"])):
        raise Conflict(taken)
    row = Chassis(created_at=now, **wish)
    session.add(row)
    keep(session, taken)
    return row


def change(session: Session, row: Chassis, changes: dict[str, Any], *, now: datetime) -> None:
    apply(row, changes)
    row.updated_at = now
    session.flush()


def delete(session: Session, row: Chassis) -> None:
    """Not while it holds nodes."""
    if session.scalar(select(Node.id).where(Node.chassis_id == row.id).limit(1)) is not None:
        raise Invalid(f"Cannot complete the requested action because chassis {row.uuid} contains nodes.")
    session.delete(row)
    session.flush()
