"""Tables on a terminal, with rich: fitted to the width by leaving out columns, then by shortening the longest.

rich is imported here and in `live` only, when a table or a live display is really drawn.
"""

import os
import shutil
import sys
from collections.abc import Sequence
from datetime import datetime

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from appliance.domain.clock import system_clock
from appliance.main.cli.columns import Column
from appliance.main.cli.text import inert

GAP = 2
NARROWEST = 8
ENOUGH = 16
"""Prose is worth showing when it has so many characters, or all that it needs."""

_STYLES = {
    "active": "green", "available": "green", "power on": "green", "ok": "green", "enrolled": "green",
    "manageable": "cyan", "enroll": "cyan", "yes": "cyan",
    "error": "bold red", "FAIL": "bold red", "failed": "bold red", "killed": "bold red", "critical": "bold red",
    "warning": "yellow", "power off": "dim", "-": "dim",
}  # fmt: skip


def console_for(stream: object = None) -> Console:
    """A rich console that knows NO_COLOR, CLICOLOR_FORCE and TERM=dumb, and interprets no markup."""
    target = stream or sys.stdout
    forced = os.environ.get("CLICOLOR_FORCE", "0") not in {"", "0"}
    dumb = os.environ.get("TERM") == "dumb"
    plain = bool(os.environ.get("NO_COLOR")) or (dumb and not forced)
    return Console(
        file=target,  # type: ignore[arg-type]  # sys.stdout and sys.stderr are text streams
        width=terminal_width(),
        color_system=None if plain else "standard" if forced else "auto",
        force_terminal=True if forced and not plain else None,
        no_color=plain,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )


def terminal_width() -> int:
    """Columns of the terminal; COLUMNS wins."""
    return max(20, shutil.get_terminal_size((80, 24)).columns)


def print_table(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], *, headers: bool, keep_all: bool, is_wide: bool
) -> None:
    """keep_all: the user named the columns, so none is left out. is_wide: nothing is shortened; lines may wrap."""
    cells = [
        [clock_time(text) if column.is_clock else _for_people(text) for column, text in zip(columns, row, strict=True)]
        for row in rows
    ]
    widths = [
        max([cell_len(column.name) if headers else 1, *(cell_len(row[i]) for row in cells)])
        for i, column in enumerate(columns)
    ]
    available = sum(widths) + GAP * len(widths) if is_wide else terminal_width()
    kept, widths = fit(columns, widths, available, keep_all=keep_all)
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), show_header=headers, header_style="bold")
    for index, width in zip(kept, widths, strict=True):
        table.add_column(columns[index].name.upper(), no_wrap=True, overflow="ellipsis", width=width)
    for row in cells:
        table.add_row(*(Text(row[index], style=style_of(row[index])) for index in kept))
    _print_trimmed(table, max(available, sum(widths) + GAP * len(widths)))


def print_pairs(pairs: Sequence[tuple[str, str]]) -> None:
    """Fields of one thing; long values go on below each other."""
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), show_header=False)
    table.add_column(no_wrap=True, style="bold", overflow="ellipsis")
    table.add_column(overflow="fold")
    for name, text in pairs:
        shown = _for_people(text)
        both = f"{text} ({shown})" if shown != text else text
        table.add_row(Text(name), Text(inert(both), style=style_of(text)))
    _print_trimmed(table)


def fit(columns: Sequence[Column], widths: list[int], available: int, *, keep_all: bool) -> tuple[list[int], list[int]]:
    """Which columns stay, and how wide each is: columns leave by number, then the widest are shortened."""
    kept = list(range(len(columns)))
    needed = [min(width, ENOUGH) if columns[at].is_long else width for at, width in enumerate(widths)]
    while not keep_all and sum(needed[index] for index in kept) + GAP * (len(kept) - 1) > available:
        worst = max(kept, key=lambda index: (columns[index].drop, index))
        if columns[worst].drop == 0:
            break
        kept.remove(worst)
    sizes = [widths[index] for index in kept]
    while sum(sizes) + GAP * (len(sizes) - 1) > available and max(sizes) > NARROWEST:
        # Prose first. What names the thing is shortened last: half of a name is no name.
        widest = max(
            (at for at in range(len(sizes)) if sizes[at] > NARROWEST),
            key=lambda at: (columns[kept[at]].is_long and sizes[at] > ENOUGH, columns[kept[at]].drop > 0, sizes[at]),
        )
        sizes[widest] -= 1
    return kept, sizes


def style_of(text: str) -> str:
    """Colour that goes with a word; the word itself always says it too."""
    if text in _STYLES:
        return _STYLES[text]
    if text.endswith(" failed"):
        return "bold red"
    return "yellow" if text.endswith(("ing", " wait")) and len(text) < 24 else ""


def clock_time(text: str) -> str:
    """`2026-03-01T12:00:01.250Z` as `03-01 12:00:01Z`."""
    return f"{text[5:10]} {text[11:19]}Z" if len(text) >= 20 and text[10] == "T" and text.endswith("Z") else text


def _for_people(text: str) -> str:
    """Times relative to now where a person looks at this moment; in a file they would soon be wrong."""
    return ago(text, system_clock()) if sys.stdout.isatty() else text


def ago(text: str, now: datetime) -> str:
    """An ISO time as `3m ago` or `in 2h`; any other text as it is."""
    if len(text) < 20 or text[4:5] != "-" or not text.endswith("Z"):
        return text
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    seconds = (now - moment).total_seconds()
    return f"{span(seconds)} ago" if seconds >= 0 else f"in {span(-seconds)}"


def span(seconds: float) -> str:
    """`45s`, `3m`, `2h`, `5d`."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds / size:.0f}{unit}"
    return f"{max(0, seconds):.0f}s"


def _print_trimmed(table: Table, width: int | None = None) -> None:
    console = console_for()
    if width is not None:
        console.width = width
    with console.capture() as captured:
        console.print(table)
    # rich pads every line to the width of its cells: trailing blanks only disturb copying and diffs.
    for line in captured.get().splitlines():
        sys.stdout.write(line.rstrip() + "\n")
