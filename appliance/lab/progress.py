"""What the story shows while it runs: a live table on a terminal, plain lines in a pipe. Both go to standard error."""

import os
import re
import sys
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TextIO

from appliance.lab.phases import Phase

if TYPE_CHECKING:
    from rich.table import Table


_NUMBER = re.compile(r"[0-9.]+ ?%?")


class Progress(Protocol):
    """Called from several threads."""

    def note(self, machine: str | None, text: str) -> None:
        """Something that is going on now, replacing what was said before."""
        ...

    def ended(self, machine: str, phase: Phase) -> None: ...

    def failed(self, machine: str | None, text: str) -> None: ...


class Lines:
    """One line per event, each with the seconds since the start; nothing is repeated."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._begin = time.monotonic()
        self._lock = threading.Lock()
        self._last: dict[str | None, str] = {}

    def note(self, machine: str | None, text: str) -> None:
        # Percentages change every second; a log wants to know only that something else began.
        subject = text.split(":", maxsplit=1)[0]
        if self._last.get(machine) != subject:
            self._last[machine] = subject
            self._write(machine, text)

    def ended(self, machine: str, phase: Phase) -> None:
        self._write(machine, f"{phase.name} done in {phase.end_s - phase.start_s:.1f} s")

    def failed(self, machine: str | None, text: str) -> None:
        self._write(machine, f"FAILED: {text}")

    def _write(self, machine: str | None, text: str) -> None:
        with self._lock:
            self._out.write(f"{time.monotonic() - self._begin:7.1f} s  {machine or '-':<8} {text}\n")
            self._out.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._out.flush()


class LiveTable:
    """A table that is redrawn: machine, what it does now, what is done."""

    def __init__(self, machines: Sequence[str]) -> None:
        # Loaded here because a pipe never needs it.
        from rich.console import Console  # noqa: PLC0415
        from rich.live import Live  # noqa: PLC0415

        self._lock = threading.Lock()
        self._now: dict[str, str] = dict.fromkeys(machines, "waiting")
        self._done: dict[str, list[str]] = {name: [] for name in machines}
        self._began = {name: time.monotonic() for name in machines}
        self._general = ""
        self._live = Live(console=Console(stderr=True), get_renderable=self._draw, refresh_per_second=4)

    def note(self, machine: str | None, text: str) -> None:
        with self._lock:
            if machine is None:
                self._general = text
            elif self._now[machine].split(":")[0] != text.split(":", maxsplit=1)[0]:
                self._began[machine] = time.monotonic()
                self._now[machine] = text
            else:
                self._now[machine] = text

    def ended(self, machine: str, phase: Phase) -> None:
        with self._lock:
            self._done[machine].append(f"{phase.name} {phase.end_s - phase.start_s:.0f}s")

    def failed(self, machine: str | None, text: str) -> None:
        self.note(machine, f"FAILED: {text}")

    def _draw(self) -> "Table":
        from rich.table import Table as Fresh  # noqa: PLC0415

        with self._lock:
            table = Fresh(title=self._general or None, title_justify="left", expand=False)
            for column in ("machine", "now", "for", "done"):
                table.add_column(column, no_wrap=column in ("machine", "for"))
            for name, now in self._now.items():
                seconds = time.monotonic() - self._began[name]
                table.add_row(name, now, f"{seconds:.0f} s", ", ".join(self._done[name]))
        return table

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()


def choose(machines: Sequence[str], *, out: TextIO | None = None) -> Lines | LiveTable:
    """A table when a person watches on a terminal that can redraw; lines otherwise."""
    stream = out or sys.stderr
    if stream.isatty() and os.environ.get("TERM") not in (None, "", "dumb"):
        return LiveTable(machines)
    return Lines(stream)
