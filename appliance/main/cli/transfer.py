"""Bytes that this machine moves or reads itself, and how far they are, on stderr."""

import sys
import time
from collections.abc import Callable, Iterator
from typing import IO

from appliance.main.cli.invocation import Invocation
from appliance.main.cli.live import is_animated
from appliance.main.cli.progress import Meter, transfer

BLOCK = 1 << 20


def blocks(stream: IO[bytes], moved: Callable[[int], None]) -> Iterator[bytes]:
    """The file in pieces, telling of each."""
    while block := stream.read(BLOCK):
        yield block
        moved(len(block))


class Report:
    """Bytes, rate and ETA of a transfer on stderr: one line rewritten on a terminal, a line per tenth elsewhere."""

    def __init__(self, inv: Invocation) -> None:
        self._inv = inv
        self._animated = is_animated(inv.environment)
        self._said = ""
        self._dirty = False

    def of(self, label: str, total: int) -> Callable[[int], None]:
        """A function to call with the number of bytes of each block."""
        meter = Meter()
        done, tenth = 0, 0
        next_at = 0.0 if self._animated else time.monotonic() + 2.0  # what is quick needs no line

        def moved(number: int) -> None:
            nonlocal done, next_at, tenth
            done += number
            now = time.monotonic()
            share = 10 * done // total if total else 10
            due = now >= next_at if self._animated else share > tenth and now >= next_at
            if due:
                next_at, tenth = now + (0.2 if self._animated else 2.0), share
                meter.add(label, done, now)
                self.line(transfer(label, done, total, meter))

        return moved

    def line(self, text: str) -> None:
        """Show it, if it says something new."""
        if text == self._said:
            return
        self._said = text
        if self._animated:
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
            self._dirty = True
        else:
            self._inv.note(text)

    def end(self) -> None:
        """Leave a clean line."""
        if self._dirty:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._dirty = False
