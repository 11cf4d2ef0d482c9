"""The operators' API with TLS and tokens on, against the real processes on SQLite with 1,000 nodes.

`python -m tests.bench.bench_api [--nodes 1000] [--quick]` prints one JSON object: one node (one client, in turn), a
page of 1,000, creates, and reads by eight clients at once. cpu_ms: processor time of `control` for one request. The
clients are processes of their own on the same machine and cost as much as the server does.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from appliance.main.client import Client
from tests.fakes import serving

READERS = 8
GOALS = {"one_node_p99_ms": 50, "page_of_1000_ms": 500, "creates_per_s": 100, "reads_per_s": 500}


def timed(it: serving.Appliance, times: int, ask: Callable[[int], object]) -> dict[str, float]:
    delays, cpu, started = [], it.cpu_s(), time.perf_counter()
    for number in range(times):
        began = time.perf_counter()
        ask(number)
        delays.append(1000 * (time.perf_counter() - began))
    taken, used = time.perf_counter() - started, it.cpu_s() - cpu
    delays.sort()
    return {
        "p50_ms": round(statistics.median(delays), 2), "p99_ms": round(delays[int(0.99 * (len(delays) - 1))], 2),
        "per_s": round(times / taken, 1), "cpu_ms": round(1000 * used / times, 2),
    }  # fmt: skip


def read(task: tuple[str, Path, str, int, int, float]) -> list[float]:
    """One client in a process of its own: milliseconds of each answer within `seconds`."""
    url, ca, token, number, nodes, seconds = task
    client, delays = Client(url=url, ca=ca, token=token), []
    ends = time.perf_counter() + seconds
    while (began := time.perf_counter()) < ends:
        number = (number * 7 + 3) % nodes
        client.get(f"/v1/nodes/bench{number}")
        delays.append(1000 * (time.perf_counter() - began))
    return delays


def readers(it: serving.Appliance, nodes: int, seconds: float) -> dict[str, float]:
    cpu = it.cpu_s()
    with get_context("fork").Pool(READERS) as pool:
        tasks = [(it.url, it.ca, it.token, number, nodes, seconds) for number in range(READERS)]
        delays = sorted(delay for found in pool.map(read, tasks, 1) for delay in found)
    return {
        "clients": READERS, "per_s": round(len(delays) / seconds, 1), "p50_ms": round(statistics.median(delays), 2),
        "p99_ms": round(delays[int(0.99 * (len(delays) - 1))], 2),
        "cpu_ms": round(1000 * (it.cpu_s() - cpu) / len(delays), 2),
    }  # fmt: skip


def fill(it: serving.Appliance, nodes: int) -> None:
    client = it.client()
    for first in range(0, nodes, 500):
        wishes = [
            {"name": f"bench{number}", "driver": "manual",
             "macs": [f"02:41:50:00:{number >> 8:02x}:{number & 255:02x}"],
             "properties": {"cpus": 32}, "rack": f"r{number // 40}", "rack_unit": number % 40 + 1}
            for number in range(first, min(nodes, first + 500))
        ]  # fmt: skip
        client.call("POST", "/v1/nodes/bulk", body={"nodes": wishes}, timeout_s=300)
    client.close()


def measure(it: serving.Appliance, nodes: int, *, quick: bool) -> dict[str, Any]:
    fill(it, nodes)
    client = it.client()
    many, pages = (100, 3) if quick else (500, 10)
    shown: dict[str, Any] = {
        "one_node": timed(it, many, lambda number: client.get(f"/v1/nodes/bench{number % nodes}")),
        "page_of_50": timed(it, many // 5, lambda _: client.get("/v1/nodes", limit=50)),
        "page_of_1000": timed(it, pages, lambda _: client.get("/v1/nodes", limit=1000)),
    }
    if nodes > 500:  # a shorter list would say nothing of the goal
        shown["page_of_1000"]["items"] = len(client.get("/v1/nodes", limit=1000)["items"])
    body = {"driver": "fake", "properties": {"cpus": 8}}
    shown["creates"] = timed(
        it, many, lambda number: client.call("POST", "/v1/nodes", body={**body, "name": f"made{number}"})
    )
    client.close()
    shown["reads"] = readers(it, nodes, 2.0 if quick else 8.0)
    return shown


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--quick", action="store_true")
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="rackwright-bench-") as name,
        serving.appliance(Path(name), settings={"log": {"level": "warning"}}) as it,
    ):
        shown = measure(it, asked.nodes, quick=asked.quick)
    print(json.dumps({"bench": "api", "cores": os.cpu_count(), "load": os.getloadavg()[0], "nodes": asked.nodes,
                      "goals": GOALS, **shown}, indent=2))  # fmt: skip


if __name__ == "__main__":
    main()
