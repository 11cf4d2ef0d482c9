"""Runs the reconcilers, each at its own pace in its own thread. One process of several takes each tick."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from appliance.domain.clock import Clock
from appliance.models import flow
from appliance.models.database import Database

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciler:
    """run: one idempotent round, which may take long. is_shared: of several processes, one takes each tick."""

    name: str
    every_s: float
    run: Callable[[], object]
    is_shared: bool = True


class Loop:
    """`start`, then `stop`; a round that fails is logged and comes again."""

    def __init__(self, database: Database, reconcilers: Sequence[Reconciler], *, owner: str, clock: Clock) -> None:
        self._database, self._reconcilers, self._owner, self._clock = database, reconcilers, owner, clock
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(item,), name=f"reconcile-{item.name}", daemon=True)
            for item in reconcilers
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self, *, within_s: float = 5.0) -> None:
        """Begin no round more. Rounds still running after within_s end with the process."""
        self._stopping.set()
        until = time.monotonic() + within_s
        for thread in self._threads:
            thread.join(timeout=max(0.0, until - time.monotonic()))

    def _run(self, item: Reconciler) -> None:
        while not self._stopping.wait(item.every_s):
            try:
                if not item.is_shared or self._is_ours(item):
                    item.run()
            except SQLAlchemyError as error:
                log.exception("round failed reconciler=%s database=%s", item.name, type(error).__name__)
            except Exception:  # a loop top: one bad round must not end all later ones
                log.exception("round failed reconciler=%s", item.name)

    def _is_ours(self, item: Reconciler) -> bool:
        with self._database.write() as session:
            return flow.take_tick(session, name=item.name, every_s=item.every_s, owner=self._owner, now=self._clock())
