"""Imports of images, each in its turn (domain.image_imports decides which that is).

The threads are daemons, and what waits here stands in the database too: a restart lines it up again.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from appliance.domain.errors import Unavailable
from appliance.domain.image_imports import Bounds, Import, first, refuse_full, waits_for

log = logging.getLogger(__name__)

Work = Callable[[], object]
_USUAL = Bounds()


@dataclass(slots=True, eq=False)
class _Job:
    """work: None as long as its place is only held."""

    one: Import
    work: Work | None = None


class Imports:
    """Logs what an import raises, since nobody asks for it."""

    def __init__(self, bounds: Bounds = _USUAL) -> None:
        self._bounds, self._changed = bounds, threading.Condition()
        self._waiting: list[_Job] = []
        self._running: list[_Job] = []
        self._served: list[str] = []
        self._is_over = False
        for number in range(bounds.downloads + bounds.packings):
            threading.Thread(target=self._work, name=f"import-{number}", daemon=True).start()

    @contextlib.contextmanager
    def place(self, one: Import, *, is_bounded: bool = True) -> Iterator[Callable[[Work], None]]:
        """Hold a place among those that wait, to be called with the work once the database knows of it.

        Raises Unavailable when there is none. is_bounded: False for what had a place before a restart.
        """
        job = _Job(one)
        with self._changed:
            if self._is_over:
                raise Unavailable("the appliance is stopping", next_step="try again")
            if is_bounded:
                refuse_full(one, [other.one for other in self._waiting], self._bounds)
            self._waiting.append(job)

        def submit(work: Work) -> None:
            with self._changed:
                job.work = work
                self._changed.notify_all()

        try:
            yield submit
        finally:
            with self._changed:
                if job.work is None and job in self._waiting:
                    self._waiting.remove(job)

    def waits_for(self, uuid: str) -> str:
        """What the import of an image waits for; empty when it does not wait, or not here."""
        with self._changed:
            running = [job.one for job in self._running]
            for job in self._waiting:
                if job.one.uuid == uuid and job.work is not None:
                    return waits_for(job.one, running, self._bounds) or "its turn"
        return ""

    def cancel(self, uuid: str) -> None:
        """Give up the place of an image that is gone. What has begun finds out by itself."""
        with self._changed:
            self._waiting = [job for job in self._waiting if job.one.uuid != uuid]
            self._changed.notify_all()

    def join(self, timeout_s: float) -> bool:
        """Wait until nothing waits or goes on. Returns whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._running, timeout_s)

    def shutdown(self) -> None:
        """Begin no import more. Those that go on end with the process."""
        with self._changed:
            self._is_over = True
            self._waiting = []
            self._changed.notify_all()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            try:
                if job.work is not None:
                    job.work()
            except Exception:  # a loop top: the fault of one import must not end its thread
                log.exception("import failed")
            finally:
                with self._changed:
                    self._running.remove(job)
                    self._changed.notify_all()

    def _next(self) -> _Job | None:
        """Waits for one that may begin; None when it is over."""
        with self._changed:
            while not self._is_over:
                if (job := self._taken()) is not None:
                    return job
                self._changed.wait()
        return None

    def _taken(self) -> _Job | None:
        ready = [job for job in self._waiting if job.work is not None]
        running = [job.one for job in self._running]
        number = first([job.one for job in ready], running, self._served, self._bounds)
        if number is None:
            return None
        job = ready[number]
        self._waiting.remove(job)
        self._running.append(job)
        here = {other.one.owner for other in (*self._waiting, *self._running)} - {job.one.owner}
        self._served = [*(owner for owner in self._served if owner in here), job.one.owner]
        return job
