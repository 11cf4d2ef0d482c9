"""Memory (PSS) of every process of `rackwright serve`: idle, and with 1,000 nodes that were listed and worked on.

`python -m tests.bench.bench_memory [--nodes 1000] [--quick]` prints one JSON object. As root all processes are served,
in a network namespace of their own, since netboot wants its ports; otherwise without netboot, and `whole` says so.
PSS counts a page that several processes share once over all of them.
"""

import argparse
import ctypes
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.fakes import serving

GOAL_MB = 150
CLONE_NEWNET = 0x40000000


def alone_on_the_network() -> bool:
    """Move this process, and what it starts, to a network of its own with loopback only. False when not allowed."""
    if os.geteuid() != 0 or ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        return False
    return subprocess.run(["ip", "link", "set", "lo", "up"], check=False).returncode == 0


def settled(it: serving.Appliance, quiet_s: float) -> dict[str, float]:
    time.sleep(quiet_s)
    shown = it.pss_mb()
    return shown | {"all": round(sum(shown.values()), 1)}


def fill(it: serving.Appliance, nodes: int) -> None:
    done = it.cli("lab", "simulate", "--racks", "25", "--nodes", str(nodes), "--delay", "0s")
    if done.returncode:
        raise SystemExit(done.stderr)
    client = it.client()
    for _ in range(3):
        list(client.items("/v1/nodes"))
    for node in client.items("/v1/nodes", rack="sim-r01"):
        client.call("POST", f"/v1/nodes/{node['uuid']}/manage", body={})
    client.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--quick", action="store_true")
    asked = parser.parse_args()
    quiet_s = 2.0 if asked.quick else 8.0
    is_whole = alone_on_the_network()
    shown: dict[str, Any] = {"bench": "memory", "whole": is_whole, "goal_mb": GOAL_MB, "nodes": asked.nodes}
    with (
        tempfile.TemporaryDirectory(prefix="rackwright-bench-") as name,
        serving.appliance(Path(name), only="api,worker,netboot" if is_whole else "api,worker") as it,
    ):
        it.stop()  # what the first start and the log-in left in memory is not idle
        it.start()
        shown["idle_mb"] = settled(it, quiet_s)
        fill(it, asked.nodes)
        shown["with_nodes_mb"] = settled(it, quiet_s)
    shown["ok"] = shown["idle_mb"]["all"] <= GOAL_MB
    print(json.dumps(shown, indent=2))
    raise SystemExit(0 if shown["ok"] else 1)


if __name__ == "__main__":
    main()
