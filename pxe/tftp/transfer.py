"""One file on its way to one client: blocks, windows, repeats. Pure: bytes and time in, datagrams out.

A duplicate ACK never causes a send (the "sorcerer's apprentice"); lost blocks are repeated by the clock, or when an
ACK in the middle of a window shows a gap (RFC 7440 §4). Such repeats have a budget, so a reordering network cannot
make a storm. The window is never made smaller than agreed: a client acknowledges full windows only, and would wait. A
peer that never answered is sent at most three datagrams, since its address may be forged.
"""

from collections.abc import Callable
from enum import Enum

from pxe.tftp import packet
from pxe.tftp.negotiate import Terms

_SILENT_SENDS = 3
_PROVEN_SENDS = 5
_SPARE_BLOCKS = 64
_LONGEST_WAIT_S = 4.0


class Outcome(Enum):
    """How a transfer ended; the value is told to people."""

    DONE = "done"
    LOST = "the client stopped answering"
    CHANGED = "the file changed meanwhile"


class Transfer:
    """`read(offset, size)` gives the bytes of the file; blocks are counted from 1 without wrapping."""

    def __init__(self, *, size: int, read: Callable[[int, int], bytes], terms: Terms, now: float) -> None:
        self._size = size
        self._read = read
        self._terms = terms
        self._blocks = size // terms.blksize + 1
        self._spare = self._blocks + _SPARE_BLOCKS  # blocks that may be repeated for gaps
        self._acked = 0
        self._sent = 0
        self._is_open = not terms.accepted  # with options, the client's ACK 0 opens the flow
        self._has_answered = False
        self._sends = 0
        self._deadline = now
        self.outcome: Outcome | None = None
        self.repeats = 0

    @property
    def sent_bytes(self) -> int:
        """Octets of the file that the client has confirmed."""
        return min(self._acked * self._terms.blksize, self._size)

    @property
    def has_answered(self) -> bool:
        return self._has_answered

    def deadline(self) -> float | None:
        """When `on_time` wants to be called."""
        return None if self.outcome is not None else self._deadline

    def start(self, now: float) -> list[bytes]:
        if self._is_open:
            return self._first_block(now)
        self._wait(now)
        return [packet.option_ack(self._terms.accepted)]

    def on_ack(self, block: int, now: float) -> list[bytes]:
        """block: as on the wire, 16 bits."""
        if self.outcome is not None:
            return []
        if not self._is_open:
            return self._open(now) if block == 0 else []
        position = self._acked + ((block - self._acked) & 0xFFFF)
        if not self._acked < position <= self._sent:
            return []
        self._has_answered = True
        self._acked = position
        self._sends = 0
        if position == self._blocks:
            self.outcome = Outcome.DONE
            return []
        return self._after_gap(now) if position < self._sent else self._fill(now)

    def on_time(self, now: float) -> list[bytes]:
        if self.outcome is not None or now < self._deadline:
            return []
        if self._sends >= (_PROVEN_SENDS if self._has_answered else _SILENT_SENDS):
            self.outcome = Outcome.LOST
            return []
        self.repeats += 1
        if not self._is_open:
            self._wait(now)
            return [packet.option_ack(self._terms.accepted)]
        if not self._has_answered:
            self._sent = 0
            return self._first_block(now)
        self._sent = self._acked
        return self._fill(now)

    def _open(self, now: float) -> list[bytes]:
        self._is_open = self._has_answered = True
        self._sends = 0
        return self._fill(now)

    def _after_gap(self, now: float) -> list[bytes]:
        """The client has dropped what follows the gap; send it again while the budget lasts, else leave it to the
        clock.
        """
        self._spare -= self._sent - self._acked
        if self._spare < 0:
            self._wait(now)
            return []
        self._sent = self._acked
        return self._fill(now)

    def _first_block(self, now: float) -> list[bytes]:
        """Without options there is no window; the peer has not proven that it is there."""
        self._wait(now)
        return [self._next_block()]

    def _fill(self, now: float) -> list[bytes]:
        out = []
        while self.outcome is None and self._sent < min(self._blocks, self._acked + self._terms.windowsize):
            out.append(self._next_block())
        if out:
            self._wait(now)
        return out

    def _next_block(self) -> bytes:
        blksize = self._terms.blksize
        offset = self._sent * blksize
        content = self._read(offset, blksize)
        if len(content) != min(blksize, self._size - offset):  # a short block would look like the end of the file
            self.outcome = Outcome.CHANGED
            return packet.error(packet.ErrorCode.UNDEFINED, "the file changed")
        self._sent += 1
        return packet.data(self._sent, content)

    def _wait(self, now: float) -> None:
        self._deadline = now + min(self._terms.timeout_s * 1.5**self._sends, _LONGEST_WAIT_S)
        self._sends += 1
