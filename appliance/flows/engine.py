"""The step engine: finds flows that are due and has them run by a few threads. State is in the database only.

Here: who runs when. Not here: what a transition writes (runner), leases (lease), SQL (models.flow_queue). One
dispatcher thread claims, renews the lease and takes over from engines that are gone; it runs no step itself, so a slow
BMC never costs us the lease. It sleeps until the next row is due, at most POLL_S; a commit in this process rings it
(Database.bells), one in another process on PostgreSQL notifies it. A lost hint costs POLL_S, never a flow.
"""

import logging
import queue
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from appliance.domain.clock import Clock
from appliance.flows.lease import Lease, SharedClock
from appliance.flows.procedure import Procedure
from appliance.flows.resources import Resources
from appliance.flows.runner import Runner
from appliance.flows.transition import line
from appliance.models import event, flow_queue
from appliance.models.database import Database, JsonObject, announce
from appliance.models.flow import TOPIC
from appliance.models.flow_queue import Claimed
from appliance.services import events

if TYPE_CHECKING:
    from appliance.flows.listen import Listener

log = logging.getLogger(__name__)

POLL_S = 1.0
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
        self._pools = _pools_of(flows, self._sizes)
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
        self._running: dict[int, Claimed] = {}
        self._work: queue.SimpleQueue[Claimed | None] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._alive: list[threading.Thread] = []
        self._listener: Listener | None = None
        self._wants_ring = False

    # For a server -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Join, take over what others left, and begin. Returns when the engine runs."""
        self._begin()
        if not self._database.is_sqlite:
            from appliance.flows.listen import Listener  # noqa: PLC0415  (psycopg: 6 MB that SQLite does not need)

            self._listener = Listener(self._database.engine, self._ring)
            self._listener.start()
        self._alive = [threading.Thread(target=self._work_loop, name=f"flow-{n}") for n in range(self._threads)]
        self._alive.append(threading.Thread(target=self._dispatch_loop, name="flow-dispatch"))
        for thread in self._alive:
            thread.daemon = True
            thread.start()

    def stop(self, *, within_s: float = 30.0) -> None:
        """Claim nothing more, let running steps end, and leave. Steps still running after within_s are fenced."""
        self._stopping.set()
        self._runner.is_stopping = True
        self._ring()
        for _ in range(self._threads):
            self._work.put(None)
        until = time.monotonic() + within_s
        for thread in self._alive:
            thread.join(max(0.0, until - time.monotonic()))
        if self._listener is not None:
            self._listener.stop()
        self.lease.leave()
        self._alive = []

    # For tests --------------------------------------------------------------------------------------------------------

    def run_until_idle(self, *, max_steps: int = 10_000) -> int:
        """Run due steps one after the other until none is due now. Returns how many were run."""
        if self.lease.worker:
            self.lease.renew()
            self.lease.take_over(set())
        else:
            self._begin()
        turns = 0
        while turns < max_steps:
            claimed = self._claim(1)
            if not claimed:
                return turns
            turns += self._runner.run(claimed[0])
        raise RuntimeError(f"still busy after {max_steps} steps")

    def next_due(self) -> datetime | None:
        """When the next flow wants to be looked at; None when no flow is active."""
        with self._database.read() as session:
            micros = flow_queue.next_due(session)
        return None if micros is None else _EPOCH + timedelta(microseconds=micros)

    # Within -----------------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        with self._database.write() as session:
            flow_queue.set_pools(session, self._sizes)
        self.lease.renew()
        self.lease.take_over(set())

    def _ring(self) -> None:
        self._database.bells.ring(TOPIC)

    def _dispatch_loop(self) -> None:
        bells = self._database.bells
        while not self._stopping.is_set():
            seen = bells.count(TOPIC)  # before the look: what is rung from here on is not missed
            try:
                pause_s = self._dispatch()
            except SQLAlchemyError:
                log.exception("the database does not answer; next try in %.0f s", POLL_S)
                pause_s = POLL_S
            bells.wait(TOPIC, seen=seen, timeout_s=pause_s)

    def _dispatch(self) -> float:
        """One look. Returns seconds until the next one is needed, if nobody rings."""
        if self.lease.is_due:
            self.lease.renew()
            self.lease.take_over(set(self._running))
        free = self._threads - len(self._running)
        if free <= 0 or not self.lease.is_fresh:
            self._wants_ring = True
            return POLL_S
        due_at = self.next_due()
        now = self.clock()
        if due_at is None or due_at > now:
            return POLL_S if due_at is None else min(POLL_S, (due_at - now).total_seconds())
        claimed = self._claim(free)
        for row in claimed:
            self._running[row.id] = row
            self._work.put(row)
        # More may be due than there was room for: whoever finishes rings.
        self._wants_ring = True
        return POLL_S if not claimed or len(claimed) == free else 0.0

    def _claim(self, limit: int) -> list[Claimed]:
        now = self.clock()
        with self._database.write() as session:
            places = flow_queue.room(session, self._pools)
            rows = flow_queue.claim(
                session, worker=self.lease.worker, now=now, limit=limit, needs=self._runner.needs, places=places
            )
            event.record_all(session, list(_starts(rows, now)))
            announce(session, events.TOPIC)
        return rows

    def _work_loop(self) -> None:
        while (row := self._work.get()) is not None:
            try:
                self._runner.run(row)
            finally:
                self._running.pop(row.id, None)
                if self._wants_ring:
                    self._wants_ring = False
                    self._ring()


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
