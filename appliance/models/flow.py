"""Durable work in our own database: the rows of the step engine, and what services do to them.

Here: start work on a node, tell it what happened, abort it, look at it. Not here: running it (appliance.flows.engine)
and the worker's side of the queue (appliance.models.flow_queue).

A row is due when `wake_at` has come and nobody owns it; that one column covers ready, retry-later and wait-expired.
"At once" is written as DUE_NOW rather than as the caller's clock, so a caller whose clock is ahead delays nothing.
"""

from datetime import UTC, datetime, timedelta

from sqlalchemy import ForeignKey, Index, String, Text, bindparam, delete, literal_column, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, make_transient_to_detached, mapped_column

from appliance.domain.errors import NodeLocked
from appliance.models.columns import UtcTime, new_uuid
from appliance.models.database import JsonObject, Model, announce
from appliance.models.node import Node

DUE_NOW = datetime(1970, 1, 1, tzinfo=UTC)
CHANNEL = "rackwright_flow"
TOPIC = "flow"
"""The bell that engines of this process listen to: some flow has become due."""


class Flow(Model):
    """One piece of work on one node. At most one row per node is `active`: that is the lock of the node.

    status: `active`, `done`, `failed` or `aborted`. step: the step to run next, or that runs, or that led to the wait.
    wait_for: name of the awaited signal, None unless waiting; wait_then and wait_else: steps after signal and time-out.
    wake_at: when a worker should look; deadline: the limit that people are told (a wait may be looked at before it).
    owner: id of the worker that runs it. fence: grows at each claim and transition; an old one allows no write.
    attempt: typed retries of this step. losses: times that a worker died or stumbled in it (three are too many).
    visit: transitions so far; `uuid:step:visit` names one run of a step, whatever becomes of the worker.
    pool, slot_needed: what the next step asks for; slot: what it holds, across the wait that follows.
    payload: of the signal that `step` answers, kept over retries. data: the flow's own small memory, without secrets.
    """

    __tablename__ = "flow"

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str] = mapped_column(String(36), unique=True, default=new_uuid)
    node_id: Mapped[int] = mapped_column(ForeignKey("node.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(32))
    status: Mapped[str] = mapped_column(String(16), default="active")
    step: Mapped[str] = mapped_column(String(48), default="")
    entered_at: Mapped[datetime] = mapped_column(UtcTime)
    visit: Mapped[int] = mapped_column(default=0)
    attempt: Mapped[int] = mapped_column(default=0)
    losses: Mapped[int] = mapped_column(default=0)

    wake_at: Mapped[datetime] = mapped_column(UtcTime, default=DUE_NOW)
    wait_for: Mapped[str | None] = mapped_column(String(80))
    wait_then: Mapped[str | None] = mapped_column(String(48))
    wait_else: Mapped[str | None] = mapped_column(String(48))
    waiting_since: Mapped[datetime | None] = mapped_column(UtcTime)
    deadline: Mapped[datetime | None] = mapped_column(UtcTime)
    payload: Mapped[JsonObject | None]

    owner: Mapped[str | None] = mapped_column(String(36))
    fence: Mapped[int] = mapped_column(default=0)
    pool: Mapped[str | None] = mapped_column(String(32))
    slot_needed: Mapped[str | None] = mapped_column(String(32))
    slot: Mapped[str | None] = mapped_column(String(32))

    abort_reason: Mapped[str | None] = mapped_column(Text)
    note: Mapped[str | None] = mapped_column(Text)
    data: Mapped[JsonObject] = mapped_column(default=dict)
    actor: Mapped[str] = mapped_column(String(64), default="engine")
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    updated_at: Mapped[datetime] = mapped_column(UtcTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcTime)


IS_ACTIVE = Flow.__table__.c.status == literal_column("'active'")
"""Said as it stands, never with a bound value: SQLite would prepare the statement anew at each run, to see whether the
value is that of a partial index, and that takes four times as long as to look up a node (Decision 156)."""

_IS_ACTIVE = text("status = 'active'")
_IS_FREE = text("status = 'active' AND owner IS NULL")
_IS_OWNED = text("owner IS NOT NULL")
_HAS_SLOT = text("slot IS NOT NULL")
Index("uq_flow_node_id_active", Flow.node_id, unique=True, sqlite_where=_IS_ACTIVE, postgresql_where=_IS_ACTIVE)
Index("ix_flow_due", Flow.wake_at, Flow.id, sqlite_where=_IS_FREE, postgresql_where=_IS_FREE)
Index("ix_flow_owner_pool", Flow.owner, Flow.pool, sqlite_where=_IS_OWNED, postgresql_where=_IS_OWNED)
Index("ix_flow_slot", Flow.slot, sqlite_where=_HAS_SLOT, postgresql_where=_HAS_SLOT)
Index("ix_flow_node_id_id", Flow.node_id, Flow.id)


class FlowSignal(Model):
    """Something that happened to a node and that its active flow has not answered yet. The last of a name counts."""

    __tablename__ = "flow_signal"

    flow_id: Mapped[int] = mapped_column(ForeignKey("flow.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcTime)
    payload: Mapped[JsonObject] = mapped_column(default=dict)


class Worker(Model):
    """A running engine. Its rows are its own until `expires_at`; an engine that comes back late takes a new id."""

    __tablename__ = "worker"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    host: Mapped[str] = mapped_column(String(64))
    started_at: Mapped[datetime] = mapped_column(UtcTime)
    expires_at: Mapped[datetime] = mapped_column(UtcTime)


class Pool(Model):
    """How many flows may be in steps of this pool at once, over all machines; the row is locked while they are counted.

    Slots are counted alike, under their own names.
    """

    __tablename__ = "pool"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    size: Mapped[int]


class Periodic(Model):
    """A job that one machine at a time does each tick."""

    __tablename__ = "periodic"

    name: Mapped[str] = mapped_column(String(48), primary_key=True)
    next_at: Mapped[datetime] = mapped_column(UtcTime)
    owner: Mapped[str | None] = mapped_column(String(64))


def enqueue(
    session: Session, *, kind: str, node_id: int, data: JsonObject, now: datetime, actor: str = "engine"
) -> Flow:
    """Start work on a node in the caller's transaction. Raises NodeLocked when other work is active."""
    row = Flow(
        uuid=new_uuid(),
        kind=kind,
        node_id=node_id,
        data=data,
        actor=actor,
        created_at=now,
        updated_at=now,
        entered_at=now,
    )
    # One statement: the index is the lock, and a conflict is no error that would end the caller's transaction.
    made = session.connection().execute(_ENQUEUE[session.get_bind().dialect.name], _begun(row)).scalar()
    if made is None:
        held = active_for(session, node_id)
        raise locked(
            session, node_id, held, f"The node is held by {held.kind if held is not None else 'other work'}.",
            why="one piece of work at a time may hold a node",
            next_step="wait for it to end, or stop it with `rackwright node abort`",
        )  # fmt: skip
    row.id = made
    make_transient_to_detached(row)
    session.add(row)
    _wake(session)
    return row


_NOT_BEGUN: dict[str, object] = {
    **dict.fromkeys(("wait_for", "wait_then", "wait_else", "waiting_since", "deadline", "payload")),
    **dict.fromkeys(("owner", "pool", "slot_needed", "slot", "abort_reason", "note", "finished_at")),
    **dict.fromkeys(("visit", "attempt", "losses", "fence"), 0),
    "status": "active",
    "step": "",
    "wake_at": DUE_NOW,
}
_GIVEN = ("uuid", "kind", "node_id", "data", "actor", "created_at", "updated_at", "entered_at")
_ENQUEUE = {
    dialect.__name__.rsplit(".", 1)[-1]: dialect.insert(Flow.__table__)
    .values({name: bindparam(name) for name in (*_GIVEN, *_NOT_BEGUN)})
    .on_conflict_do_nothing(index_elements=["node_id"], index_where=_IS_ACTIVE)
    .returning(Flow.__table__.c.id)
    for dialect in (sqlite, postgresql)
}


def _begun(row: Flow) -> dict[str, object]:
    """Columns of a new row, of which the object is told too."""
    for name, value in _NOT_BEGUN.items():
        setattr(row, name, value)
    return {name: getattr(row, name) for name in (*_GIVEN, *_NOT_BEGUN)}


def finished(session: Session, *, kind: str, node_id: int, now: datetime, actor: str) -> Flow:
    """Keep a piece of work that was done the moment it was asked."""
    row = Flow(kind=kind, node_id=node_id, status="done", data={}, actor=actor, finished_at=now)
    row.created_at = row.updated_at = row.entered_at = now
    session.add(row)
    session.flush()
    return row


def locked(
    session: Session, node_id: int, held: Flow | None, said: str, *, why: str = "", next_step: str = ""
) -> NodeLocked:
    """The refusal of who came second, with the host that works on the node. held: the work that holds it."""
    node = session.execute(select(Node.uuid).where(Node.id == node_id)).scalar()
    owner = held.owner if held is not None else None
    host = None if owner is None else session.execute(select(Worker.host).where(Worker.id == owner)).scalar()
    return NodeLocked(said, why=why, next_step=next_step, node=node or "", host=host)


def active_for(session: Session, node_id: int) -> Flow | None:
    """The work that holds the node, if any."""
    return session.scalar(_ACTIVE, {"of_node": node_id})


def holder(session: Session, node_id: int) -> str:
    """Who holds the node, for a refusal's `why`; empty when nobody does."""
    held = active_for(session, node_id)
    return f"it is held by {held.kind}" if held is not None else ""


# Built once: these run with every signal of every agent.
_ACTIVE = select(Flow).where(Flow.node_id == bindparam("of_node"), IS_ACTIVE)
_ACTIVE_LOCKED = _ACTIVE.with_for_update().execution_options(populate_existing=True)


def signal(session: Session, *, node_id: int, name: str, payload: JsonObject, now: datetime) -> bool:
    """Tell the node's work that something happened. False when no work is active; then nothing is kept.

    Kept until the flow waits for it or ends; a repeated name replaces the payload. The flow row is locked first, as the
    worker does when it enters a wait: so one of the two always sees the other.
    """
    row = session.scalar(_ACTIVE_LOCKED, {"of_node": node_id})
    if row is None:
        return False
    session.merge(FlowSignal(flow_id=row.id, name=name, at=now, payload=payload))
    session.flush()
    if row.wait_for == name:
        session.execute(update(Flow).where(Flow.id == row.id).values(wake_at=DUE_NOW))
        _wake(session)
    return True


def abort(session: Session, *, node_id: int, reason: str, now: datetime) -> bool:
    """Ask the node's work to stop, in whatever step it is. False when none is active.

    A worker ends it within a second: at once when the flow waits, at the next `check()` or transition when a step runs.
    """
    done = session.execute(
        update(Flow)
        .where(Flow.node_id == node_id, IS_ACTIVE, Flow.abort_reason.is_(None))
        .values(abort_reason=reason[:500], wake_at=DUE_NOW, updated_at=now)
        .returning(Flow.id)
    ).first()
    if done is None:
        return False
    _wake(session)
    return True


def forget(session: Session, *, flow_id: int, name: str) -> None:
    """Drop a stored signal, so that a later wait for this name means a later event."""
    session.execute(delete(FlowSignal).where(FlowSignal.flow_id == flow_id, FlowSignal.name == name))


def sweep(session: Session, *, before: datetime) -> int:
    """Forget work that ended before this time; the event log keeps what it did. Returns how many."""
    ended = delete(Flow).where(~IS_ACTIVE, Flow.finished_at < before).returning(Flow.id)
    return len(session.execute(ended).all())


def take_tick(session: Session, *, name: str, every_s: float, owner: str, now: datetime) -> bool:
    """True for exactly one caller per period. Missed periods are not caught up; a clock set back starts a new one."""
    ahead = now + timedelta(seconds=2 * every_s)
    if session.get(Periodic, name) is None:
        try:
            with session.begin_nested():
                session.add(Periodic(name=name, next_at=now, owner=None))
        except IntegrityError:
            pass  # another process created it; the update below decides
    taken = session.execute(
        update(Periodic)
        .where(Periodic.name == name, (Periodic.next_at <= now) | (Periodic.next_at > ahead))
        .values(next_at=now + timedelta(seconds=every_s), owner=owner)
        .returning(Periodic.name)
    ).first()
    return taken is not None


def _wake(session: Session) -> None:
    """Ring after the commit; on PostgreSQL also for the engines of other processes, once per transaction.

    NOTIFY takes a lock of the whole server at commit, so only what makes a row due comes here, never each transition.
    """
    if session.get_bind().dialect.name == "postgresql" and not session.info.get("flow_notified"):
        session.execute(text(f"SELECT pg_notify('{CHANNEL}', '')"))
        session.info["flow_notified"] = True
    announce(session, TOPIC)
