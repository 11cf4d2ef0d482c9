"""Volume connectors and targets of nodes. They change while the machine is off: a running system has them open."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.domain.errors import Conflict, IllegalMove, Taken
from appliance.domain.lifecycle import State
from appliance.models import event
from appliance.models.node import Node
from appliance.models.volume import VolumeConnector, VolumeTarget
from appliance.services import belonging, nodes
from appliance.services.belonging import apply, first, keep

Volume = TypeVar("Volume", VolumeConnector, VolumeTarget)
_WORD: Mapping[type[Any], str] = {VolumeConnector: "Volume connector", VolumeTarget: "Volume target"}
_OFF = "power off"
_IDLE = frozenset({State.ENROLL, State.MANAGEABLE, State.ADOPTFAIL})


def scoped(model: type[Volume], project: str | None) -> Any:
    return belonging.of_nodes(model, project)


def fetch(session: Session, model: type[Volume], uuid: str, *, project: str | None) -> Volume:
    missing = f"{_WORD[model]} {uuid[:64]} could not be found."
    found: Volume = first(session, scoped(model, project).where(model.uuid == uuid[:36]), otherwise=missing)
    return found


def create(
    session: Session, model: type[Volume], wish: Mapping[str, Any], *, node: Node, actor: str, now: datetime
) -> Volume:
    """On the locked node, whatever its power state: what is not used yet harms nobody."""
    row = model(created_at=now, **wish)
    row.node = node
    _refuse_taken(session, row)
    session.add(row)
    keep(session, _taken(row))
    _tell(session, node, f"{_WORD[model].lower()} {row.uuid} added", actor, now)
    return row


def change(
    session: Session, row: VolumeConnector | VolumeTarget, changes: dict[str, Any], *, node: Node, actor: str,
    now: datetime,
) -> None:  # fmt: skip
    """node: the one it shall belong to, locked."""
    word = _WORD[type(row)].lower()
    _refuse_running(session, row.node, f"{word} update")
    apply(row, changes)
    row.node, row.updated_at = node, now
    with session.no_autoflush:
        _refuse_taken(session, row)
    keep(session, _taken(row))
    _tell(session, node, f"{word} {row.uuid} changed", actor, now)


def delete(session: Session, row: VolumeConnector | VolumeTarget, *, actor: str, now: datetime) -> None:
    word = _WORD[type(row)].lower()
    _refuse_running(session, row.node, f"{word} deletion", idle=_IDLE)
    _tell(session, row.node, f"{word} {row.uuid} deleted", actor, now)
    session.delete(row)
    session.flush()


def _refuse_running(session: Session, node: Node, action: str, *, idle: frozenset[State] = frozenset()) -> None:
    """idle: states in which nobody's system runs, whether the machine is known to be off or not."""
    nodes.refuse_held(session, node, f"no {action} now")
    if node.power_state != _OFF and node.provision_state not in idle:
        raise IllegalMove(
            f'The requested action "{action}" can not be performed on node "{node.uuid}" while it is in state '
            f'"{node.power_state}".'
        )


def _refuse_taken(session: Session, row: VolumeConnector | VolumeTarget) -> None:
    query: Any
    if isinstance(row, VolumeConnector):
        query = select(VolumeConnector).where(
            VolumeConnector.type == row.type, VolumeConnector.connector_id == row.connector_id
        )
    else:
        query = select(VolumeTarget).where(
            VolumeTarget.node_id == row.node.id, VolumeTarget.boot_index == row.boot_index
        )
    model = type(row)
    with session.no_autoflush:
        holder = session.scalars(query.where(model.id != (row.id or 0))).first()
        same = session.scalar(select(model.id).where(model.uuid == row.uuid, model.id != (row.id or 0)))
    if holder is not None:
        raise Taken(_taken(row), why=f"it is {holder.uuid} on node {holder.node.label}")
    if same is not None:
        raise Conflict(f"A {_WORD[model].lower()} with UUID {row.uuid} already exists.")


def _taken(row: VolumeConnector | VolumeTarget) -> str:
    if isinstance(row, VolumeConnector):
        return f"A volume connector with type {row.type} and connector ID {row.connector_id} already exists."
    return f"A volume target with boot index '{row.boot_index}' for the same node already exists."


def _tell(session: Session, node: Node, message: str, actor: str, now: datetime) -> None:
    event.record(session, at=now, kind="node.volumes", actor=actor, node_id=node.id, message=message)
