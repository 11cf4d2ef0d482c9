"""The load of the Bare Metal API benchmark: what clients do, and how long the answers take. Standard library only.

Knows no server: a Target says where it is and which headers it wants. Each client is a thread with one kept
connection, as the stock clients are. Percentiles are nearest-rank. A wrong answer ends the measurement: speed counts
only when right. Not here: nodes on their way through their states (tests.bench.api_lifecycle).
"""

import http.client
import json
import math
import queue
import random
import ssl
import statistics
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

VERSION = "X-OpenStack-Ironic-API-Version"
PAGE = 1000


class WrongAnswer(Exception):
    """A server did not do what was asked of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """url: the service root, without /v1. ca: a file of certificates to trust, for https."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    ca: str | None = None


class Load:
    """One per benchmark; safe in threads, each of which has its own connection."""

    def __init__(self, target: Target) -> None:
        where = urlsplit(target.url)
        self._host, self._port, self._base = where.hostname or "", where.port, where.path.rstrip("/")
        self._headers = {"Accept": "application/json", VERSION: "latest", **target.headers}
        self._context = ssl.create_default_context(cafile=target.ca) if where.scheme == "https" else None
        self._mine = threading.local()
        self._all: list[http.client.HTTPConnection] = []

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, bytes, float]:
        """Status, body and seconds."""
        headers, data = dict(self._headers), None
        if body is not None:
            headers["Content-Type"], data = "application/json", json.dumps(body).encode()
        for is_last in (False, True):  # a server may close a kept connection at any time
            connection = self._connection()
            began = time.perf_counter()
            try:
                connection.request(method, self._base + path, data, headers)
                answer = connection.getresponse()
                raw = answer.read()
            except (http.client.HTTPException, ConnectionError):
                self._close()
                if is_last:
                    raise
                continue
            taken = time.perf_counter() - began
            if answer.will_close:
                self._close()
            return answer.status, raw, taken
        raise AssertionError

    def ask(self, method: str, path: str, body: Any = None) -> tuple[bytes, float]:
        """As `call`; raises WrongAnswer for anything but success."""
        status, raw, taken = self.call(method, path, body)
        if not 200 <= status < 300:
            raise WrongAnswer(f"{method} {path}: {status} {raw[:300]!r}")
        return raw, taken

    def _connection(self) -> http.client.HTTPConnection:
        kept: http.client.HTTPConnection | None = getattr(self._mine, "connection", None)
        if kept is None:
            if self._context is not None:
                kept = http.client.HTTPSConnection(self._host, self._port, timeout=120, context=self._context)
            else:
                kept = http.client.HTTPConnection(self._host, self._port, timeout=120)
            self._mine.connection = kept
            self._all.append(kept)
        return kept

    def close(self) -> None:
        """Hang up, for the threads that are gone too."""
        for connection in self._all:
            connection.close()

    def _close(self) -> None:
        self._mine.connection.close()
        self._mine.connection = None


def percentile(values: Iterable[float], percent: float) -> float:
    ranked = sorted(values)
    return ranked[max(0, math.ceil(percent / 100 * len(ranked)) - 1)]


def shown(seconds: list[float], wall: float | None = None) -> dict[str, float]:
    """The usual figures; per_s when the wall time is given."""
    figures = {
        f"p{percent}_ms": round(1000 * percentile(seconds, percent), 2) for percent in (50, 95, 99)
    } | {"mean_ms": round(1000 * statistics.mean(seconds), 2), "max_ms": round(1000 * max(seconds), 2)}  # fmt: skip
    return figures if wall is None else figures | {"per_s": round(len(seconds) / wall, 1)}


def together(clients: int, items: Iterable[Any], act: Callable[[Any], float]) -> tuple[list[float], float]:
    """Every item once, by `clients` threads. Seconds of each, and of all. The first fault of any client is raised."""
    waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
    for item in items:
        waiting.put(item)
    delays: list[float] = []
    faults: list[Exception] = []

    def client() -> None:
        while not faults:
            try:
                delays.append(act(waiting.get_nowait()))
            except queue.Empty:
                return
            except (WrongAnswer, http.client.HTTPException, OSError) as fault:  # raised below, where somebody waits
                faults.append(fault)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]
    return delays, time.perf_counter() - began


def wish(number: int, **more: Any) -> dict[str, Any]:
    return {
        "driver": "fake-hardware", "name": f"bench-{number:06d}", "extra": {"rack": "r1", "u": number},
        "properties": {"cpu_arch": "x86_64", "cpus": 8, "memory_mb": 16384, "local_gb": 100}, **more,
    }  # fmt: skip


def create(load: Load, numbers: Iterable[int], clients: int, **more: Any) -> dict[str, float]:
    return shown(*together(clients, numbers, lambda number: load.ask("POST", "/v1/nodes", wish(number, **more))[1]))


def fill(load: Load, numbers: Iterable[int], **more: Any) -> None:
    """Nodes that are needed, not measured."""
    together(4, numbers, lambda number: load.ask("POST", "/v1/nodes", wish(number, **more))[1])


def pages(load: Load, path: str, **query: Any) -> tuple[list[dict[str, Any]], list[float], int]:
    """All nodes, seconds of each page, octets of all."""
    found, delays, size, marker = [], [], 0, None
    while True:
        asked = {"limit": PAGE, **query} | ({"marker": marker} if marker else {})
        raw, taken = load.ask("GET", f"{path}?{urlencode(asked)}")
        answer = json.loads(raw)
        found += answer["nodes"]
        delays.append(taken)
        size += len(raw)
        if not answer.get("next") or not answer["nodes"]:
            return found, delays, size
        marker = answer["nodes"][-1]["uuid"]


def read(load: Load, nodes: int, *, clients: int, repeat: int, gets: int) -> dict[str, Any]:
    """A page of each list, one node by one client, and by many at once."""
    figures: dict[str, Any] = {"nodes": nodes}
    for name, path in (("list", "/v1/nodes"), ("detail", "/v1/nodes/detail")):
        first, size = [], 0
        for _ in range(repeat):
            found, delays, size = pages(load, path)
            if len(found) != nodes:
                raise WrongAnswer(f"{path} has {len(found)} nodes, not {nodes}")
            first.append(delays[0])
        figures[name] = shown(first) | {"octets_per_node": round(size / nodes)}
    names = [node["uuid"] for node in pages(load, "/v1/nodes", fields="uuid")[0]]
    chosen = random.Random(1).choices(names, k=gets)
    figures["one"] = shown(*together(1, chosen, lambda uuid: load.ask("GET", f"/v1/nodes/{uuid}")[1]))
    figures["many"] = shown(*together(clients, chosen, lambda uuid: load.ask("GET", f"/v1/nodes/{uuid}")[1]))
    return figures


def filtered(load: Load, times: int) -> dict[str, float]:
    """A page of 50 out of those that match a filter."""
    query = urlencode({"provision_state": "enroll", "resource_class": "bench-small", "limit": 50})
    delays = []
    for _ in range(times):
        raw, taken = load.ask("GET", f"/v1/nodes?{query}")
        if len(json.loads(raw)["nodes"]) != 50:
            raise WrongAnswer("the filtered page is not full")
        delays.append(taken)
    return shown(delays)
