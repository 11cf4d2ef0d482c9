"""The way of many nodes from enroll to active at once, as a client of the Bare Metal API drives it."""

import json
import queue
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from tests.bench.api_load import PAGE, Load, WrongAnswer, fill, pages

CLASS = "bench-lifecycle"
UP = {"enroll": "manage", "manageable": "provide", "available": "active"}
DOWN = {"active": "deleted"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """clients: how many send verbs. poll_s: between two looks at the list."""

    clients: int = 8
    poll_s: float = 0.25
    within_s: float = 300.0


def lifecycle(load: Load, count: int, pace: Pace) -> dict[str, float]:
    """Each verb is sent as soon as the list shows its state; afterwards the nodes are deleted."""
    fill(load, range(900_000, 900_000 + count), resource_class=CLASS)
    up = _drive(load, count, UP, "active", pace)
    down = _drive(load, count, DOWN, "available", pace)
    for node in pages(load, "/v1/nodes", resource_class=CLASS)[0]:
        load.ask("DELETE", f"/v1/nodes/{node['uuid']}")
    return up | {"teardown_s": down["wall_s"]}


class _Senders:
    """Clients that send the verbs they are given. A 409 is sent again after 0.1 s: the node is held for a moment."""

    def __init__(self, load: Load, chain: Mapping[str, str], clients: int) -> None:
        self._load, self._chain = load, chain
        self._waiting: queue.SimpleQueue[tuple[str, str] | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]
        self.sent: set[tuple[str, str]] = set()
        self.repeated = 0
        self.faults: list[str] = []
        for thread in self._threads:
            thread.start()

    def send(self, uuid: str, state: str) -> None:
        if state in self._chain and (uuid, state) not in self.sent:
            self.sent.add((uuid, state))
            self._waiting.put((uuid, state))

    def stop(self) -> None:
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while (task := self._waiting.get()) is not None:
            uuid, state = task
            body = {"target": self._chain[state]}
            status, raw, _ = self._load.call("PUT", f"/v1/nodes/{uuid}/states/provision", body)
            if status == 409:
                self.repeated += 1
                time.sleep(0.1)
                self._waiting.put(task)
            elif status != 202:
                self.faults.append(f"{status} {raw[:300]!r}")


def _drive(load: Load, count: int, chain: Mapping[str, str], final: str, pace: Pace) -> dict[str, float]:
    senders = _Senders(load, chain, pace.clients)
    began = time.perf_counter()
    while True:
        states = _states(load)
        for uuid, state in states.items():
            senders.send(uuid, state)
        if len(senders.sent) == count * len(chain) and set(states.values()) == {final}:
            break
        failed = {state for state in states.values() if state.endswith("failed") or state == "error"}
        if failed or senders.faults or time.perf_counter() - began > pace.within_s:
            raise WrongAnswer(f"lifecycle: {failed or senders.faults[:2] or sorted(set(states.values()))}")
        time.sleep(pace.poll_s)
    wall = time.perf_counter() - began
    senders.stop()
    verbs = round(len(senders.sent) / wall, 1)
    return {"nodes": count, "wall_s": round(wall, 2), "verbs_per_s": verbs, "http_409": senders.repeated}


def _states(load: Load) -> dict[str, str]:
    raw, _ = load.ask("GET", f"/v1/nodes?limit={PAGE}&fields=uuid,provision_state&resource_class={CLASS}")
    return {node["uuid"]: node["provision_state"] for node in json.loads(raw)["nodes"]}
