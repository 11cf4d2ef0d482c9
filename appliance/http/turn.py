"""One read at a time: threads that compute at once only take the interpreter's lock from one another.

Eight busy readers spend a third of the processor's time on that (Decision 156). A read that waits for something, such
as a BMC or a bell, must not hold up the others: whoever waits for it in vain lets all go on without it.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE_S = 0.005
"""Eight reads take less than that."""


class Turn:
    """Safe in threads. Nobody waits longer than PATIENCE_S."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    @contextmanager
    def taken(self) -> Iterator[None]:
        lock = self._lock
        if lock.acquire(timeout=PATIENCE_S):
            try:
                yield
            finally:
                lock.release()
            return
        if self._lock is lock:
            self._lock = threading.Lock()
        yield
