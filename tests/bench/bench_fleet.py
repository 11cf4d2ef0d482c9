"""A simulated fleet from enrolment to active through the real processes and the command line.

`python -m tests.bench.bench_fleet [--nodes 1000] [--fail 0.02] [--quick]` prints one JSON object. `rackwright serve
--only api,worker` on SQLite (or --database postgresql); the pretend machines answer at once, so the figures are those
of the appliance. cpu_ms_per_node: processor time of `control`, which does not depend on who else uses the machine.
"""

import argparse
import json
import os
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.fakes import postgres_server, serving

WAIT = "1800s"


def states(it: serving.Appliance) -> dict[str, int]:
    found: dict[str, int] = {}
    for node in it.client().items("/v1/nodes"):
        found[node["provision_state"]] = found.get(node["provision_state"], 0) + 1
    return found


def phase(it: serving.Appliance, nodes: int, *argv: str, expect: tuple[int, ...] = (0,)) -> dict[str, Any]:
    cpu, started = it.cpu_s(), time.monotonic()
    done = it.cli(*argv, within_s=1800)
    taken, used = time.monotonic() - started, it.cpu_s() - cpu
    if done.returncode not in expect:
        raise SystemExit(f"{argv} ended with {done.returncode}: {done.stderr[-2000:]}")
    figures = {"seconds": round(taken, 1), "nodes_per_s": round(nodes / taken, 1),
               "cpu_ms_per_node": round(1000 * used / nodes, 1)}  # fmt: skip
    return figures | {"output": done.stdout}


def failures(it: serving.Appliance, output: str, nodes: int) -> dict[str, Any]:
    """Whether the command's words, the states and the counts say the same."""
    rows = json.loads(output)
    items = rows["items"] if isinstance(rows, dict) else rows
    bad = [row for row in items if row["result"] != "done"]
    now = states(it)
    failed = list(it.client().items("/v1/nodes", state="deploy failed"))
    return {
        "rows": len(items), "failed": len(bad), "states": now,
        "all_named": all(row["reason"] and row["name"] for row in bad)
        and {row["name"] for row in bad} == {node["name"] for node in failed},
        "all_explained": all(node["failure"]["step"] and node["failure"]["next"] for node in failed),
        "counts_add_up": len(items) == nodes == sum(now.values()) and now.get("deploy failed", 0) == len(bad),
    }  # fmt: skip


def run(it: serving.Appliance, nodes: int, rate: float) -> dict[str, Any]:
    it.image()
    fail = ("--fail", f"deploy={rate}") if rate else ()
    whole, cpu = time.monotonic(), it.cpu_s()
    shown: dict[str, Any] = {"nodes": nodes}
    steps: dict[str, dict[str, Any]] = {
        "simulate": phase(it, nodes, "lab", "simulate", "--racks", "25", "--nodes", str(nodes), "--delay", "0s", *fail)
    }
    for name, at in (("manage", "enroll"), ("inspect", "manageable"), ("provide", "manageable")):
        steps[name] = phase(it, nodes, "node", name, "-l", f"state:{at}", "--wait", WAIT)
    deploy = ("node", "deploy", "-l", "state:available", "--image", "tiny", "--wait", WAIT, "-o", "json")
    steps["deploy"] = phase(it, nodes, *deploy, expect=(0, 1, 6, 8, 9, 10))
    taken = time.monotonic() - whole
    shown["enroll_to_active"] = {
        "seconds": round(taken, 1), "nodes_per_s": round(nodes / taken, 2),
        "cpu_ms_per_node": round(1000 * (it.cpu_s() - cpu) / nodes, 1),
    }  # fmt: skip
    shown["result"] = failures(it, steps["deploy"]["output"], nodes)
    shown["phases"] = {
        name: {key: value for key, value in one.items() if key != "output"} for name, one in steps.items()
    }
    return shown


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--nodes", type=int)
    parser.add_argument("--fail", type=float, default=0.02)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--quick", action="store_true")
    asked = parser.parse_args()
    nodes = asked.nodes or (100 if asked.quick else 1000)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rackwright-bench-")))
        url = None
        if asked.database == "postgresql":
            home = stack.enter_context(postgres_server.server(is_durable=True))
            postgres_server.execute(home, "CREATE DATABASE fleet")
            url = postgres_server.url(home, "fleet")
        it = stack.enter_context(serving.appliance(folder, database_url=url))
        shown = run(it, nodes, asked.fail)
        shown["pss_mb"] = it.pss_mb()
    good = shown["result"]
    ok = good["counts_add_up"] and good["all_named"] and good["all_explained"]
    print(json.dumps({"bench": "fleet", "database": asked.database, "cores": os.cpu_count(),
                      "load": os.getloadavg()[0], "ok": ok, **shown}, indent=2))  # fmt: skip
    raise SystemExit(0 if ok else 1)


if __name__ == "__main__":
    main()
