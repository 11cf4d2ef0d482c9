"""The step engine: finds flows that are due and runs them. State is in the database only.

Here: who runs when. Not here: acts (runner), transitions (settler, transition), leases (lease), SQL (flow_queue).
One dispatcher thread writes: it claims, settles what acts answered, renews the lease and takes over from engines that
are gone. Acts run in a few other threads, so a slow BMC never costs us the lease; records run in the dispatcher's
transactions. Flows that are ready at the same time share a commit (Decision 150). The dispatcher sleeps until the next
row is due, at most POLL_S; a commit in this process rings it (Database.bells), one in another process on PostgreSQL
notifies it. A lost hint costs POLL_S, never a flow.
"""

import logging
import queue
import random
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from appliance.domain.clock import Clock
from appliance.flows.batch import Batch
from appliance.flows.lease import Lease, SharedClock
from appliance.flows.procedure import Procedure
from appliance.flows.resources import Resources
from appliance.flows.runner import Runner, Turned
from appliance.flows.settler import Settled, Settler
from appliance.flows.transition import line
from appliance.models import flow_queue
from appliance.models.database import Database, JsonObject
from appliance.models.flow import TOPIC
from appliance.models.flow_queue import Claimed

if TYPE_CHECKING:
    from appliance.flows.listen import Listener

log = logging.getLogger(__name__)

POLL_S = 1.0
Over = tuple[int, int]
"""A flow and that claim of it which has ended. It may have been claimed anew before the dispatcher hears of the end."""

_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class Engine:
    """`start` and `stop` for a server; `run_until_idle` for tests, in the calling thread and at a clock given by hand.

    clock: on PostgreSQL the system clock (or None) is set by the database's, so that all engines agree on the time.
    is_alone: no other engine shares the database, so what others own is taken over at once; None: true on SQLite, where
    a second control process is refused.
    """

    def __init__(
        self,
        database: Database,
        flows: Mapping[str, Procedure],
        resources: Resources,
        *,
        clock: Clock | None = None,
        threads: int = 16,
        worker_ttl_s: float = 15.0,
        is_alone: bool | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._database = database
        self._threads = threads
        self._sizes = dict(resources.policy.at_once)
        pools = _pools_of(flows, self._sizes)
        self.clock = SharedClock(database, clock)
        self.lease = Lease(
            database,
            clock=self.clock,
            monotonic=monotonic,
            host=socket.gethostname(),
            ttl_s=worker_ttl_s,
            is_alone=database.is_sqlite if is_alone is None else is_alone,
        )
        self._runner = Runner(database, flows, resources, clock=self.clock, lease=self.lease, chance=chance)
        self._settler = Settler(database, self._runner, pools)
        self._running: dict[int, int] = {}
        """The flows that we own, with their claims. Only the dispatcher changes it."""
        self._ready: list[Turned] = []
        self._knows_due = False
        self._back: deque[Turned | Claimed | Over] = deque()
        """From the threads to the dispatcher: to be settled, going on, or ours no more."""
        self._work: queue.SimpleQueue[Claimed | Turned | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._leaving = threading.Event()
        self._threads_alive: list[threading.Thread] = []
        self._dispatcher: threading.Thread | None = None
        self._listener: Listener | None = None

    # For a server -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Join, take over what others left, and begin. Returns when the engine runs."""
        self._begin()
        if not self._database.is_sqlite:
            from appliance.flows.listen import Listener  # noqa: PLC0415  (psycopg: 6 MB that SQLite does not need)

            self._listener = Listener(self._database.engine, self._ring)
            self._listener.start()
        self._dispatcher = threading.Thread(target=self._dispatch_loop, name="flow-dispatch", daemon=True)
        self._threads_alive = [
            threading.Thread(target=self._work_loop, name=f"flow-{n}", daemon=True) for n in range(self._threads)
        ]
        for thread in (*self._threads_alive, self._dispatcher):
            thread.start()

    def stop(self, *, within_s: float = 30.0) -> None:
        """Claim nothing more, let running steps end, and leave. Steps still running after within_s are fenced."""
        self._stopping.set()
        for _ in range(self._threads):
            self._work.put(None)
        until = time.monotonic() + within_s
        for thread in self._threads_alive:
            thread.join(max(0.0, until - time.monotonic()))
        self._leaving.set()  # the dispatcher settles what the last steps answered, and ends
        self._ring()
        if self._dispatcher is not None:
            self._dispatcher.join(max(1.0, until - time.monotonic()))
        try:
            self.lease.leave()
        except SQLAlchemyError:
            log.exception("the database does not answer; our flows are free when our lease ends")
        if self._listener is not None:
            self._listener.stop()
        self._threads_alive, self._dispatcher = [], None

    # For tests --------------------------------------------------------------------------------------------------------

    def run_until_idle(self, *, max_steps: int = 10_000) -> int:
        """Run due steps one after the other until none is due now. Returns how many were run."""
        if self.lease.worker:
            self.lease.renew(set())
        else:
            self._begin()
        turns = 0
        while turns < max_steps:
            claimed = self._settler.settle([], lambda batch, _ended: self._claim(batch, 1)).going_on
            if not claimed:
                return turns
            row: Claimed | None = claimed[0]
            while row is not None:
                row = self._run_one(row)
                turns += 1
        raise RuntimeError(f"still busy after {max_steps} steps")

    def _run_one(self, row: Claimed) -> Claimed | None:
        turned = self._runner.act(row) if self._runner.is_act(row) else self._runner.ready(row)
        if turned is None:
            return None
        settled = self._settler.settle([turned])
        if settled.alone:
            return self._settler.settle_alone(settled.alone[0])
        return next(iter(settled.going_on), None)

    def next_due(self) -> datetime | None:
        """When the next flow wants to be looked at; None when no flow is active."""
        with self._database.glance() as connection:
            micros = flow_queue.next_due(connection)
        return None if micros is None else _time(micros)

    # Within -----------------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        with self._database.write() as session:
            flow_queue.set_pools(session, self._sizes)
        self.lease.renew(set())

    def _ring(self) -> None:
        self._database.bells.ring(TOPIC)

    def _dispatch_loop(self) -> None:
        bells = self._database.bells
        while not self._leaving.is_set():
            seen = bells.count(TOPIC)  # before the look: what is rung from here on is not missed
            try:
                pause_s = self._dispatch()
            except SQLAlchemyError:
                log.exception("the database does not answer; next try in %.0f s", POLL_S)
                pause_s = POLL_S
            except BaseException:  # a loop top: without this thread no flow of this engine would ever move again
                log.exception("no flow could be looked at; next try in %.0f s", POLL_S)
                pause_s = POLL_S
            if pause_s > 0:
                bells.wait(TOPIC, seen=seen, timeout_s=pause_s)
        while self._collect():  # a transaction takes only so many
            settled = self._settler.settle(self._ready)
            self._ready = settled.later
            for turned in settled.alone:
                self._settler.settle_alone(turned)

    def _dispatch(self) -> float:
        """One look. Returns seconds until the next one is needed, if nobody rings."""
        if self.lease.is_due:
            self.lease.renew(self._running)
        is_ready = self._collect()
        free = self._threads - len(self._running)
        may_claim = self.lease.is_fresh and not self._stopping.is_set()
        if not is_ready:
            if free <= 0 or not may_claim:
                return POLL_S  # whoever finishes rings
            due_at, now = self.next_due(), self.clock()
            if due_at is None or due_at > now:
                return POLL_S if due_at is None else min(POLL_S, (due_at - now).total_seconds())
        self._knows_due = not is_ready
        turns, self._ready = self._ready, []
        try:
            settled = self._settler.settle(turns, partial(self._claim_due, free) if may_claim else None)
        except BaseException:
            for turned in turns:  # one of them ended in an unknown way: where it harms nobody, it is found out
                self._work.put(turned)
            raise
        self._sort(settled)
        return 0.0 if turns or settled.going_on else POLL_S

    def _collect(self) -> bool:
        """Take what the threads gave back. True when something wants a transaction."""
        while self._back:
            match self._back.popleft():
                case Turned() as turned:
                    self._ready.append(turned)
                case Claimed() as row:
                    self._go_on(row)
                case flow_id, claim:
                    if self._running.get(flow_id) == claim:
                        del self._running[flow_id]
        return bool(self._ready)

    def _sort(self, settled: Settled) -> None:
        for flow_id in settled.ended:
            self._running.pop(flow_id, None)
        self._running |= {row.id: row.claim for row in settled.going_on}
        self._ready += settled.later
        for row in settled.going_on:
            self._go_on(row)
        for turned in settled.alone:
            if self._stopping.is_set():  # the threads are leaving
                self._settler.settle_alone(turned)
            else:
                self._work.put(turned)

    def _go_on(self, row: Claimed) -> None:
        if self._stopping.is_set():
            return  # Lease.leave frees it
        if self._runner.is_act(row):
            self._work.put(row)
        else:
            self._ready.append(self._runner.ready(row))

    def _claim_due(self, free: int, batch: Batch, ended: int) -> list[Claimed]:
        """Fill the places that are free and those that `ended` flows give up in the same transaction."""
        if free + ended <= 0:
            return []
        if not self._knows_due:
            due = flow_queue.next_due(batch.session.connection())
            if due is None or _time(due) > self.clock():
                return []
        return self._claim(batch, free + ended)

    def _claim(self, batch: Batch, limit: int) -> list[Claimed]:
        now = self.clock()
        rows = flow_queue.claim(
            batch.session, worker=self.lease.worker, now=now, limit=limit, needs=self._runner.needs, places=batch.room
        )
        for note in _starts(rows, now):
            batch.note(note)
        return rows

    def _work_loop(self) -> None:
        while (job := self._work.get()) is not None:
            row = job.row if isinstance(job, Turned) else job
            if self._stopping.is_set() and row is job:
                continue  # not begun: it stays ours, and Lease.leave frees it
            try:
                done = self._do(job)
            except BaseException as problem:  # a loop top: some libraries end "the program" by SystemExit
                log.exception("step ended in an unknown way flow=%s step=%s", row.uuid, row.step)
                self._runner.put_back(row, problem)
                done = None
            self._back.append(done or (row.id, row.claim))
            self._ring()

    def _do(self, job: Claimed | Turned) -> Claimed | Turned | None:
        """None when the flow is ours no more."""
        if isinstance(job, Turned):
            return self._settler.settle_alone(job)
        return self._runner.act(job)


def _time(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


def _pools_of(flows: Mapping[str, Procedure], sizes: Mapping[str, int]) -> frozenset[str]:
    """Names of all pools and slots that steps ask for. Raises ValueError for one that has no size."""
    named = {
        name
        for procedure in flows.values()
        for step in procedure.steps.values()
        for name in (step.needs.pool, step.needs.slot)
        if name is not None
    }
    if missing := named - set(sizes):
        raise ValueError(f"no size is given for the pools {sorted(missing)}")
    return frozenset(named)


def _starts(rows: list[Claimed], now: datetime) -> Iterator[JsonObject]:
    """Events of steps that begin after a pause. A look at a wait before its limit, or a poll, leaves no trace."""
    for row in rows:
        if row.timed_out and row.deadline is not None and row.deadline > now:
            continue
        if row.visit == 0 and row.losses == 0 and not row.has_begun:
            yield line(row, "flow.start", f"{row.kind} begins", at=now, duration_s=None)
        if not row.has_begun:
            more = {"timed_out": row.wait_for} if row.timed_out else None
            yield line(row, "step.start", f"{row.kind}: {row.step}", at=now, duration_s=row.waited_s, more=more)
