"""Not all log-ins at once.

A storm of a thousand makes every answer late, late answers start log-ins over, and that makes the storm worse: measured
on a busy machine, 430 of 980 were through after 4 s without the gate, all of them after 0.9-1.9 s with it.
"""

import time
from collections import deque
from collections.abc import Callable

from bmc.ipmi.loop import PyghmiLoop, Timer

AT_ONCE = 128
GRACE_S = 0.25


class Ticket:
    """One log-in's place at the gate; `leave` may be called more than once and from before its turn."""

    def __init__(self, gate: "LoginGate", start: Callable[[], None]) -> None:
        self._gate = gate
        self._start: Callable[[], None] | None = start
        self._timer: Timer | None = None
        self._is_inside = False

    def admit(self, loop: PyghmiLoop) -> bool:
        """False when it has left before its turn came."""
        start, self._start = self._start, None
        if start is None:
            return False
        self._is_inside = True
        self._timer = loop.call_at(time.monotonic() + GRACE_S, self.leave)
        loop.call(start)
        return True

    def leave(self) -> None:
        self._start = None
        if self._timer is not None:
            self._timer.cancel()
        if self._is_inside:
            self._is_inside = False
            self._gate.left()


class LoginGate:
    """At most `AT_ONCE` log-ins are under way. One that takes longer than `GRACE_S` counts no more: it is slow or dead,
    and must not keep others waiting. On the loop's thread only.
    """

    def __init__(self, loop: PyghmiLoop) -> None:
        self._loop = loop
        self._inside = 0
        self._waiting: deque[Ticket] = deque()

    def enter(self, start: Callable[[], None]) -> Ticket:
        ticket = Ticket(self, start)
        self._waiting.append(ticket)
        self._admit()
        return ticket

    def left(self) -> None:
        self._inside -= 1
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self._inside < AT_ONCE:
            if self._waiting.popleft().admit(self._loop):
                self._inside += 1
