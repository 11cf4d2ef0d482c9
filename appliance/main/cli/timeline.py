"""The picture of where a node's time went: one bar per phase on a common scale. Pure.

Phases come from the appliance (`phases`), or are read from the events that end something and say how long it took.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from appliance.main.cli.progress import clock
from appliance.main.cli.text import inert

Json = dict[str, Any]

EIGHTHS = " ▏▎▍▌▋▊▉█"
IDLE_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """start_s, end_s: seconds from the picture's beginning. is_open: still going on at end_s."""

    name: str
    start_s: float
    end_s: float
    is_open: bool = False


def phases_of(document: Json, now: datetime) -> list[Phase]:
    """The phases of a timeline document, from its earliest moment."""
    spans = _given(document, now) or _from_events(document)
    if not spans:
        return []
    zero = min(start for _, start, _, _ in spans)
    return [
        Phase(name=inert(name), start_s=start - zero, end_s=max(start, end) - zero, is_open=is_open)
        for name, start, end, is_open in sorted(spans, key=lambda span: (span[1], span[2]))
    ]


def runs(phases: Sequence[Phase], *, idle_s: float = IDLE_S) -> list[tuple[float, list[Phase]]]:
    """Phases in groups with nothing going on between them: (seconds of rest before it, the group from its own start).

    On one scale a night between two deployments would leave nothing to see of either.
    """
    found: list[tuple[float, list[Phase]]] = []
    end = 0.0
    for phase in sorted(phases, key=lambda one: one.start_s):
        if not found or phase.start_s - end > idle_s:
            found.append((max(0.0, phase.start_s - end), []))
            zero = phase.start_s
        found[-1][1].append(replace(phase, start_s=phase.start_s - zero, end_s=phase.end_s - zero))
        end = max(end, phase.end_s)
    return found


def picture(phases: Sequence[Phase], *, width: int, ascii_only: bool = False) -> list[str]:
    """Lines of at most `width` characters: name, bar, duration."""
    if not phases:
        return []
    whole = max(phase.end_s for phase in phases)
    took = [_took(phase) for phase in phases]
    right = max(len(text) for text in [*took, clock(whole)])
    left = min(max(len("total"), *(len(phase.name) for phase in phases)), max(8, width // 3))
    room = max(4, width - left - right - 4)  # 4: a blank and a bar at each side
    lines = []
    for phase, text in zip(phases, took, strict=True):
        bar = _bar(phase, whole, room, ascii_only=ascii_only)
        lines.append(f"{_short(phase.name, left, ascii_only=ascii_only):<{left}} |{bar}| {text:>{right}}")
    lines.append(f"{'total':<{left}}  {'':<{room}}  {clock(whole):>{right}}")
    return lines


def _given(document: Json, now: datetime) -> list[tuple[str, float, float, bool]]:
    spans = []
    for entry in document.get("phases") or []:
        if not isinstance(entry, Mapping):
            continue
        if isinstance(entry.get("start_s"), int | float):
            start, end = float(entry["start_s"]), entry.get("end_s")
            close = float(end) if isinstance(end, int | float) else None
            spans.append((str(entry.get("name")), start, start if close is None else close, close is None))
            continue
        begun, ended = _moment(entry.get("start")), _moment(entry.get("end"))
        if begun is not None:
            close = ended if ended is not None else now.timestamp()
            spans.append((str(entry.get("name")), begun, close, ended is None))
    return spans


def _from_events(document: Json) -> list[tuple[str, float, float, bool]]:
    spans = []
    for event in document.get("items") or document.get("events") or []:
        took, at = event.get("duration_s"), _moment(event.get("at"))
        if isinstance(took, int | float) and at is not None:
            data = event.get("data")
            step = data.get("step") if isinstance(data, Mapping) else None
            spans.append((str(step or event.get("kind")), at - float(took), at, False))
    return spans


def _moment(value: object) -> float | None:
    if not isinstance(value, str):
        return None
    try:
        return datetime.fromisoformat(value).timestamp()
    except ValueError:
        return None


def _took(phase: Phase) -> str:
    seconds = phase.end_s - phase.start_s
    text = clock(seconds)
    if seconds < 10:
        text = f"{seconds:.1f}s" if seconds >= 1 else f"{seconds * 1000:.0f}ms"
    return f"{text}…" if phase.is_open else text


def _short(name: str, limit: int, *, ascii_only: bool) -> str:
    if len(name) <= limit:
        return name
    mark = "~" if ascii_only else "…"
    return name[: limit - 1] + mark


def _bar(phase: Phase, whole: float, room: int, *, ascii_only: bool) -> str:
    scale = room / whole if whole > 0.001 else 0.0
    start = min(int(phase.start_s * scale), room - 1)
    # The bar begins with a whole cell and ends with an eighth of one: neighbours touch, and a short phase still shows.
    if ascii_only:
        filled = "#" * max(1, round(phase.end_s * scale) - start)
    else:
        eighths = max(1, round(phase.end_s * scale * 8) - start * 8)
        filled = EIGHTHS[8] * (eighths // 8) + (EIGHTHS[eighths % 8] if eighths % 8 else "")
    return (" " * start + filled)[:room].ljust(room)
