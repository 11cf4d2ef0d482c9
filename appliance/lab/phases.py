"""Where the seconds of one machine go: a row of phases without gaps, and the values of the report. Pure.

The phases up to the agent's call are cut out of the appliance's event log after the fact, because the story cannot see
them happen; the others begin when the story asks and end when the appliance says so.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Json = dict[str, Any]

# The story's clock and the appliance's are one, but the event is written a moment before or after the deed.
CLOCK_SLACK_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """Seconds since the story's beginning."""

    name: str
    start_s: float
    end_s: float

    def to_json(self) -> Json:
        return {"name": self.name, "start_s": round(self.start_s, 3), "end_s": round(self.end_s, 3)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that was asked, and how it ended. detail: a sentence for people, without secrets."""

    name: str
    machine: str | None
    is_ok: bool
    start_s: float
    end_s: float
    detail: str = ""

    def to_json(self) -> Json:
        return {
            "name": self.name,
            "machine": self.machine,
            "ok": self.is_ok,
            "start_s": round(self.start_s, 3),
            "end_s": round(self.end_s, 3),
            "detail": self.detail,
        }


@dataclass(slots=True, kw_only=True)
class MachineReport:
    """spans: what the appliance itself timed (steps, transfers, agent commands), for the finer lines of the picture."""

    name: str
    firmware: str
    phases: list[Phase] = field(default_factory=list)
    spans: list[Phase] = field(default_factory=list)
    has_ssh: bool = False
    node: str | None = None
    address: str | None = None
    error: Json | None = None

    def to_json(self) -> Json:
        return {
            "name": self.name,
            "firmware": self.firmware,
            "phases": [phase.to_json() for phase in self.phases],
            "spans": [span.to_json() for span in self.spans],
            "ssh": self.has_ssh,
            "node": self.node,
            "address": self.address,
            "error": self.error,
        }


@dataclass(slots=True, kw_only=True)
class Report:
    machines: list[MachineReport]
    steps: list[Step]

    @property
    def is_ok(self) -> bool:
        return bool(self.machines) and all(m.error is None and m.has_ssh for m in self.machines) and self._steps_ok()

    def _steps_ok(self) -> bool:
        return all(step.is_ok for step in self.steps)

    def to_json(self) -> Json:
        return {
            "ok": self.is_ok,
            "machines": [machine.to_json() for machine in self.machines],
            "steps": [step.to_json() for step in self.steps],
        }


Mark = Callable[[Mapping[str, Any]], bool]


def _is_kind(*prefixes: str, about: str = "") -> Mark:
    def matches(event: Mapping[str, Any]) -> bool:
        text = f"{event.get('message')} {event.get('data')}"
        return str(event.get("kind")).startswith(prefixes) and about in text

    return matches


# (phase that ends with it, the event that ends it), in the order in which they happen.
_BOOT_MARKS: Sequence[tuple[str, Mark]] = (
    ("firmware", _is_kind("dhcp.", "sighting")),
    ("ipxe", _is_kind("boot.script")),
    ("load", _is_kind("http.done", about="initrd")),
    ("agent start", _is_kind("agent.alive")),
)


def boot_phases(
    events: Sequence[Mapping[str, Any]], *, power_s: float, enrolled_s: float, begin: datetime
) -> list[Phase]:
    """From the power button to the enrolled node; a mark that the log lacks joins its neighbours.

    events: of this machine, oldest first, with `at` and `kind`; those before power_s are left out.
    """
    phases: list[Phase] = []
    start = power_s
    at = 0
    timed: list[tuple[float, Mapping[str, Any]]] = []
    for event in events:
        second = seconds_since(begin, event)
        if second is not None and second >= power_s - CLOCK_SLACK_S:
            timed.append((second, event))
    # The network processes report in batches, so the log's own order is not that of time.
    timed.sort(key=lambda entry: entry[0])
    for name, ends in _BOOT_MARKS:
        found = next((i for i in range(at, len(timed)) if ends(timed[i][1])), None)
        if found is None or timed[found][0] > enrolled_s:
            continue
        end = max(start, timed[found][0])
        phases.append(Phase(name=name, start_s=start, end_s=end))
        start, at = end, found + 1
    return [*phases, Phase(name="enroll", start_s=start, end_s=max(start, enrolled_s))]


def spans(events: Sequence[Mapping[str, Any]], *, begin: datetime) -> list[Phase]:
    """Every event that ends something (it has a duration), as the time it took."""
    found = []
    for event in events:
        end, duration = seconds_since(begin, event), event.get("duration_s")
        if end is None or not isinstance(duration, int | float) or duration <= 0:
            continue
        label = str(event.get("message") or event.get("kind"))
        found.append(Phase(name=label[:60], start_s=max(0.0, end - duration), end_s=end))
    return found


def seconds_since(begin: datetime, event: Mapping[str, Any]) -> float | None:
    """None when the event bears no time that can be read."""
    try:
        at = datetime.fromisoformat(str(event["at"]))
        return (at - begin).total_seconds()
    except (KeyError, ValueError, TypeError):
        return None
