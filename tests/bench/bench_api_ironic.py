"""The Bare Metal API, side by side: Ironic from PyPI and the appliance with TLS and tokens on, in turn, in one run.

`python -m tests.bench.bench_api_ironic [--rounds 3] [--quick] [--only ours]` prints one JSON object (`make bench-api`
keeps it). Each round starts each server anew with an empty database and plays the same load (tests.bench.api_load); the
figures are medians over the rounds, `ratio` says how many times better ours is. Exit code 1 when a goal is missed.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench import api_lifecycle, api_load, ironic_server
from tests.bench.api_load import Load, Target
from tests.fakes import serving

BUILDS = Path(".build/bench-api")


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    creates: int
    nodes: int  # while reading
    full: int  # while memory is measured
    crowd: int  # ours alone: while a filtered page is measured
    gets: int
    repeat: int
    lifecycle: int
    clients: int = 8


WHOLE = Size(creates=500, nodes=1000, full=5000, crowd=10000, gets=1000, repeat=7, lifecycle=100)
QUICK = Size(creates=50, nodes=100, full=200, crowd=700, gets=100, repeat=3, lifecycle=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """path: of the figure. ratio: how many times better than Ironic; most: a limit of its own."""

    name: str
    path: str
    is_rate: bool = False
    ratio: float | None = None
    most: float | None = None


GOALS = (
    Goal(name="creates/s, 1 client", path="create_1.per_s", is_rate=True, ratio=6),
    Goal(name="creates/s, 8 clients", path="create_8.per_s", is_rate=True, ratio=6),
    Goal(name="creates p99 ms, 8 clients", path="create_8.p99_ms"),
    Goal(name="list, page of 1,000, ms", path="read.list.p50_ms", ratio=12),
    Goal(name="detail, page of 1,000, ms", path="read.detail.p50_ms", ratio=12),
    Goal(name="one node p50 ms", path="read.one.p50_ms", ratio=4),
    Goal(name="one node p99 ms", path="read.one.p99_ms"),
    Goal(name="reads/s, 8 clients", path="read.many.per_s", is_rate=True, ratio=6),
    Goal(name="reads p99 ms, 8 clients", path="read.many.p99_ms", ratio=8),
    Goal(name="lifecycle, enroll to active, s", path="lifecycle.wall_s", ratio=10),
    Goal(name="lifecycle, teardown, s", path="lifecycle.teardown_s"),
    Goal(name="memory (PSS) when full, MB", path="memory_mb", ratio=2),
    Goal(name="filtered page of 50 p95 ms", path="filtered.p95_ms", most=20),
)


def play(load: Load, size: Size, memory: Callable[[], float]) -> dict[str, Any]:
    """One round on an empty server."""
    figures: dict[str, Any] = {"load_before": round(os.getloadavg()[0], 2)}
    figures["lifecycle"] = api_lifecycle.lifecycle(load, size.lifecycle, api_lifecycle.Pace(clients=size.clients))
    figures["create_1"] = api_load.create(load, range(size.creates), 1)
    figures["create_8"] = api_load.create(load, range(size.creates, 2 * size.creates), size.clients)
    api_load.fill(load, range(2 * size.creates, size.nodes))
    figures["read"] = api_load.read(load, size.nodes, clients=size.clients, repeat=size.repeat, gets=size.gets)
    api_load.fill(load, range(size.nodes, size.full))
    api_load.pages(load, "/v1/nodes/detail")
    figures["memory_mb"] = memory()
    figures["load_after"] = round(os.getloadavg()[0], 2)
    return figures


@contextmanager
def ironic(folder: Path) -> Iterator[tuple[Load, Callable[[], float]]]:
    with ironic_server.running(BUILDS, folder) as it:
        yield Load(it.target), lambda: round(sum(map(serving.pss_mb, it.pids())), 1)


@contextmanager
def ours(folder: Path) -> Iterator[tuple[Load, Callable[[], float]]]:
    """`rackwright serve` as it is installed: HTTPS, and a system-scoped token in each request."""
    with serving.appliance(folder, settings={"log": {"level": "warning"}}) as it:
        target = Target(url=f"{it.url}/baremetal", headers={"X-Auth-Token": token(it)}, ca=str(it.ca))
        yield Load(target), lambda: round(sum(it.pss_mb().values()), 1)


def token(it: serving.Appliance) -> str:
    user = {"name": "admin", "domain": {"name": "Default"}, "password": serving.PASSWORD}
    auth = {
        "identity": {"methods": ["password"], "password": {"user": user}}, "scope": {"system": {"all": True}}
    }  # fmt: skip
    answer = it.client().call("POST", "/identity/v3/auth/tokens", body={"auth": auth})
    return str(answer.headers["x-subject-token"])


def crowd(load: Load, size: Size) -> dict[str, float]:
    """Ours alone: one in ten nodes is of the class that is asked for."""
    small = size.crowd // 10
    api_load.fill(load, range(size.full, size.crowd - small))
    api_load.fill(load, range(size.crowd - small, size.crowd), resource_class="bench-small")
    return api_load.filtered(load, 200)


def at(figures: Any, path: str) -> float | None:
    for key in path.split("."):
        figures = figures.get(key) if isinstance(figures, dict) else None
    return figures


def median(rounds: list[dict[str, Any]], path: str) -> float | None:
    found = [value for one in rounds if (value := at(one, path)) is not None]
    return statistics.median(found) if found else None


def compare(rounds: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return [row(goal, median(rounds["ironic"], goal.path), median(rounds["ours"], goal.path)) for goal in GOALS]


def row(goal: Goal, them: float | None, us: float | None) -> dict[str, Any]:
    """One line of the table; ratio: how many times better ours is; met: None when there is nothing to judge by."""
    ratio = round(us / them if goal.is_rate else them / us, 1) if them and us else None
    wanted, is_met = "", None
    if goal.ratio is not None:
        wanted, is_met = f">= {goal.ratio:g}x", None if ratio is None else ratio >= goal.ratio
    elif goal.most is not None:
        wanted, is_met = f"<= {goal.most:g}", None if us is None else us <= goal.most
    return {"name": goal.name, "goal": wanted, "ironic": them, "ours": us, "ratio": ratio, "met": is_met}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round of few nodes: says that it works, not how fast")
    parser.add_argument("--only", choices=("ironic", "ours"))
    asked = parser.parse_args()
    size, rounds = (QUICK, 1) if asked.quick else (WHOLE, asked.rounds)
    servers = {"ironic": ironic, "ours": ours}
    found: dict[str, list[dict[str, Any]]] = {"ironic": [], "ours": []}
    for number in range(rounds):
        for name, server in servers.items():
            if asked.only in {None, name}:
                sys.stderr.write(f"round {number + 1} of {rounds}: {name} …\n")
                found[name].append(one(server, name, size))
    table = compare(found)
    print(json.dumps({
        "bench": "api-ironic", "ironic": ironic_server.version(), "cores": os.cpu_count(), "rounds": rounds,
        "quick": asked.quick, "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "table": table, "all": found,
    }, indent=2))  # fmt: skip
    say(table)
    return int(not asked.quick and any(line["met"] is False for line in table))


def one(server: Any, name: str, size: Size) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="rackwright-bench-") as folder, server(Path(folder)) as (load, memory):
        figures = play(load, size, memory)
        if name == "ours":
            figures["filtered"] = crowd(load, size)
    return figures


def say(table: list[dict[str, Any]]) -> None:
    for line in table:
        ratio = f"{line['ratio']}x" if line["ratio"] else ""
        met = {True: "met", False: "missed", None: ""}[line["met"]]
        figures = f"ironic {line['ironic']!s:>8}  ours {line['ours']!s:>8}  {ratio:>7}"
        sys.stderr.write(f"{line['name']:<32} {figures} {line['goal']:>7} {met}\n")


if __name__ == "__main__":
    sys.exit(main())
