"""The lease of one engine: its worker id, whether that still counts, and taking over from engines that are gone.

The lease is one row per worker, renewed each ttl/5. A worker that could not renew for 0.8 ttl stops acting by its own
monotonic clock, before others may take its rows; one that comes back later joins under a new id (Decision 50).
"""

import logging
import threading
from collections.abc import Callable, Collection
from datetime import datetime, timedelta

from sqlalchemy import text

from appliance.domain.clock import Clock, system_clock
from appliance.models import flow_queue
from appliance.models.columns import new_uuid
from appliance.models.database import Database, Session

log = logging.getLogger(__name__)

_DATABASE_CLOCK = text("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class SharedClock:
    """Time that all engines of one database agree on: on PostgreSQL its clock, else this machine's.

    The difference to the database is measured at each renewal; between two, the local clock runs on.
    """

    def __init__(self, database: Database, given: Clock | None) -> None:
        self._local = given or system_clock
        self._follows_database = given in {None, system_clock} and not database.is_sqlite
        self._ahead = timedelta(0)

    def __call__(self) -> datetime:
        return self._local() + self._ahead

    def compare(self, session: Session) -> None:
        if not self._follows_database:
            return
        before = self._local()
        micros = session.connection().execute(_DATABASE_CLOCK).scalar_one()
        middle = before + (self._local() - before) / 2
        self._ahead = _EPOCH + timedelta(microseconds=micros) - middle


class Lease:
    def __init__(
        self,
        database: Database,
        *,
        clock: SharedClock,
        monotonic: Callable[[], float],
        host: str,
        ttl_s: float,
        is_alone: bool,
    ) -> None:
        self.worker = ""
        self.ttl_s = ttl_s
        self._database = database
        self._clock = clock
        self._monotonic = monotonic
        self._host = host
        self._is_alone = is_alone
        self._renewed_at = float("-inf")
        self._lock = threading.Lock()

    @property
    def is_fresh(self) -> bool:
        """Whether nobody else can have taken our rows yet."""
        return self._monotonic() - self._renewed_at < 0.8 * self.ttl_s

    @property
    def is_due(self) -> bool:
        return self._monotonic() - self._renewed_at >= self.ttl_s / 5

    def renew(self, running: Collection[int]) -> None:
        """Extend the lease, or join (again) under a new id; and take over the rows of workers that are gone.

        running: ids of flows that this engine runs now.
        """
        freed = 0
        with self._lock:
            asked_at = self._monotonic()  # before the write: a slow commit must not make us feel safe for longer
            with self._database.write() as session:
                self._clock.compare(session)
                now = self._clock()
                if self.worker and self._extend(session, now):
                    joined = self.worker
                else:
                    joined = new_uuid()
                    flow_queue.join(session, worker=joined, host=self._host, now=now, ttl_s=self.ttl_s)
                lost = flow_queue.lost_rows(session, worker=joined, running=running, now=now, is_alone=self._is_alone)
                if lost:
                    freed = flow_queue.free_rows(session, rows=lost, now=now)
            if joined != self.worker:
                log.info("worker joined id=%s host=%s", joined, self._host)
            self.worker = joined
            self._renewed_at = asked_at
        if freed:
            log.warning("flows taken over count=%d", freed)

    def _extend(self, session: Session, now: datetime) -> bool:
        return flow_queue.renew(session, worker=self.worker, now=now, ttl_s=self.ttl_s, is_alone=self._is_alone)

    def leave(self) -> None:
        with self._lock, self._database.write() as session:
            flow_queue.leave(session, worker=self.worker)
            self.worker = ""
            self._renewed_at = float("-inf")
