"""A circuit breaker: after repeated failures a BMC is left alone for a while, then tried once. Pure: time is given."""

import enum

from bmc.errors import BmcError


class _State(enum.Enum):
    CLOSED = enum.auto()
    OPEN = enum.auto()
    PROBING = enum.auto()


class Breaker:
    """Closed: calls pass. Open: calls fail at once with the last error. Half-open: one probe passes, then decides.

    A `final` failure (a refused password) opens it at once: repeating a wrong password locks accounts.
    """

    def __init__(self, *, threshold: int = 3, open_s: float = 5.0, longest_s: float = 60.0) -> None:
        self._threshold = threshold
        self._first_open_s = open_s
        self._longest_s = longest_s
        self._open_s = open_s
        self._failures = 0
        self._state = _State.CLOSED
        self._until = 0.0
        self._last: BmcError | None = None

    @property
    def is_open(self) -> bool:
        return self._state is not _State.CLOSED

    def refusal(self, now: float) -> BmcError | None:
        """None when a call may go out now, which the caller must then report with `succeeded` or `failed`."""
        if self._state is _State.CLOSED:
            return None
        if self._state is _State.OPEN and now >= self._until:
            self._state = _State.PROBING
            return None
        assert self._last is not None
        wait_s = max(0.0, self._until - now)
        return type(self._last)(f"{self._last} Not asked again for {wait_s:.0f} s after {self._failures} failures.")

    def succeeded(self) -> None:
        self._state = _State.CLOSED
        self._failures = 0
        self._open_s = self._first_open_s

    def failed(self, error: BmcError, now: float, *, final: bool = False) -> None:
        self._failures += 1
        self._last = error
        if self._state is _State.PROBING:
            self._open_s = min(self._open_s * 2, self._longest_s)
        if self._state is _State.PROBING or final or self._failures >= self._threshold:
            self._state = _State.OPEN
            self._until = now + (self._longest_s if final else self._open_s)
