"""The worker's side of the flow table: leases, claims, transitions. Transactions are made by the caller.

Here is all the SQL of the engine (appliance.flows decides, this file writes). Four rules keep it right:
the node row is locked before the flow row (services do it in that order); a transaction over several flows waits for no
row, it takes those that are free (`hold_free`, `lock_free`); each write of a claimed row names `owner` and `fence`, so
a worker that lost its row writes nothing; a step that enters a wait looks for a stored signal while it holds the row,
and a signal locks the flow row before it is stored, so one of the two always sees the other.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import cast

from sqlalchemy import (
    Connection,
    Integer,
    Table,
    TextClause,
    Update,
    bindparam,
    delete,
    insert,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.orm import Session, lazyload

from appliance.models.database import JsonObject
from appliance.models.flow import DUE_NOW, Flow, FlowSignal, Pool, Worker
from appliance.models.node import Node

_FLOW = cast("Table", Flow.__table__)
_SIGNAL = cast("Table", FlowSignal.__table__)
_WORKER = cast("Table", Worker.__table__)
# Literal, not bound: only so do both databases see that the partial indexes apply.
_IS_FREE = text("flow.status = 'active' AND flow.owner IS NULL")


class Fenced(Exception):
    """The worker no longer owns the flow; whatever it just did must not be recorded."""


@dataclass(slots=True, kw_only=True)
class Claimed:
    """A flow that a worker owns, as it last read it. step: the one to run (after a wait: its branch).

    row_step: the step that people are shown; while the time-out branch looks, it stays the one that led to the wait.
    claim: the fence as it was claimed with: tells this claim from a later one of the same worker.
    timed_out: the wait for `wait_for` expired and `step` is its other branch; without this, `payload` may be empty and
    yet be the answer.
    """

    id: int
    uuid: str
    node_id: int
    kind: str
    step: str
    entered_at: datetime
    visit: int
    attempt: int
    losses: int
    fence: int
    owner: str
    pool: str | None
    slot_needed: str | None
    slot: str | None
    payload: JsonObject | None
    data: JsonObject
    abort_reason: str | None
    note: str | None
    wait_for: str | None
    wait_then: str | None
    wait_else: str | None
    waiting_since: datetime | None
    deadline: datetime | None
    row_step: str
    claim: int = 0
    timed_out: bool = False

    waited_s: float | None = None

    @property
    def has_begun(self) -> bool:
        """Whether this step ran before and asked to be run again (a poll, a retry)."""
        return self.note is not None and self.waited_s is None

    @property
    def key(self) -> str:
        """Names this run of this step; a repeated run has the same key."""
        return f"{self.uuid}:{self.step}:{self.visit}"

    def begin(self, step: str, *, now: datetime, needs: "Needs", data: JsonObject) -> None:
        """As the row after it went on to `step`."""
        self.step = self.row_step = step
        self.entered_at, self.visit, self.attempt, self.losses, self.data = now, self.visit + 1, 0, 0, data
        self.payload, self.timed_out, self.waited_s, self.note = None, False, None, None
        self.pool, self.slot_needed, self.slot = needs.pool, needs.slot, needs.slot
        _end_wait(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a step asks for before it runs. A pool is left when the step ends; a slot is kept across its wait."""

    pool: str | None = None
    slot: str | None = None


class Room:
    """How many more flows each pool and slot takes, in one transaction.

    Counted in the database when first asked; what this transaction changes before and after is told by `leave`, `take`.
    """

    def __init__(self, session: Session, names: Collection[str]) -> None:
        self._session = session
        self._names = names
        self._is_counted = not names
        self._pools: dict[str, int] = {}
        self._slots: dict[str, int] = {}

    def _count(self) -> None:
        if self._is_counted:
            return
        self._is_counted = True
        # The rows of the pools stay locked until the transaction ends (PostgreSQL): all of them, always in one order.
        sizes = {row.name: row.size for row in self._session.connection().execute(_SIZES, {"names": [*self._names]})}
        busy, held = _count(self._session, _BUSY), _count(self._session, _HELD)
        for name, size in sizes.items():
            self._pools[name] = self._pools.get(name, 0) + size - busy.get(name, 0)
            self._slots[name] = self._slots.get(name, 0) + size - held.get(name, 0)

    def leave(self, *, pool: str | None = None, slot: str | None = None) -> None:
        """A flow gives these places up."""
        if pool:
            self._pools[pool] = self._pools.get(pool, 0) + 1
        if slot:
            self._slots[slot] = self._slots.get(slot, 0) + 1

    def take(self, needs: Needs, *, held_pool: str | None = None, held_slot: str | None = None) -> bool:
        """Take what is needed beyond what is held, all or nothing."""
        pool = needs.pool if needs.pool != held_pool else None
        slot = needs.slot if needs.slot != held_slot else None
        if pool or slot:
            self._count()
        if (pool and self._pools.get(pool, 0) < 1) or (slot and self._slots.get(slot, 0) < 1):
            return False
        if pool:
            self._pools[pool] -= 1
        if slot:
            self._slots[slot] -= 1
        return True

    def full_pools(self) -> list[str]:
        self._count()
        return [name for name, places in self._pools.items() if places < 1]

    def full_slots(self) -> list[str]:
        self._count()
        return [name for name, places in self._slots.items() if places < 1]


def set_pools(session: Session, sizes: Mapping[str, int]) -> None:
    for name, size in sizes.items():
        session.merge(Pool(name=name, size=size))


# Leases ---------------------------------------------------------------------------------------------------------------


def join(session: Session, *, worker: str, host: str, now: datetime, ttl_s: float) -> None:
    """A worker begins. Its id must be new."""
    expires = now + timedelta(seconds=ttl_s)
    session.execute(insert(Worker).values(id=worker, host=host[:64], started_at=now, expires_at=expires))


def renew(session: Session, *, worker: str, now: datetime, ttl_s: float, is_alone: bool = False) -> bool:
    """Extend a lease that still runs. False: it ran out, its rows may have gone to others; join with a new id.

    is_alone: there are no others, so it runs on however late it is; the clock may have been set, or we were frozen.
    """
    after = DUE_NOW if is_alone else now
    until = {"of_id": worker, "of_now": after, "expires_at": now + timedelta(seconds=ttl_s)}
    return session.connection().execute(_RENEWED, until).first() is not None


# Built once: an idle engine asks these every few seconds, and little else.
_RENEWED = (
    update(_WORKER)
    .where(_WORKER.c.id == bindparam("of_id"), _WORKER.c.expires_at > bindparam("of_now"))
    .values(expires_at=bindparam("expires_at"))
    .returning(_WORKER.c.id)
)
_OWNED = select(_FLOW.c.id, _FLOW.c.fence, _FLOW.c.owner).where(text("flow.owner IS NOT NULL"))


def leave(session: Session, *, worker: str) -> None:
    """A worker goes in good order: its rows are free, and nothing counts as lost."""
    session.execute(
        update(_FLOW).where(_FLOW.c.owner == worker).values(owner=None, fence=_FLOW.c.fence + 1, wake_at=DUE_NOW)
    )
    session.execute(delete(Worker).where(Worker.id == worker))


def lost_rows(
    session: Session, *, worker: str, running: Iterable[int], now: datetime, is_alone: bool
) -> list[tuple[int, int]]:
    """(id, fence) of flows whose owner is gone: its lease ran out, or it is this worker and knows nothing of them.

    is_alone: no other engine shares the database, so every other owner is gone.
    """
    owned = session.connection().execute(_OWNED).all()
    if not owned:
        return []
    alive = {worker} if is_alone else set(session.scalars(select(Worker.id).where(Worker.expires_at > now)))
    mine = set(running)
    return [
        (row.id, row.fence) for row in owned if row.owner not in alive or (row.owner == worker and row.id not in mine)
    ]


def free_rows(session: Session, *, rows: Iterable[tuple[int, int]], now: datetime) -> int:
    """Take rows from their owners; their steps will be run again. A row that moved on meanwhile is left alone."""
    freed = 0
    for flow_id, fence in rows:
        taken = session.execute(
            update(_FLOW)
            .where(_FLOW.c.id == flow_id, _FLOW.c.fence == fence, _FLOW.c.owner.is_not(None))
            .values(owner=None, fence=fence + 1, losses=_FLOW.c.losses + 1, wake_at=DUE_NOW)
            .returning(_FLOW.c.id)
        ).first()
        freed += taken is not None
    session.execute(delete(Worker).where(Worker.expires_at <= now))
    return freed


# Claims ---------------------------------------------------------------------------------------------------------------

_NEXT_DUE = text("SELECT min(wake_at) FROM flow WHERE status = 'active' AND owner IS NULL")


def next_due(connection: Connection) -> int | None:
    """When the next free row is due, in microseconds since 1970; None when no row is free."""
    value = connection.execute(_NEXT_DUE).scalar()
    return None if value is None else int(value)


_SIZES = (
    select(Pool.name, Pool.size)
    .where(Pool.name.in_(bindparam("names", expanding=True)))
    .order_by(Pool.name)
    .with_for_update()
)
_BUSY = text("SELECT pool AS name, count(*) AS busy FROM flow WHERE owner IS NOT NULL GROUP BY pool")
_HELD = text("SELECT slot AS name, count(*) AS busy FROM flow WHERE slot IS NOT NULL GROUP BY slot")


def _count(session: Session, statement: TextClause) -> dict[str, int]:
    return {row.name: row.busy for row in session.connection().execute(statement)}


_READ = (
    *("id", "uuid", "node_id", "kind", "step", "entered_at", "visit", "attempt", "losses", "fence", "pool", "slot"),
    *("slot_needed", "payload", "data", "abort_reason", "note"),
    *("wait_for", "wait_then", "wait_else", "waiting_since", "deadline"),
)
_WRITTEN = (
    *("owner", "fence", "step", "entered_at", "payload", "pool", "slot", "slot_needed", "wake_at"),
    *("wait_for", "wait_then", "wait_else", "waiting_since", "deadline"),
)
_TAKE = (
    update(_FLOW).where(_FLOW.c.id == bindparam("of_id")).values({name: bindparam(f"new_{name}") for name in _WRITTEN})
)


def claim(
    session: Session, *, worker: str, now: datetime, limit: int, needs: Callable[[Claimed], Needs], places: Room
) -> list[Claimed]:
    """Take up to `limit` due rows for which there is room. Those that find none are left, marked with what they need.

    Of a wait, the signals decide the branch; a wait that is due without its signal has expired.
    """
    found = _due(session, now=now, limit=limit, places=places)
    _choose_branches(session, found, now)
    taken: list[Claimed] = []
    changed: list[Claimed] = []
    for row in found:
        wanted = Needs() if row.abort_reason is not None else needs(row)
        if places.take(wanted, held_slot=row.slot):
            row.owner = worker
            row.fence += 1
            row.claim = row.fence
            if not row.timed_out:  # a look at a wait must not give away what the wait holds
                places.leave(slot=row.slot if row.slot != wanted.slot else None)
                row.slot = wanted.slot
            taken.append(row)
        else:
            _park(row)
        row.pool, row.slot_needed = wanted.pool, wanted.slot
        changed.append(row)
    if changed:
        session.connection().execute(_TAKE, [_new_values(row) for row in changed])
    return taken


_IS_ABORTED = _FLOW.c.abort_reason.is_not(None)
_DUE = (
    select(*(_FLOW.c[name] for name in _READ))
    .where(
        _IS_FREE,
        _FLOW.c.wake_at <= bindparam("of_now"),
        or_(_FLOW.c.pool.is_(None), _FLOW.c.pool.not_in(bindparam("full_pools", expanding=True)), _IS_ABORTED),
        or_(
            _FLOW.c.slot_needed.is_(None),
            _FLOW.c.slot_needed == _FLOW.c.slot,
            _FLOW.c.slot_needed.not_in(bindparam("full_slots", expanding=True)),
            _IS_ABORTED,
        ),
    )
    .order_by(_FLOW.c.wake_at, _FLOW.c.id)
    .limit(bindparam("at_most", type_=Integer))
    .with_for_update(skip_locked=True)
)


def _due(session: Session, *, now: datetime, limit: int, places: Room) -> list[Claimed]:
    of = {"of_now": now, "at_most": limit, "full_pools": places.full_pools(), "full_slots": places.full_slots()}
    found = session.connection().execute(_DUE, of).mappings()
    return [Claimed(owner="", row_step=row["step"], **row) for row in found]


def _choose_branches(session: Session, rows: list[Claimed], now: datetime) -> None:
    waiting = {row.id: row for row in rows if row.wait_for is not None and row.abort_reason is None}
    if not waiting:
        return
    arrived = session.execute(select(_SIGNAL).where(_SIGNAL.c.flow_id.in_(waiting))).all()
    payloads = {(found.flow_id, found.name): found.payload for found in arrived}
    for row in waiting.values():
        row.entered_at = now
        row.waited_s = (now - row.waiting_since).total_seconds() if row.waiting_since else None
        at = (row.id, row.wait_for)
        if at in payloads:
            row.step = row.row_step = row.wait_then or ""
            row.payload = payloads[at]
            session.execute(delete(_SIGNAL).where(_SIGNAL.c.flow_id == row.id, _SIGNAL.c.name == row.wait_for))
            _end_wait(row)
        else:
            row.step, row.timed_out = row.wait_else or "", True


def _end_wait(row: Claimed) -> None:
    row.wait_for = row.wait_then = row.wait_else = row.waiting_since = row.deadline = None


def _park(row: Claimed) -> None:
    """No room: what the branch is stays decided, and the row waits for a place instead."""
    row.timed_out = False
    row.row_step = row.step
    _end_wait(row)


def _new_values(row: Claimed) -> dict[str, object]:
    values: dict[str, object] = {f"new_{name}": getattr(row, name, None) for name in _WRITTEN}
    values |= {"of_id": row.id, "new_owner": row.owner or None, "new_step": row.row_step, "new_wake_at": DUE_NOW}
    return values


# Transitions ----------------------------------------------------------------------------------------------------------


def hold(session: Session, row: Claimed) -> None:
    """Lock a claimed row and learn whether it was aborted. Raises Fenced when it is not ours any more."""
    found = session.connection().execute(_OURS_LOCKED, _of(row)).first()
    if found is None:
        raise Fenced
    row.abort_reason = found.abort_reason


def hold_free(session: Session, rows: Sequence[Claimed]) -> set[int]:
    """`hold` for those rows that are still ours and that nobody else has locked now. Returns their ids."""
    found = session.connection().execute(_OURS_FREE, {"of_ids": [row.id for row in rows]})
    locked = {row.id: row for row in found}
    held: set[int] = set()
    for row in rows:
        now = locked.get(row.id)
        if now is not None and (now.owner, now.fence) == (row.owner, row.fence):
            row.abort_reason = now.abort_reason
            held.add(row.id)
    return held


def lock_free(session: Session, node_ids: Collection[int]) -> dict[int, Node]:
    """As appliance.models.node.lock, for those of several nodes that nobody else has locked now."""
    if not node_ids:
        return {}
    return {node.id: node for node in session.scalars(_NODES_FREE, {"of_ids": list(node_ids)})}


def look(connection: Connection, row: Claimed) -> str | None:
    """Why the flow was aborted, None if it was not. Raises Fenced as `hold` does; locks nothing."""
    found = connection.execute(_OURS, _of(row)).first()
    if found is None:
        raise Fenced
    reason: str | None = found.abort_reason
    return reason


_OURS = select(_FLOW.c.abort_reason).where(
    _FLOW.c.id == bindparam("of_id"), _FLOW.c.owner == bindparam("of_owner"), _FLOW.c.fence == bindparam("of_fence")
)
_OURS_LOCKED = _OURS.with_for_update()
_OURS_FREE = (
    select(_FLOW.c.id, _FLOW.c.owner, _FLOW.c.fence, _FLOW.c.abort_reason)
    .where(_FLOW.c.id.in_(bindparam("of_ids", expanding=True)))
    .with_for_update(skip_locked=True)
)
_NODES_FREE = (
    select(Node)
    .where(Node.id.in_(bindparam("of_ids", expanding=True)))
    .with_for_update(key_share=True, skip_locked=True)
    .options(lazyload(Node.ports))
    .execution_options(populate_existing=True)
)


def _of(row: Claimed) -> dict[str, object]:
    return {"of_id": row.id, "of_owner": row.owner, "of_fence": row.fence}


@cache
def _move_statement(columns: tuple[str, ...]) -> Update:
    """Built once for each set of columns: building it anew costs more than running it."""
    return (
        update(_FLOW)
        .where(
            _FLOW.c.id == bindparam("of_id"),
            _FLOW.c.owner == bindparam("of_owner"),
            _FLOW.c.fence == bindparam("of_fence"),
        )
        .values({name: bindparam(name) for name in columns})
    )


def moved(row: Claimed, *, now: datetime, values: Mapping[str, object]) -> JsonObject:
    """A transition of a claimed row, for `move_all`; the row takes its next fence."""
    move = {**_of(row), **values, "fence": row.fence + 1, "updated_at": now}
    row.fence += 1
    return move


def move_all(session: Session, moves: Iterable[JsonObject]) -> None:
    """Write transitions of rows that this transaction holds, a statement for each set of columns."""
    alike: dict[tuple[str, ...], list[JsonObject]] = {}
    for move in moves:
        alike.setdefault(tuple(name for name in move if not name.startswith("of_")), []).append(move)
    for columns, rows in alike.items():
        session.connection().execute(_move_statement(columns), rows)


def signalled(session: Session, waits: Mapping[int, str]) -> set[int]:
    """Ids of those flows whose signal came before their wait did. waits: what each is about to wait for."""
    if not waits:
        return set()
    found = session.connection().execute(_SIGNALS_OF, {"of_ids": list(waits)})
    return {row.flow_id for row in found if row.name == waits[row.flow_id]}


_SIGNALS_OF = select(_SIGNAL.c.flow_id, _SIGNAL.c.name).where(
    _SIGNAL.c.flow_id.in_(bindparam("of_ids", expanding=True))
)
_SIGNALS_GONE = delete(_SIGNAL).where(_SIGNAL.c.flow_id.in_(bindparam("of_ids", expanding=True)))


def drop_signals(session: Session, flow_ids: Collection[int]) -> None:
    if flow_ids:
        session.connection().execute(_SIGNALS_GONE, {"of_ids": list(flow_ids)})


def put_back(session: Session, row: Claimed, *, wake_at: datetime, note: str, is_loss: bool) -> bool:
    """Free a row whose step broke. By owner only: whether a transition was kept, and so the fence, is unknown."""
    losses = _FLOW.c.losses + int(is_loss)
    done = session.execute(
        update(_FLOW)
        .where(_FLOW.c.id == row.id, _FLOW.c.owner == row.owner)
        .values(owner=None, fence=_FLOW.c.fence + 1, losses=losses, wake_at=wake_at, note=note)
        .returning(_FLOW.c.id)
    ).first()
    return done is not None
