"""Threads that run requests: few when quiet, more when many wait, never above a limit."""

import logging
import queue
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)

Job = Callable[[], None]
IDLE_S = 30.0


class Workers:
    """At most `most` threads, of which `least` stay. A job that waits (a long poll) holds one thread."""

    def __init__(self, name: str, *, least: int, most: int) -> None:
        self._name = name
        self._least, self._most = least, most
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._free = 0
        self._made = 0
        self._is_stopping = False

    def submit(self, job: Job) -> bool:
        """False when every thread is busy and as many jobs wait already: the caller sheds load."""
        with self._lock:
            if self._is_stopping or (self._free <= 0 and self._jobs.qsize() >= self._most):
                return False
            if self._free <= self._jobs.qsize() and len(self._threads) < self._most:
                self._grow()
            self._jobs.put(job)
            return True

    def stop(self, grace_s: float) -> bool:
        """Let running jobs end. False when some did not in time; they are daemon threads and end with the process."""
        with self._lock:
            self._is_stopping = True
            threads = list(self._threads)
            for _ in threads:
                self._jobs.put(None)
        for thread in threads:
            thread.join(max(0.0, grace_s / max(1, len(threads))) if not thread.is_alive() else grace_s)
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
            with self._lock:
                self._free += 1
            try:
                job = self._jobs.get(timeout=IDLE_S)
            except queue.Empty:
                job = None
            with self._lock:
                self._free -= 1
                if job is None and (self._is_stopping or len(self._threads) > self._least):
                    self._threads.discard(threading.current_thread())
                    return
            if job is not None:
                job()
