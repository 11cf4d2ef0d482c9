"""The one thread on which pyghmi lives.

pyghmi's sessions share module-wide state and one event loop; driven from several threads a command takes twenty times
as long (16 ms instead of 0.7 ms). So one thread runs that loop for the whole process and everyone else hands it work.

pyghmi would also start a thread of its own that only waits for datagrams. It is replaced here by a wait on this very
thread: that saves a hand-over per datagram, lets new work interrupt the wait, and has no limit of 1,024 descriptors as
`select` has. `_io_wait`, `_io_graball`, `iothread` and `iothreadready` of `pyghmi.ipmi.private.session` are used for
that; a test fails when a new pyghmi no longer has them.
"""

import contextlib
import heapq
import itertools
import logging
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable

from pyghmi.ipmi.private import session as pyghmi_session

log = logging.getLogger(__name__)

LONGEST_WAIT_S = 60.0


class Timer:
    """A call that is to happen once; `cancel` makes it not happen."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[[], None]) -> None:
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        self.call = None


class PyghmiLoop:
    """`call` and `call_at` may be used from any thread, everything they run runs on this one. Time is monotonic."""

    def __init__(self) -> None:
        self._work: deque[Callable[[], None]] = deque()
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="pyghmi", daemon=True)
        pyghmi_session.iothread = self._thread
        pyghmi_session.iothreadready = True
        pyghmi_session._io_wait = self._wait  # noqa: SLF001  see the module docstring
        self._thread.start()

    def call(self, work: Callable[[], None]) -> None:
        self._work.append(work)
        if threading.current_thread() is not self._thread:
            # A full buffer means that a wake-up is under way already.
            with contextlib.suppress(BlockingIOError):
                self._wake_in.send(b"\0")

    def call_at(self, when: float, work: Callable[[], None]) -> Timer:
        timer = Timer(work)
        entry = (when, next(self._order), timer)
        if threading.current_thread() is self._thread:
            heapq.heappush(self._timers, entry)
        else:
            self.call(lambda: heapq.heappush(self._timers, entry))
        return timer

    def _run(self) -> None:
        while True:
            try:
                self._run_work()
                pyghmi_session.Session.wait_for_rsp(self._wait_s())
            except Exception:  # the top of a loop that serves every BMC; one bad datagram must not end it
                log.exception("a datagram or a call failed on the pyghmi thread")

    def _run_work(self) -> None:
        now = time.monotonic()
        while self._work:
            self._work.popleft()()
        while self._timers and self._timers[0][0] <= now:
            timer = heapq.heappop(self._timers)[2]
            if timer.call is not None:
                timer.call()

    def _wait_s(self) -> float:
        if self._work:
            return 0.0
        while self._timers and self._timers[0][2].call is None:
            heapq.heappop(self._timers)
        if not self._timers:
            return LONGEST_WAIT_S
        return max(0.0, min(LONGEST_WAIT_S, self._timers[0][0] - time.monotonic()))

    def _wait(self, timeout: float, _address: object = None, _events: object = None) -> None:
        """Instead of pyghmi's `_io_wait`: wait for datagrams or work, and sort datagrams to their sessions."""
        sockets = pyghmi_session.iosockets
        poll = select.poll()
        poll.register(self._wake_out, select.POLLIN)
        for one in sockets:
            poll.register(one, select.POLLIN)
        ready = poll.poll(0 if self._work else max(0.0, timeout) * 1000)
        if any(number == self._wake_out.fileno() for number, _ in ready):
            with contextlib.suppress(BlockingIOError):
                self._wake_out.recv(4096)
        if ready:
            pyghmi_session._io_graball(sockets, {})  # noqa: SLF001  see the module docstring


_shared: list[PyghmiLoop] = []
_shared_lock = threading.Lock()


def shared_loop() -> PyghmiLoop:
    """The loop of this process. pyghmi keeps its sessions in module variables, so there can be only one."""
    with _shared_lock:
        if not _shared:
            _shared.append(PyghmiLoop())
        return _shared[0]
