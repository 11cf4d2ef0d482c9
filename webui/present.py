"""What pages show, as plain values: display groups of states, and where each second of a node's work went."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from appliance.models.event import Event

GROUPS: dict[str, tuple[str, str]] = {
    "enroll": ("new", "○"),
    "verifying": ("busy", "◌"),
    "manageable": ("ready", "◇"),
    "inspecting": ("busy", "◌"),
    "inspect wait": ("busy", "◌"),
    "cleaning": ("busy", "◌"),
    "clean wait": ("busy", "◌"),
    "available": ("free", "◆"),
    "deploying": ("busy", "◌"),
    "wait call-back": ("busy", "◌"),
    "deleting": ("busy", "◌"),
    "active": ("active", "●"),
}
"""Provision state → (display group, sign). What ends in `failed`, and `error`, is a failure; the rest are busy."""


def group(state: str) -> tuple[str, str]:
    """Colour group and sign of a provision state; the word itself is always shown beside them."""
    if state.endswith("failed") or state == "error":
        return "failed", "✕"
    return GROUPS.get(state, ("busy", "◌"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One line of the timeline picture. left and width: per mille of the whole span."""

    label: str
    seconds: float
    left: int
    width: int
    kind: str


def bars(events: Sequence[Event]) -> list[Bar]:
    """Steps and agent commands of the newest piece of work, as bars over its span."""
    starts = [event for event in events if event.kind == "flow.start"]
    if not starts:
        return []
    begin = starts[-1].at
    timed = [event for event in events if event.duration_s and event.at >= begin and event.kind != "flow.done"]
    if not timed:
        return []
    span = max((max(event.at for event in timed) - begin).total_seconds(), 0.001)
    return [_bar(event, begin, span) for event in timed]


def _bar(event: Event, begin: datetime, span: float) -> Bar:
    seconds = event.duration_s or 0.0
    end = (event.at - begin).total_seconds()
    left = max(0.0, end - seconds)
    return Bar(
        label=event.message[:60],
        seconds=seconds,
        left=round(1000 * left / span),
        width=max(3, round(1000 * min(seconds, span) / span)),
        kind=event.kind.partition(".")[0],
    )


def ago(at: datetime | None, now: datetime) -> str:
    """`12 s`, `5 min`, `3 h` or `2 d` since a moment."""
    if at is None:
        return "never"
    seconds = max(0, int((now - at).total_seconds()))
    for limit, unit, word in ((120, 1, "s"), (7200, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{seconds // unit} {word}"
    return f"{seconds // 86400} d"
