"""Heartbeats on the agents' face: 300 a second for ten seconds from 1,000 machines, over TLS, on SQLite.

`python -m tests.bench.bench_heartbeats [--rate 300] [--seconds 10] [--quick]` prints one JSON object. Beats are sent at
their times whether or not earlier ones were answered, so waiting is in the figures. Within ten seconds each machine's
first beat is written to the database; a second scenario adds operators who create nodes meanwhile.
"""

import argparse
import asyncio
import hashlib
import json
import os
import ssl
import statistics
import tempfile
import threading
import time
from contextlib import closing
from itertools import count
from pathlib import Path
from sqlite3 import connect
from typing import Any

from tests.fakes import serving

BODY = b"{}"
GOAL_P99_MS = 200


def token(number: int) -> str:
    return f"bench-session-token-{number:08d}"


def enroll(it: serving.Appliance, machines: int) -> None:
    """Nodes whose agents have sessions; those are given to them while nobody serves."""
    client = it.client()
    for first in range(0, machines, 500):
        nodes = [
            {"name": f"hb{number}", "driver": "manual", "macs": [f"02:48:42:00:{number >> 8:02x}:{number & 255:02x}"]}
            for number in range(first, min(machines, first + 500))
        ]
        client.call("POST", "/v1/nodes/bulk", body={"nodes": nodes}, timeout_s=300)
    it.stop()
    with closing(connect(it.state / "rackwright.db")) as database, database:
        database.executemany(
            "UPDATE node SET agent_session_hash = ? WHERE name = ?",
            [(hashlib.sha256(token(number).encode()).hexdigest(), f"hb{number}") for number in range(machines)],
        )
    it.start()


class Connection:
    """One kept connection, used by one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def beat(self, number: int) -> int:
        head = (
            f"POST /agent/v1/heartbeat HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token(number)}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n"
        )
        self._writer.write(head.encode() + BODY)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await self._reader.readexactly(length)
        return int(answer[9:12])


async def beats(it: serving.Appliance, machines: int, rate: int, seconds: float) -> dict[str, Any]:
    context = ssl.create_default_context(cafile=it.ca)
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(32):
        free.put_nowait(Connection(*await asyncio.open_connection("127.0.0.1", it.agent_port, ssl=context)))
    delays: list[float] = []
    statuses: dict[int, int] = {}

    async def one(number: int, due: float) -> None:
        connection = await free.get()
        status = await connection.beat(number % machines)
        delays.append(1000 * (time.perf_counter() - due))
        statuses[status] = statuses.get(status, 0) + 1
        free.put_nowait(connection)

    started, tasks = time.perf_counter(), []
    for number in range(int(rate * seconds)):
        due = started + number / rate
        if (pause := due - time.perf_counter()) > 0:
            await asyncio.sleep(pause)
        tasks.append(asyncio.create_task(one(number, due)))
    await asyncio.gather(*tasks)
    taken = time.perf_counter() - started
    delays.sort()
    return {
        "sent": len(tasks), "statuses": statuses, "per_s": round(len(tasks) / taken),
        "p50_ms": round(statistics.median(delays), 1), "p99_ms": round(delays[int(0.99 * (len(delays) - 1))], 1),
        "max_ms": round(delays[-1], 1),
    }  # fmt: skip


def create_meanwhile(it: serving.Appliance, numbers: "count[int]", until: threading.Event) -> None:
    client = it.client()
    while not until.is_set():
        client.call("POST", "/v1/nodes", body={"name": f"extra{next(numbers)}", "driver": "manual"})
    client.close()


def measure(it: serving.Appliance, machines: int, rate: int, seconds: float, *, operators: int) -> dict[str, Any]:
    numbers, ended = count(), threading.Event()
    threads = [threading.Thread(target=create_meanwhile, args=(it, numbers, ended)) for _ in range(operators)]
    for thread in threads:
        thread.start()
    cpu = it.cpu_s()
    shown = asyncio.run(beats(it, machines, rate, seconds))
    shown["cpu_ms_per_beat"] = round(1000 * (it.cpu_s() - cpu) / shown["sent"], 2)
    ended.set()
    for thread in threads:
        thread.join()
    if operators:
        shown["nodes_created_meanwhile"] = next(numbers)
    return shown


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=int, default=300)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--machines", type=int, default=1000)
    parser.add_argument("--quick", action="store_true")
    asked = parser.parse_args()
    seconds = asked.seconds or (4.0 if asked.quick else 10.0)
    with (
        tempfile.TemporaryDirectory(prefix="rackwright-bench-") as name,
        serving.appliance(Path(name), settings={"log": {"level": "warning"}}) as it,
    ):
        enroll(it, asked.machines)
        alone = measure(it, asked.machines, asked.rate, seconds, operators=0)
        with_writers = measure(it, asked.machines, asked.rate, seconds, operators=2)
        locked = it.log_text().lower().count("database is locked")
    ok = (
        locked == 0
        and set(alone["statuses"]) == set(with_writers["statuses"]) == {200}
        and alone["p99_ms"] <= GOAL_P99_MS
    )
    print(json.dumps({
        "bench": "heartbeats", "cores": os.cpu_count(), "load": os.getloadavg()[0], "rate": asked.rate,
        "machines": asked.machines, "database_is_locked": locked, "goal_p99_ms": GOAL_P99_MS, "ok": ok,
        "alone": alone, "with_two_operators_creating_nodes": with_writers,
    }, indent=2))  # fmt: skip
    raise SystemExit(0 if ok else 1)


if __name__ == "__main__":
    main()
