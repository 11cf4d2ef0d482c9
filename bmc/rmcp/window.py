"""The window of session sequence numbers that a receiver accepts: no replay, some reordering (§6.12.13)."""

AHEAD = 15
BEHIND = 16


class SequenceWindow:
    """Up to 15 ahead of and 16 behind the highest seen; each number once; 0 never.

    A jump of more than 15 after heavy loss is taken all the same by `is_lenient`: a console that lost twenty answers
    must not lose its session. The integrity check was passed before, so only the peer itself can make such a jump.
    """

    def __init__(self, *, is_lenient: bool = False) -> None:
        self._highest = 0
        self._seen = 0
        self._ahead = 0x7FFFFFFF if is_lenient else AHEAD

    def accept(self, sequence: int) -> bool:
        if sequence == 0:
            return False
        step = (sequence - self._highest) & 0xFFFFFFFF
        if self._highest == 0 or 0 < step <= self._ahead:
            self._seen = (self._seen << min(step, BEHIND + 1) | 1) & ((1 << (BEHIND + 1)) - 1)
            self._highest = sequence
            return True
        back = (self._highest - sequence) & 0xFFFFFFFF
        if back > BEHIND or self._seen >> back & 1:
            return False
        self._seen |= 1 << back
        return True
