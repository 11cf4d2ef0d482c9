"""Allocations: a claim on one node that fits. Claim and node are joined in the transaction of the request.

No two allocations can win the same node: its row is locked before it is looked at again, and the database refuses a
second allocation of a node. The answer to who asked may still say `allocating`, as clients expect; nothing is ever
stored in that state.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Select, false, func, or_, select
from sqlalchemy.orm import Session, joinedload, lazyload, load_only

from appliance.domain.errors import Conflict, Invalid, NotFound
from appliance.domain.lifecycle import TRANSIENT, State
from appliance.models import event
from appliance.models.allocation import Allocation
from appliance.models.columns import new_uuid
from appliance.models.database import announce
from appliance.models.node import Node, lock
from appliance.services import belonging, events
from appliance.services.belonging import apply, first, is_uuid, keep

ALLOCATING, ACTIVE, ERROR = "allocating", "active", "error"
CANDIDATES_MOST = 256
_TRIED_AT_ONCE = 32
_ROUNDS = 8


class InUse(Invalid):
    """The node of the allocation is in use."""

    code: ClassVar[str] = "in-use"


def scoped(project: str | None) -> Select[Allocation]:
    """What a project sees: its own claims. None sees all."""
    brief = joinedload(Allocation.node).options(load_only(Node.uuid, Node.name), lazyload(Node.ports))
    query = select(Allocation).options(brief)
    if project is None:
        return query
    return query.where(Allocation.owner == project if project else false())


def fetch(session: Session, ident: str, *, project: str | None) -> Allocation:
    """The allocation with this UUID or name."""
    column = Allocation.uuid if is_uuid(ident) else Allocation.name
    missing = f"Allocation {ident[:255]} could not be found."
    return first(session, scoped(project).where(column == ident[:255]), otherwise=missing)


def of_node(session: Session, node: Node) -> Allocation:
    missing = f"Allocation for node {node.label} was not found"
    return first(session, scoped(None).where(Allocation.node_id == node.id), otherwise=missing)


def create(session: Session, wish: Mapping[str, Any], *, project: str | None, actor: str, now: datetime) -> Allocation:
    """Claim a node that fits; without one the allocation is in `error` and says why.

    wish: columns of Allocation, checked; candidate_nodes may be names. project: whose nodes may be named (None: all).
    """
    _refuse_taken(session, wish, but_not=0)
    row = Allocation(created_at=now, state=ALLOCATING, **wish)
    row.uuid = row.uuid or new_uuid()
    row.candidate_nodes = _uuids(session, row.candidate_nodes or [], project)
    row.traits = row.traits or []
    if not row.resource_class:
        raise Invalid("The resource_class field is mandatory when not backfilling")
    session.add(row)
    keep(session, f"An allocation with name {row.name} already exists.")
    node = _claim(session, row)
    if isinstance(node, Node):
        _join(session, row, node, actor=actor, now=now)
    else:
        row.state, row.last_error = ERROR, f"Failed to process allocation {row.uuid}: {node}."
    keep(session, f"An allocation with name {row.name} already exists.")
    return row


def backfill(session: Session, wish: Mapping[str, Any], *, node: Node, actor: str, now: datetime) -> Allocation:
    """An allocation for a node that is deployed already. node: locked. Raises Invalid or Conflict."""
    if node.instance_uuid is not None and wish.get("uuid") is None:
        wish = {**wish, "uuid": node.instance_uuid}
    row = Allocation(created_at=now, **{**wish, "resource_class": wish.get("resource_class") or node.resource_class})
    row.uuid, row.traits = row.uuid or new_uuid(), row.traits or []
    row.candidate_nodes = _uuids(session, row.candidate_nodes or [], None)
    if wrong := _unfit_to_backfill(row, node):
        raise Invalid(f"Cannot backfill an allocation for node {node.uuid}: {'; '.join(wrong)}")
    holder = session.scalars(select(Allocation).where(Allocation.node_id == node.id)).first()
    if holder is not None or node.instance_uuid not in (None, row.uuid):
        whose = holder.uuid if holder is not None else node.instance_uuid
        raise Conflict(f"Node {node.uuid} is associated with instance {whose}.")
    _refuse_taken(session, wish, but_not=0)  # last: an allocation of this very node has its instance's UUID
    session.add(row)
    _join(session, row, node, actor=actor, now=now)
    keep(session, f"An allocation with name {row.name} already exists.")
    return row


def _unfit_to_backfill(row: Allocation, node: Node) -> list[str]:
    wrong = []
    if node.provision_state != State.ACTIVE:
        wrong.append(f'Node must be in the "active" state, but the current state is "{node.provision_state}"')
    if row.resource_class != node.resource_class:
        wrong.append(
            f"Resource class {node.resource_class} does not match the requested resource class {row.resource_class}"
        )
    if not set(row.traits) <= set(node.traits):
        wrong.append(f"List of traits {node.traits} does not match the requested traits {row.traits}")
    if row.candidate_nodes and node.uuid not in row.candidate_nodes:
        wrong.append(f"Candidate nodes must be empty or contain the target node, but got {row.candidate_nodes}")
    return wrong


def change(session: Session, row: Allocation, changes: dict[str, Any], *, now: datetime) -> None:
    _refuse_taken(session, changes, but_not=row.id)
    apply(row, changes)
    row.updated_at = now
    keep(session, f"An allocation with name {row.name} already exists.")


def delete(session: Session, row: Allocation, *, actor: str, now: datetime) -> None:
    """Give the node back. Refused while it is deployed or moving, unless it is in maintenance."""
    node = lock(session, row.node_id) if row.node_id is not None else None
    if node is not None:
        _refuse_in_use(row, node)
        _part(session, row, node, actor=actor, now=now)
    session.delete(row)
    session.flush()


def _refuse_in_use(row: Allocation, node: Node) -> None:
    if node.maintenance:
        return
    state = State(node.provision_state)
    if state in TRANSIENT:
        raise InUse(
            f"Cannot remove allocation {row.uuid} for node {node.uuid}, because the node is in state {state} where "
            "updates are not allowed (and maintenance mode is off)"
        )
    if state is State.ACTIVE:
        raise InUse(
            f"Cannot remove allocation {row.uuid} for node {node.uuid}, because the node is active "
            "(and maintenance mode is off)"
        )


def release(session: Session, node: Node, *, now: datetime) -> None:
    """The instance on this locked node is gone, and with it the claim on the node and what was wished for it."""
    row = session.scalars(select(Allocation).where(Allocation.node_id == node.id)).first()
    if row is not None:
        _part(session, row, node, actor="engine", now=now)
        session.delete(row)
    if node.instance_uuid is not None or node.wishes:
        node.instance_uuid, node.instance_name, node.wishes = None, None, {}


def _claim(session: Session, row: Allocation) -> Node | str:
    """A locked node that fits, or why there is none. Of many that fit a few are tried, and others if all are taken."""
    for _ in range(_ROUNDS):
        found = session.execute(_some_fitting(row)).all()
        if not found:
            if row.candidate_nodes:
                return f"none of the requested nodes are available and match the resource class {row.resource_class}"
            return f"no available nodes match the resource class {row.resource_class}"
        wanted = set(row.traits)
        suited = [(id_, name, uuid) for id_, name, uuid, traits in found if wanted <= set(traits)]
        if not suited:
            return f"no suitable nodes have the requested traits {', '.join(sorted(wanted))}"
        if (node := _lock_one(session, row, suited)) is not None:
            return node
    return "all nodes were filtered out during reservation"


def _some_fitting(row: Allocation) -> Select[int, str | None, str, list[Any]]:
    """Those that fit but for their traits; when nothing else chooses among them, a few by chance."""
    query = _fitting(row)
    if row.traits or row.candidate_nodes:
        return query
    has_its_name = func.coalesce(Node.name == row.name, false())
    return query.order_by(has_its_name.desc(), func.random()).limit(_TRIED_AT_ONCE)


def _fitting(row: Allocation, *ids: int) -> Select[int, str | None, str, list[Any]]:
    query = select(Node.id, Node.name, Node.uuid, Node.traits).where(
        Node.resource_class == row.resource_class,
        Node.provision_state == State.AVAILABLE,
        Node.instance_uuid.is_(None),
        Node.power_state.is_not(None),
        Node.maintenance.is_(False),
    )
    if row.candidate_nodes:
        query = query.where(Node.uuid.in_(row.candidate_nodes))
    if row.owner:
        query = query.where(or_(Node.owner == row.owner, Node.lessee == row.owner))
    return query.where(Node.id.in_(ids)) if ids else query


def _lock_one(session: Session, row: Allocation, suited: Sequence[tuple[int, str | None, str]]) -> Node | None:
    """Lock one of them and look again. Rows that somebody else holds are passed over first; at last waited for.

    They are waited for in the order of ids, so that two allocations never wait for each other.
    """
    for skip_locked in (True, False):
        for id_ in _in_turn(row, suited, is_ordered=not skip_locked):
            ask = _fitting(row, id_).with_for_update(key_share=True, skip_locked=skip_locked, of=Node)
            still = session.execute(ask).first()
            if still is not None and set(row.traits) <= set(still.traits):
                return lock(session, id_)
    return None


def _in_turn(row: Allocation, suited: Iterable[tuple[int, str | None, str]], *, is_ordered: bool) -> list[int]:
    """By id; or candidates in the order given, else by chance, and a node that has the allocation's name first."""
    if is_ordered:
        return sorted(id_ for id_, _name, _uuid in suited)
    chance = secrets.SystemRandom()
    places = {uuid: place for place, uuid in enumerate(row.candidate_nodes)}
    rank = [
        ((name is None or name != row.name, places.get(uuid, 0), chance.random()), id_) for id_, name, uuid in suited
    ]
    return [id_ for _rank, id_ in sorted(rank)]


def _join(session: Session, row: Allocation, node: Node, *, actor: str, now: datetime) -> None:
    row.node, row.state = node, ACTIVE
    node.instance_uuid, node.updated_at = row.uuid, now
    node.wishes = {**(node.wishes or {}), "traits": list(row.traits)}
    _tell(session, node, f"allocated to {row.name or row.uuid}", actor, now)


def _part(session: Session, row: Allocation, node: Node, *, actor: str, now: datetime) -> None:
    if node.instance_uuid == row.uuid:
        node.instance_uuid = None
    node.wishes = {key: value for key, value in (node.wishes or {}).items() if key != "traits"}
    node.updated_at = now
    _tell(session, node, f"no longer allocated to {row.name or row.uuid}", actor, now)


def _tell(session: Session, node: Node, message: str, actor: str, now: datetime) -> None:
    event.record(session, at=now, kind="node.allocation", actor=actor, node_id=node.id, message=message)
    announce(session, events.TOPIC)


def _uuids(session: Session, idents: Sequence[str], project: str | None) -> list[str]:
    """Names to UUIDs, the order kept; what is not there is the request's fault."""
    try:
        return [belonging.node(session, ident, project=project).uuid for ident in dict.fromkeys(idents)]
    except NotFound as cause:
        raise Invalid(cause.message) from cause


def _refuse_taken(session: Session, wish: Mapping[str, Any], *, but_not: int) -> None:
    for column, said in ((Allocation.name, "name"), (Allocation.uuid, "UUID")):
        value = wish.get(column.key)
        if value and session.scalar(select(Allocation.id).where(column == value, Allocation.id != but_not)):
            raise Conflict(f"An allocation with {said} {value} already exists.")
