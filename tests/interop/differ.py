"""The same requests to a real Ironic and to the appliance: what differs in status, shape, headers and words.

    python -m tests.interop.differ [--json FILE] [--only WORD] [--all] [--again FILE]

Each difference either is mended or stands in differ_known.toml with its reason. The rest is printed, and makes the
exit code 1. Ironic is installed from PyPI the first time, as `make bench-api` does. Not here: the requests
(differ_asks), the two servers (differ_worlds), how answers are compared (differ_compare).
"""

import argparse
import json
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from tests.interop import differ_compare, differ_worlds
from tests.interop.differ_asks import every
from tests.interop.differ_worlds import Answer, Ask, Force, Settle, World

KNOWN = Path(__file__).with_name("differ_known.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """asks, lines: patterns; `*` stands for anything, brackets for themselves."""

    why: str
    asks: tuple[str, ...]
    lines: tuple[str, ...]

    def holds(self, ask: str, line: str) -> bool:
        return any(_like(ask, one) for one in self.asks) and any(_like(line, one) for one in self.lines)


@dataclass(slots=True, kw_only=True)
class Outcome:
    """new: (request, difference); kept: reason -> what it explains, likewise."""

    asked: int = 0
    same: int = 0
    new: list[tuple[str, str]] = field(default_factory=list)
    kept: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    sections: Counter[str] = field(default_factory=Counter)

    def judge(self, table: list[Known], ask: str, lines: Iterable[str]) -> None:
        for line in lines:
            why = next((one.why for one in table if one.holds(ask, line)), None)
            if why is None:
                self.new.append((ask, line))
            else:
                self.kept.setdefault(why, []).append((ask, line))

    def idle(self, table: list[Known]) -> list[str]:
        """Reasons that explain nothing (any more)."""
        return [one.why for one in table if one.why not in self.kept]

    def report(self) -> dict[str, object]:
        return {
            "asked": self.asked, "same": self.same, "sections": self.sections, "new": self.new,
            "kept": self.kept,
        }  # fmt: skip


def _like(text: str, pattern: str) -> bool:
    return fnmatchcase(text, pattern.replace("[", "[[]"))


def known(file: Path = KNOWN) -> list[Known]:
    return [
        Known(why=one["why"], asks=tuple(one.get("asks", ["*"])), lines=tuple(one["lines"]))
        for one in tomllib.loads(file.read_text())["known"]
    ]


class Player:
    """Plays the steps in both worlds, in order."""

    def __init__(self, them: World, us: World, table: list[Known]) -> None:
        self._them, self._us, self._table = them, us, table
        self.outcome = Outcome()

    def play(self, section: str, steps: Iterable[Ask | Force | Settle]) -> None:
        for step in steps:
            if isinstance(step, Force):
                self._them.force(step)
                self._us.force(step)
            elif isinstance(step, Settle):
                self._settle(step)
            else:
                self.outcome.sections[section] += 1
                self._ask(step)

    def _settle(self, step: Settle) -> None:
        states = {world.name: world.settle(step) for world in (self._them, self._us)}
        if states["ironic"] != states["ours"]:
            self.outcome.judge(
                self._table, f"SETTLE {step.node}", [f"value state: {states['ironic']}, ours {states['ours']}"]
            )

    def _ask(self, step: Ask) -> None:
        theirs, ours = self._them.ask(step), self._us.ask(step)
        self.outcome.asked += 1
        lines = differ_compare.differences((self._them, theirs), (self._us, ours))
        self.outcome.same += not lines
        self.outcome.judge(self._table, str(step), lines)
        if (theirs.status == 201) != (ours.status == 201):
            self._undo(self._them, theirs)
            self._undo(self._us, ours)

    @staticmethod
    def _undo(world: World, answer: Answer) -> None:
        """What only one of them made would make every later list differ."""
        where = answer.headers.get("location", "").removeprefix(world.origin)
        if answer.status == 201 and where:
            world.ask(Ask(method="DELETE", path=where))


def run(folder: Path, *, only: str = "", table: list[Known] | None = None) -> Outcome:
    with differ_worlds.ironic(folder / "theirs") as them, differ_worlds.ours(folder / "ours") as us:
        player = Player(them, us, known() if table is None else table)
        for section, steps in every().items():
            if only in section:
                player.play(section, steps)
    return player.outcome


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=Path, help="the whole report goes to this file")
    parser.add_argument("--only", default="", help="sections whose name holds this word")
    parser.add_argument("--all", action="store_true", help="leave the table of known differences aside")
    parser.add_argument("--again", type=Path, help="judge the report in this file anew, and ask nobody")
    asked = parser.parse_args()
    if asked.again:
        return said(again(json.loads(asked.again.read_text()), known()))
    with tempfile.TemporaryDirectory(prefix="rackwright-differ-") as folder:
        (Path(folder) / "ours").mkdir()
        outcome = run(Path(folder), only=asked.only, table=[] if asked.all else None)
    if asked.json:
        asked.json.write_text(json.dumps(outcome.report(), indent=1))
    return said(outcome)


def again(report: dict[str, Any], table: list[Known]) -> Outcome:
    """What an earlier report found, in the eyes of another table."""
    outcome = Outcome(asked=report["asked"], same=report["same"], sections=Counter(report["sections"]))
    for ask, line in (*report["new"], *(pair for pairs in report["kept"].values() for pair in pairs)):
        outcome.judge(table, ask, [line])
    return outcome


def said(outcome: Outcome) -> int:
    for ask, line in outcome.new:
        print(f"{ask[:300]}\n    {line}")
    kept = sum(map(len, outcome.kept.values()))
    if len(outcome.sections) == len(every()):
        for why in outcome.idle(known()):
            print(f"explains nothing: {why}")
    print(f"{outcome.asked} requests, {outcome.same} answered alike; differences: {len(outcome.new)} new, {kept} known")
    return int(bool(outcome.new))


if __name__ == "__main__":
    sys.exit(main())
