"""A machine's timeline as text: one bar per phase, finer lines for what the appliance timed inside it. Pure."""

from collections.abc import Sequence

from appliance.lab.phases import MachineReport, Phase

_NAME_WIDTH = 26
_LEAST_SPAN_S = 1.0
_SAME_S = 0.5
_MOST_SPANS = 12


def timeline(report: MachineReport, *, width: int = 100, is_unicode: bool = True) -> list[str]:
    """Lines no longer than width (at least 60)."""
    head = f"{report.name} ({report.firmware})"
    if not report.phases:
        return [f"{head}: nothing happened"]
    begin, end = report.phases[0].start_s, report.phases[-1].end_s
    scale = _Scale(begin, max(end - begin, 0.001), max(60, width) - _NAME_WIDTH - 12, is_unicode=is_unicode)
    lines = [f"{head}: {end - begin:.1f} s from power on" + (f", address {report.address}" if report.address else "")]
    for phase in report.phases:
        lines.append(scale.line(phase.name, phase, solid=True))
        lines += [scale.line(f"  {span.name}", span, solid=False) for span in _inside(report.spans, phase)]
    return lines


def _inside(all_spans: Sequence[Phase], phase: Phase) -> list[Phase]:
    """The longest ones that end within the phase, in the order of their start; a phase that is one span shows none."""
    found = [
        s for s in all_spans if phase.start_s < s.end_s <= phase.end_s + 0.001 and s.end_s - s.start_s >= _LEAST_SPAN_S
    ]
    kept: list[Phase] = []
    for span in sorted(found, key=lambda span: span.start_s - span.end_s):
        # A step and the command that it waits for are one thing to a reader.
        if not any(_is_same(span, other) for other in kept):
            kept.append(span)
    return sorted(kept[:_MOST_SPANS], key=lambda span: (span.start_s, -span.end_s))


def _is_same(one: Phase, other: Phase) -> bool:
    return max(abs(one.start_s - other.start_s), abs(one.end_s - other.end_s)) < _SAME_S


class _Scale:
    def __init__(self, begin: float, length: float, columns: int, *, is_unicode: bool) -> None:
        self._begin, self._length, self._columns = begin, length, columns
        self._solid, self._light = ("█", "░") if is_unicode else ("#", "-")

    def line(self, name: str, phase: Phase, *, solid: bool) -> str:
        left = self._column(phase.start_s)
        right = max(left + 1, self._column(phase.end_s))
        bar = " " * left + (self._solid if solid else self._light) * (right - left)
        label = name if len(name) <= _NAME_WIDTH else name[: _NAME_WIDTH - 1] + ("…" if self._solid == "█" else "~")
        return f"{label:<{_NAME_WIDTH}} {phase.end_s - phase.start_s:7.1f} s {bar}".rstrip()

    def _column(self, second: float) -> int:
        share = (second - self._begin) / self._length
        return min(self._columns - 1, max(0, round(share * self._columns)))
