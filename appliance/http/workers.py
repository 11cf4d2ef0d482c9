"""Threads that run requests: few when quiet, more when many wait, never above a limit."""

import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

log = logging.getLogger(__name__)

Job = Callable[[], object]
After = Callable[[Any], None]
IDLE_S = 30.0


class Workers:
    """At most `most` threads, of which `least` stay. A job that waits (a long poll) holds one thread."""

    def __init__(self, name: str, *, least: int, most: int) -> None:
        self._name = name
        self._least, self._most = least, most
        self._jobs: queue.SimpleQueue[tuple[Job, After | None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._open = 0  # jobs taken and not ended; counted by who submits, so no job is ever left without a thread
        self._made = 0
        self._is_stopping = False

    def submit(self, job: Job, after: After | None = None) -> bool:
        """False when every thread is busy and as many jobs wait already: the caller sheds load.

        after: called with what the job returned, once it counts no more. Who is told there that a place is free can
        take it at once, however late the system runs this thread.
        """
        with self._lock:
            if self._is_stopping or self._open >= 2 * self._most:
                return False
            self._open += 1
            if self._open > len(self._threads) and len(self._threads) < self._most:
                self._grow()
            self._jobs.put((job, after))
            return True

    def is_wanted(self) -> bool:
        """Whether a job waits for a thread: who could go on with something else should not."""
        return not self._jobs.empty()

    def stop(self, grace_s: float) -> bool:
        """Let running jobs end. False when some did not in time; they are daemon threads and end with the process."""
        with self._lock:
            self._is_stopping = True
            threads = list(self._threads)
            for _ in threads:
                self._jobs.put(None)
        ends = time.monotonic() + grace_s
        for thread in threads:
            thread.join(max(0.0, ends - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def _grow(self) -> None:
        self._made += 1
        thread = threading.Thread(target=self._work, name=f"{self._name}-{self._made}", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no more threads in this system: those there are serve on
            log.warning("no new worker thread; %d serve on", len(self._threads))
            return
        self._threads.add(thread)

    def _work(self) -> None:
        while True:
            try:
                taken = self._jobs.get(timeout=IDLE_S)
            except queue.Empty:
                taken = None
            if taken is not None:
                self._run(*taken)
            elif self._may_leave():
                return

    def _run(self, job: Job, after: After | None) -> None:
        try:
            result = job()
        finally:
            with self._lock:
                self._open -= 1
        if after is not None:
            after(result)

    def _may_leave(self) -> bool:
        """Fewer threads than before, but never fewer than open jobs: one may be on its way to this thread."""
        with self._lock:
            is_spare = len(self._threads) > max(self._least, self._open)
            if self._is_stopping or is_spare:
                self._threads.discard(threading.current_thread())
                return True
            return False
