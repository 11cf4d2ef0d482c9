"""Where each second of a node's time went: phases in words, cut out of its event log. Pure.

The engine's events of one piece of work follow each other without gaps; a long wait for the machine is cut finer by
what the network services saw of it meanwhile.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from appliance.models.event import Event
from webui import words

IDLE_S = 60.0
"""A longer rest between two phases begins a new picture: on one scale, neither would be seen."""
TRIFLE_S = 0.05
_OF_POWER = ("read_bmc", "power", "await_on", "await_off", "boot_device")
"""Parts of the names of steps that talk to the BMC."""
ENDS = ("flow.done", "flow.failed", "flow.aborted")

KINDS: tuple[tuple[str, str], ...] = (
    ("power", "BMC and power"),
    ("boot", "network boot"),
    ("agent", "agent at work"),
    ("system", "installed system"),
    ("turn", "waits its turn"),
    ("engine", "appliance"),
)
"""Kinds of phases and their words, in the order of the legend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """work: what it was part of (Deploy, …). is_open: it still goes on at `end`."""

    work: str
    name: str
    kind: str
    start: datetime
    end: datetime
    is_open: bool = False

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A phase on the picture's scale: left and width in per cent."""

    phase: Phase
    left: float
    width: float
    begins_work: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    left: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """totals: (kind, its words, seconds), for the legend. trifles: phases too short to be drawn, and their seconds."""

    start: datetime
    end: datetime
    bars: Sequence[Bar] = ()
    ticks: Sequence[Tick] = ()
    totals: Sequence[tuple[str, str, float]] = ()
    trifles: tuple[int, float] = (0, 0.0)
    works: Sequence[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()


def phases(events: Iterable[Event], now: datetime) -> list[Phase]:
    """Every phase of the log, by its start."""
    ordered = sorted(events, key=lambda event: (event.at, event.id))
    by_work: dict[str, list[Event]] = {}
    for event in ordered:
        uuid = event.data.get("flow")
        if isinstance(uuid, str) and (event.actor == "engine" or event.kind == "state"):
            by_work.setdefault(uuid, []).append(event)
    found = [phase for events_of in by_work.values() for phase in _of_work(events_of, ordered, now)]
    busy = [(phase.start, phase.end) for phase in found]
    outside = [event for event in ordered if not any(start <= event.at <= end for start, end in busy)]
    found += _first_boot(outside)
    found += _commands(outside)
    return sorted(_merged(sorted(found, key=_order)), key=_order)


def _order(phase: Phase) -> tuple[datetime, datetime]:
    return phase.start, phase.end


def _of_work(mine: Sequence[Event], everything: Sequence[Event], now: datetime) -> list[Phase]:
    kind = next((str(event.data["kind"]) for event in mine if event.data.get("kind")), "")
    if not kind:
        return []
    work = words.WORK.get(kind, kind)
    found: list[Phase] = []
    for event, following in zip(mine, [*mine[1:], None], strict=True):
        if event.kind in ENDS:
            break
        end = following.at if following is not None else now
        found += _until(work, event, max(end, event.at), everything, is_open=following is None)
    return found


def _until(work: str, event: Event, end: datetime, everything: Sequence[Event], *, is_open: bool) -> list[Phase]:
    """What went on from an event of the engine until the next one."""
    step = str(event.data.get("step") or "")
    if event.kind == "step.start":
        kind = "power" if step == "read_bmc" or "power" in step or "await_o" in step or "boot_dev" in step else "engine"
        name = words.step(step) if kind == "power" else f"appliance: {words.step(step)}"
    elif event.kind == "step.wait":
        return _waited(work, event, end, everything, is_open=is_open)
    elif event.kind == "step.retry":
        name, kind = f"{words.step(step)}: pause before the next try", "turn"
    else:
        name, kind = "waits its turn", "turn"
    return [Phase(work=work, name=name, kind=kind, start=event.at, end=end, is_open=is_open)]


def _waited(work: str, event: Event, end: datetime, everything: Sequence[Event], *, is_open: bool) -> list[Phase]:
    wait_for, step = str(event.data.get("for") or ""), str(event.data.get("step") or "")
    meanwhile = [one for one in everything if event.at <= one.at <= end]
    if wait_for == "agent.alive":
        return _boot(work, event.at, end, meanwhile, is_open=is_open)
    if wait_for == "call-home":
        asked = next((one.at for one in meanwhile if one.kind == "dhcp.discover"), None)
        if asked is None:
            return [_phase(work, "installed system boots, calls home", "system", event.at, end, is_open=is_open)]
        return [
            _phase(work, "installed system starts", "system", event.at, asked),
            _phase(work, "first boot (cloud-init), calls home", "system", asked, end, is_open=is_open),
        ]
    command = {"ask_inventory": "inspect", "leave_agent": "boot_disk"}.get(step, step)
    name = f"agent {words.COMMANDS.get(command, 'works')}"
    return [_phase(work, name, "agent", event.at, end, is_open=is_open)]


def _phase(work: str, name: str, kind: str, start: datetime, end: datetime, *, is_open: bool = False) -> Phase:
    return Phase(work=work, name=name, kind=kind, start=start, end=end, is_open=is_open)


_BOOT_MARKS: Sequence[tuple[str, Callable[[Event], bool]]] = (
    ("firmware starts", lambda event: event.kind == "dhcp.discover" and event.data.get("stage") != "other"),
    ("address and boot script", lambda event: event.kind == "boot.script"),
    ("kernel and ramdisk load", lambda event: event.kind == "http.done" and "initrd" in event.message),
)
"""(phase that ends with it, what ends it), in the order in which they happen."""


def _boot(
    work: str, start: datetime, end: datetime, meanwhile: Sequence[Event], *, is_open: bool = False
) -> list[Phase]:
    """A boot from the network, cut at the marks that the network services saw; without any it stays whole."""
    found: list[Phase] = []
    at = start
    last = "machine boots, agent calls"
    for name, is_mark in _BOOT_MARKS:
        mark = next((event.at for event in meanwhile if event.at >= at and is_mark(event)), None)
        if mark is not None:
            found.append(_phase(work, name, "boot", at, mark))
            at, last = mark, "kernel starts, agent calls"
    return [*found, _phase(work, last, "boot", at, end, is_open=is_open)]


def _first_boot(outside: Sequence[Event]) -> list[Phase]:
    """The boot by which an unknown machine was found: before any work."""
    called = next((event for event in outside if event.kind == "agent.alive"), None)
    asked = next((event for event in outside if event.kind == "dhcp.discover"), None)
    if called is None or asked is None or asked.at >= called.at:
        return []
    meanwhile = [event for event in outside if asked.at < event.at <= called.at]
    return _boot("First boot", asked.at, called.at, meanwhile)


def _commands(outside: Sequence[Event]) -> list[Phase]:
    """What agents did without being part of a piece of work."""
    found = []
    begun: datetime | None = None
    for event in outside:
        if event.kind == "agent.command":
            begun = event.at
        elif event.kind in ("agent.done", "agent.failed") and begun is not None:
            name = words.COMMANDS.get(event.message.partition(" ")[0], "works")
            found.append(_phase("First boot", f"agent {name}", "agent", begun, event.at))
            begun = None
    return found


def _merged(found: Sequence[Phase]) -> list[Phase]:
    """Neighbours of one name as one; what took no time at all is left out."""
    merged: list[Phase] = []
    for phase in (one for one in found if one.is_open or one.seconds > 0):
        last = merged[-1] if merged else None
        if last is not None and (last.work, last.name) == (phase.work, phase.name) and last.end == phase.start:
            merged[-1] = replace(last, end=phase.end, is_open=phase.is_open)
        else:
            merged.append(phase)
    return merged


def pictures(found: Sequence[Phase]) -> list[Picture]:
    """The log cut at its long rests, newest picture first."""
    groups: list[list[Phase]] = []
    end: datetime | None = None
    for phase in found:
        if end is None or (phase.start - end).total_seconds() > IDLE_S:
            groups.append([])
        groups[-1].append(phase)
        end = max(end or phase.end, phase.end)
    return [_picture(group) for group in reversed(groups)]


def _picture(group: Sequence[Phase]) -> Picture:
    start, end = group[0].start, max(phase.end for phase in group)
    span = max((end - start).total_seconds(), 0.001)
    least = max(TRIFLE_S, span / 400)
    shown = [phase for phase in group if phase.is_open or phase.seconds >= least]
    hidden = [phase for phase in group if not phase.is_open and phase.seconds < least]
    bars: list[Bar] = []
    for phase in shown:
        left = 100 * (phase.start - start).total_seconds() / span
        width = max(0.4, 100 * phase.seconds / span)
        begins = not bars or bars[-1].phase.work != phase.work
        bars.append(Bar(phase=phase, left=min(left, 99.6), width=width, begins_work=begins))
    totals = [(kind, text, sum(phase.seconds for phase in shown if phase.kind == kind)) for kind, text in KINDS]
    return Picture(
        start=start, end=end, bars=bars, ticks=_ticks(span), totals=[entry for entry in totals if entry[2] > 0],
        trifles=(len(hidden), sum(phase.seconds for phase in hidden)), works=_works(group),
    )  # fmt: skip


def _works(group: Sequence[Phase]) -> list[str]:
    return list(dict.fromkeys(phase.work for phase in group))


def _ticks(span_s: float) -> list[Tick]:
    """At most five round moments."""
    steps = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
    step = next((step for step in steps if span_s / step <= 5), span_s)
    # The last fifth stays free: a label there would run out of the picture.
    return [
        Tick(left=100 * number * step / span_s, text=words.mark(number * step))
        for number in range(int(span_s / step) + 1)
        if number * step <= span_s * 0.9
    ]
