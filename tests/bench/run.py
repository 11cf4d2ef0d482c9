"""All measurements: `python -m tests.bench.run [--only NAME…] [--quick]`, or `make bench`.

Each bench is a module of its own in a process of its own and prints one JSON object. Here they are run one after the
other; each object is kept as .build/bench/NAME.json, all together as .build/bench/summary.json, and the figures that
matter as a table. A bench that fails does not stop the others, and makes the exit code 1.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OUT = Path(".build/bench")
LIMIT_S = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """module: below tests.bench. shown: label -> path of a figure in the JSON. needs: `root`, or a program."""

    name: str
    module: str
    shown: Mapping[str, str]
    words: Sequence[str] = ()
    quick: Sequence[str] = ("--quick",)
    needs: Sequence[str] = ()


BENCHES = (
    Bench(name="story", module="bench_story", needs=("root", "qemu-system-x86_64"), shown={"machines": "machines"}),
    Bench(
        name="engine", module="bench_engine",
        shown={
            "SQLite steps/s": "sqlite.steps_per_s", "PostgreSQL steps/s": "postgresql.steps_per_s",
            "SQLite waiting flows": "sqlite.waiting.flows", "SQLite waiting, RSS MB": "sqlite.waiting.rss_mb",
            "SQLite waiting, idle CPU %": "sqlite.waiting.idle_cpu_percent",
            "PostgreSQL waiting, RSS MB": "postgresql.waiting.rss_mb",
            "PostgreSQL waiting, idle CPU %": "postgresql.waiting.idle_cpu_percent",
            "SQLite wake p50 ms": "sqlite.waiting.wake_ms_p50",
        },
    ),
    Bench(
        name="fleet", module="bench_fleet",
        shown={
            "nodes/s enroll to active": "enroll_to_active.nodes_per_s",
            "CPU ms per node": "enroll_to_active.cpu_ms_per_node", "counts add up": "result.counts_add_up",
        },
    ),
    Bench(
        name="fleet-postgresql", module="bench_fleet", words=("--database", "postgresql", "--nodes", "200"),
        quick=("--nodes", "50"),
        shown={"nodes/s enroll to active": "enroll_to_active.nodes_per_s", "counts add up": "result.counts_add_up"},
    ),
    Bench(
        name="api", module="bench_api",
        shown={
            "one node p50 ms": "one_node.p50_ms", "one node p99 ms": "one_node.p99_ms",
            "page of 1,000 ms": "page_of_1000.p50_ms", "creates/s": "creates.per_s",
            "reads/s, 8 clients": "reads.per_s",
        },
    ),
    Bench(
        name="heartbeats", module="bench_heartbeats",
        shown={
            "beats/s": "alone.per_s", "p99 ms": "alone.p99_ms",
            "p99 ms with operators": "with_two_operators_creating_nodes.p99_ms", "locked": "database_is_locked",
        },
    ),
    Bench(
        name="memory", module="bench_memory",
        shown={"idle MB": "idle_mb.all", "with nodes MB": "with_nodes_mb.all", "netboot too": "whole"},
    ),
    Bench(
        name="bmc-sweep", module="bench_bmc_sweep", quick=("--count", "100", "--sample", "5"),
        needs=("ipmitool",),
        shown={
            "first sweep s": "first_sweep_with_log_in.last_answer_s", "ipmitool s": "ipmitool_for_all_s",
            "times faster, kept sessions": "times_faster_kept",
        },
    ),
    Bench(
        name="dhcp", module="bench_dhcp", quick=("3",),
        shown={"exchanges/s": "fastest", "at 1,000/s": "steady"},
    ),
    Bench(
        name="perfdhcp", module="bench_perfdhcp", quick=("500", "3"), needs=("root", "perfdhcp"),
        shown={"exchanges/s": "exchanges_per_s", "lost %": "lost_percent"},
    ),
    Bench(
        name="tftp", module="bench_tftp", quick=(),
        shown={"one MiB/s": "one.mib_per_s", "fifty MiB/s": "fifty.mib_per_s"},
    ),
    Bench(name="cli", module="bench_cli", quick=("--runs", "3"), shown={"results": "results"}),
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.run", description="Measurements, as JSON and a table.")
    names = [bench.name for bench in BENCHES]
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--quick", action="store_true", help="small numbers, for a look")
    asked = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    chosen = [bench for bench in BENCHES if asked.only is None or bench.name in asked.only]
    results = [_run(bench, quick=asked.quick) for bench in chosen]
    machine = {
        "cores": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version(),
        "processor": _processor(), "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "quick": asked.quick,
    }  # fmt: skip
    (OUT / "summary.json").write_text(json.dumps({"machine": machine, "benches": results}, indent=2) + "\n")
    _print(results)
    return int(any(result["status"] == "failed" for result in results))


def _run(bench: Bench, *, quick: bool) -> dict[str, Any]:
    result: dict[str, Any] = {"name": bench.name, "status": "ok", "seconds": 0.0, "figures": {}, "why": ""}
    if lacking := [need for need in bench.needs if not _has(need)]:
        return result | {"status": "skipped", "why": f"needs {', '.join(lacking)}"}
    argv = [sys.executable, "-m", f"tests.bench.{bench.module}", *bench.words, *(bench.quick if quick else ())]
    sys.stderr.write(f"{bench.name} …\n")
    load, started = os.getloadavg()[0], time.monotonic()
    try:
        done = subprocess.run(argv, capture_output=True, timeout=LIMIT_S, check=False)
        out, errors, code = done.stdout.decode(), done.stderr.decode(errors="replace"), done.returncode
    except subprocess.TimeoutExpired:
        out, errors, code = "", f"no end within {LIMIT_S} s", -1
    result |= {"seconds": round(time.monotonic() - started, 1), "load_before": round(load, 1)}
    try:
        found = json.loads(out)
    except ValueError:
        return result | {"status": "failed", "why": errors.strip()[-500:] or f"exit code {code} without JSON"}
    (OUT / f"{bench.name}.json").write_text(json.dumps(found, indent=2) + "\n")
    result["figures"] = {label: _at(found, path) for label, path in bench.shown.items()}
    if code:
        result |= {"status": "failed", "why": errors.strip()[-500:] or "a goal was missed"}
    return result


def _has(need: str) -> bool:
    return os.geteuid() == 0 if need == "root" else shutil.which(need) is not None


def _at(found: Any, path: str) -> Any:
    for key in path.split("."):
        found = found.get(key) if isinstance(found, dict) else None
    return found


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _print(results: Sequence[Mapping[str, Any]]) -> None:
    for result in results:
        why = f"  {result['why'].splitlines()[-1]}" if result["why"] else ""
        print(f"{result['name']:<18} {result['status']:<8} {result['seconds']:>7.1f} s{why}")
        for label, value in result["figures"].items():
            for name, shown in _flat(label, value):
                print(f"    {name:<46} {shown}")


def _flat(label: str, value: Any) -> list[tuple[str, Any]]:
    """Objects within a figure, one line each; longer lists are for the JSON only."""
    if isinstance(value, dict):
        return [line for key, inner in value.items() for line in _flat(f"{label}: {key}", inner)]
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [
            line
            for inner in value
            for line in _flat(str(inner.get("name", label)), {k: v for k, v in inner.items() if k not in _LONG})
        ]
    return [(label, value)]


_LONG = {"name", "timeline", "spans"}

if __name__ == "__main__":
    sys.exit(main())
