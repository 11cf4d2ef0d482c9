"""Lines that say how far work is: pure; times are seconds of any steady clock.

A rate is measured, and an ETA is given only when the rate has been watched for a while.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from appliance.main.cli.columns import doing, human_bytes

Json = dict[str, Any]

STEADY_SAMPLES = 3
STEADY_S = 3.0
WINDOW_S = 15.0
QUIET_S = 15.0
BAR = 10


@dataclass(slots=True)
class Meter:
    """Rate of one transfer from samples of (time, amount)."""

    samples: deque[tuple[float, float]] = field(default_factory=deque)
    phase: str = ""

    def add(self, phase: str, done: float, now: float) -> None:
        """A new phase, or an amount that fell, starts over."""
        if phase != self.phase or (self.samples and done < self.samples[-1][1]):
            self.samples.clear()
            self.phase = phase
        self.samples.append((now, done))
        while len(self.samples) > 2 and now - self.samples[0][0] > WINDOW_S:
            self.samples.popleft()

    def rate(self) -> float | None:
        """Amount per second; None until there are two samples some time apart."""
        if len(self.samples) < 2:
            return None
        (start, first), (end, last) = self.samples[0], self.samples[-1]
        return (last - first) / (end - start) if end - start >= 0.5 else None

    def eta_s(self, total: float) -> float | None:
        """Seconds to go; None until the rate is steady."""
        rate = self.rate()
        if not rate or len(self.samples) < STEADY_SAMPLES or self.samples[-1][0] - self.samples[0][0] < STEADY_S:
            return None
        return max(0.0, (total - self.samples[-1][1]) / rate)


@dataclass(slots=True)
class Track:
    """What we know of one node while we wait for it."""

    number: int
    name: str
    started: float
    node: Json = field(default_factory=dict)
    meter: Meter = field(default_factory=Meter)
    ended: float | None = None
    told: str = ""
    told_at: float = -1e9
    told_share: int = 0

    def see(self, node: Json, now: float) -> None:
        """Take in a fresh reading of the node."""
        self.node = node
        progress = node.get("progress")
        if isinstance(progress, dict) and isinstance(progress.get("done"), int | float):
            self.meter.add(str(progress.get("phase")), float(progress["done"]), now)

    def line(self, now: float) -> str:
        """`n1 00:12 deploying: write image 40% 120/300 MiB 12 MiB/s ETA 0:15`."""
        state = str(self.node.get("provision_state") or "?")
        detail = amounts(self.node.get("progress"), self.meter) or doing(self.node)
        return f"{self.name} {clock((self.ended or now) - self.started)} {state}{f': {detail}' if detail else ''}"

    def news(self, now: float) -> str | None:
        """The line for a log: when state or phase changed, ten per cent were done, or it was silent for long."""
        progress = self.node.get("progress")
        share = percent(progress) if isinstance(progress, dict) else None
        phase = progress.get("phase") if isinstance(progress, dict) else doing(self.node)
        essence = f"{self.node.get('provision_state')}|{phase}"
        moved = share is not None and abs(share - self.told_share) >= 10
        if essence == self.told and not moved and now - self.told_at < QUIET_S:
            return None
        self.told, self.told_at, self.told_share = essence, now, share or 0
        return f"[{self.number}] {self.line(now)}"


def percent(progress: Json) -> int | None:
    """0 to 100, or None without a total."""
    done, total = progress.get("done"), progress.get("total")
    if not isinstance(done, int | float) or not isinstance(total, int | float) or total <= 0:
        return None
    return min(100, int(100 * done / total))


def amounts(progress: object, meter: Meter) -> str:
    """Phase, share, amount, rate and ETA, as far as they are known."""
    if not isinstance(progress, dict):
        return ""
    share = percent(progress)
    words = [str(progress.get("phase") or "")]
    done, total, unit = progress.get("done"), progress.get("total"), str(progress.get("unit") or "")
    if share is not None:
        words.append(f"{share}%")
    if isinstance(done, int | float):
        words.append(_amount(done, total, unit))
        rate = meter.rate()
        if rate:
            words.append(f"{_one(rate, unit)}/s")
        eta = meter.eta_s(float(total)) if isinstance(total, int | float) else None
        if eta is not None:
            words.append(f"ETA {clock(eta)}")
    message = str(progress.get("message") or "")
    if share is None or " of " not in message:  # "84 of 336 MiB" would say it twice
        words.append(message)
    return " ".join(word for word in words if word)


def aggregate(tracks: Sequence[Track], failed: int, now: float) -> str:
    """One line for many nodes: a bar, counts, and what most of them do."""
    ended = sum(track.ended is not None for track in tracks)
    filled = BAR * ended // len(tracks) if tracks else 0
    states: dict[str, int] = {}
    for track in tracks:
        if track.ended is None:
            state = str(track.node.get("provision_state") or "?")
            states[state] = states.get(state, 0) + 1
    busiest = ", ".join(f"{state} {count}" for state, count in sorted(states.items(), key=lambda pair: -pair[1])[:3])
    started = min((track.started for track in tracks), default=now)
    text = (
        f"[{'#' * filled}{'.' * (BAR - filled)}] {ended}/{len(tracks)} ended, {failed} failed, {clock(now - started)}"
    )
    return f"{text}; {busiest}" if busiest else text


def transfer(label: str, done: int, total: int | None, meter: Meter) -> str:
    """A line for bytes that we move ourselves."""
    return amounts({"phase": label, "done": done, "total": total, "unit": "bytes"}, meter)


def clock(seconds: float) -> str:
    """`0:42`, `12:05`, `1:02:03`."""
    whole = max(0, int(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, rest = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _amount(done: float, total: object, unit: str) -> str:
    if isinstance(total, int | float) and total > 0:
        return f"{_one(done, unit)} of {_one(total, unit)}"
    return _one(done, unit)


def _one(number: float, unit: str) -> str:
    if unit in {"bytes", "B", ""}:
        return human_bytes(number)
    return f"{number:.0f} {unit}"
