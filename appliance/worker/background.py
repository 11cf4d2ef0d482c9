"""Work that outlives a request, in a few threads. Every job is one that a reconciler finishes if this process ends.

So the threads are daemons: a BMC that is slow to settle, or an image that is being packed, holds up no shutdown.
"""

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from appliance.domain.errors import Unavailable

log = logging.getLogger(__name__)

WAITING_MOST = 1000

Job = tuple[Future[Any], Callable[[], Any]]


class Background(Executor):
    """Logs what a job raises, since nobody asks its future. Refuses more when WAITING_MOST jobs wait."""

    def __init__(self, threads: int, *, waiting_most: int = WAITING_MOST) -> None:
        self._jobs: queue.Queue[Job | None] = queue.Queue(waiting_most)
        self._is_over = False
        self._threads = [
            threading.Thread(target=self._work, name=f"background-{number}", daemon=True) for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Raises Unavailable when too much waits already, or the process is stopping."""
        future: Future[Any] = Future()
        if self._is_over:
            raise Unavailable("the appliance is stopping", next_step="try again")
        try:
            self._jobs.put_nowait((future, lambda: fn(*args, **kwargs)))
        except queue.Full as cause:
            raise Unavailable("too much work waits in the background", next_step="try again") from cause
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002  (Executor's)
        """Begin no job more. wait: until those that run have ended; else they end with the process."""
        self._is_over = True
        while cancel_futures and (job := self._waiting()) is not None:
            job[0].cancel()
        for _ in self._threads if wait else ():
            self._jobs.put(None)
        for thread in self._threads if wait else ():
            thread.join()

    def _waiting(self) -> Job | None:
        try:
            return self._jobs.get_nowait()
        except queue.Empty:
            return None

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            future, call = job
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(call())
            except Exception as fault:  # a loop top: the fault of one job must not end its thread
                log.exception("background work failed")
                future.set_exception(fault)
