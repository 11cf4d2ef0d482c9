"""Sixteen clients of the Bare Metal API at once, on the same few nodes: creates, patches, verbs, maintenance, deletes.

`python -m tests.faults.contention [--seconds 300] [--database postgresql]` prints one JSON object and ends with 1 when
a claim is broken: nothing ends in 5xx or takes longer than LONGEST_S; a change that was accepted is there afterwards; a
node is made once and deleted once; a 409 names the node and who holds it; what was begun comes to rest in the end.
"""

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any

from tests.bench.api_load import Load, Target
from tests.fakes import postgres_server, serving

CLIENTS = 16
NAMES = [f"held{number}" for number in range(12)]
LONGEST_S = 10.0
EXPECTED = {200, 201, 202, 204, 400, 404, 409}
HOLDERS = (
    "is locked by", "is held by", "already exists", "is associated", "state transition is in progress",
    "it cannot be deleted now",
)  # fmt: skip
"""Words with which a 409 says who or what is in the way: work, another node, an instance, the node's own state."""

VERBS = ("manage", "provide", "active", "deleted", "inspect", "abort", "rebuild", "clean", "rescue", "unrescue")
RESTING_S = 60.0


class Race:
    """What the clients did and were told. Safe in threads: each record is one append."""

    def __init__(self, target: Target, *, seed: int = 1) -> None:
        self.load = Load(target)
        self.seed = seed
        self.answers: list[tuple[int, str, float]] = []
        self.broken: list[str] = []
        self.made: list[str] = []
        self.gone: list[str] = []
        self.kept: list[tuple[str, str]] = []

    def run(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        clients = [threading.Thread(target=self._client, args=(number, ends)) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()

    def ask(self, method: str, path: str, body: Any = None, *, about: str = "") -> Any:
        """The answer, or None for a refusal. about: the node that a 409 has to name."""
        status, raw, taken = self.load.call(method, path, body)
        self.answers.append((status, method, taken))
        what = f"{method} {path} {json.dumps(body)}: {status} {raw[:400]!r}"
        if status not in EXPECTED:
            self.broken.append(f"unexpected: {what}")
        elif taken > LONGEST_S:
            self.broken.append(f"took {taken:.1f} s: {what}")
        elif status == 409 and not self._is_explained(raw, about):
            self.broken.append(f"names no holder: {what}")
        return (json.loads(raw) if raw else {}) if status < 300 else None

    def _is_explained(self, raw: bytes, about: str) -> bool:
        try:
            said = json.loads(json.loads(raw)["error_message"])["faultstring"]
        except (ValueError, KeyError, TypeError):
            return False
        name, _, uuid = about.partition(" ")
        is_named = name in said or (bool(uuid) and uuid in said)
        return is_named and any(words in said for words in HOLDERS)

    def _client(self, number: int, ends: float) -> None:
        dice = random.Random(f"{self.seed} {number}")
        turn = 0
        try:
            while time.monotonic() < ends:
                turn += 1
                self._act(dice, f"c{number}t{turn}", dice.choice(NAMES))
        except (HTTPException, OSError, LookupError, TypeError, ValueError) as fault:
            self.broken.append(f"client {number}: {fault!r}")

    def _act(self, dice: random.Random, mark: str, name: str) -> None:
        acts = {self._create: 4, self._patch: 6, self._verb: 6, self._maintain: 1, self._delete: 2, self._look: 3}
        dice.choices(list(acts), list(acts.values()))[0](dice, mark, name)

    def _create(self, _dice: random.Random, _mark: str, name: str) -> None:
        body = {"name": name, "driver": "fake-hardware", "resource_class": "race"}
        if node := self.ask("POST", "/v1/nodes", body, about=name):
            self.made.append(node["uuid"])

    def _verb(self, dice: random.Random, _mark: str, name: str) -> None:
        if uuid := self._uuid(name):
            body: dict[str, Any] = {"target": dice.choice(VERBS)}
            if body["target"] == "clean":
                body["clean_steps"] = []
            self.ask("PUT", f"/v1/nodes/{uuid}/states/provision", body, about=f"{name} {uuid}")

    def _maintain(self, dice: random.Random, _mark: str, name: str) -> None:
        if uuid := self._uuid(name):
            self.ask(dice.choice(("PUT", "DELETE")), f"/v1/nodes/{uuid}/maintenance", about=f"{name} {uuid}")

    def _delete(self, _dice: random.Random, _mark: str, name: str) -> None:
        uuid = self._uuid(name)
        if uuid and self.ask("DELETE", f"/v1/nodes/{uuid}", about=f"{name} {uuid}") is not None:
            self.gone.append(uuid)

    def _look(self, _dice: random.Random, _mark: str, _name: str) -> None:
        self.ask("GET", "/v1/nodes?fields=uuid,provision_state")

    def _uuid(self, name: str) -> str | None:
        node = self.ask("GET", f"/v1/nodes/{name}?fields=uuid")
        return None if node is None else str(node["uuid"])

    def _patch(self, _dice: random.Random, mark: str, name: str) -> None:
        """A mark of one's own on a node that others mark too: all that are accepted must be there in the end."""
        uuid = self._uuid(name)
        if uuid is None:
            return
        change = [{"op": "add", "path": f"/extra/{mark}", "value": 1}]
        if (shown := self.ask("PATCH", f"/v1/nodes/{uuid}", change, about=f"{name} {uuid}")) is not None:
            self.kept.append((uuid, mark))
            if mark not in shown["extra"]:
                self.broken.append(f"the answer to {mark} does not show it")

    def judge(self) -> dict[str, Any]:
        """What happened, and every broken claim."""
        nodes = self._at_rest()
        left = {node["uuid"]: node for node in nodes}
        self._compare(left)
        delays = sorted(taken for _, _, taken in self.answers)
        return {
            "requests": len(self.answers), "statuses": dict(sorted(Counter(one[0] for one in self.answers).items())),
            "p50_ms": round(1000 * delays[len(delays) // 2], 1), "max_ms": round(1000 * delays[-1], 1),
            "p99_ms": round(1000 * delays[int(0.99 * (len(delays) - 1))], 1),
            "made": len(self.made), "deleted": len(self.gone), "marks_kept": len(self.kept),
            "states": dict(Counter(node["provision_state"] for node in nodes)), "broken": self.broken[:20],
            "broken_count": len(self.broken), "broken_kinds": Counter(one.partition(":")[0] for one in self.broken),
        }  # fmt: skip

    def _compare(self, left: dict[str, Any]) -> None:
        for what, uuids in (("made", self.made), ("deleted", self.gone)):
            if twice := [uuid for uuid, times in Counter(uuids).items() if times > 1]:
                self.broken.append(f"{what} more than once: {twice[:3]}")
        if set(left) != set(self.made) - set(self.gone):
            self.broken.append(
                f"nodes that nobody made or everybody deleted: {set(left) ^ (set(self.made) - set(self.gone))}"
            )
        lost = [mark for uuid, mark in self.kept if uuid in left and mark not in left[uuid]["extra"]]
        if lost:
            self.broken.append(f"accepted changes are lost: {len(lost)} of {len(self.kept)}, such as {lost[:3]}")

    def _at_rest(self) -> list[dict[str, Any]]:
        """The nodes once nothing is on its way any more."""
        ends = time.monotonic() + RESTING_S
        while True:
            nodes = json.loads(self.load.ask("GET", "/v1/nodes/detail")[0])["nodes"]
            moving = [f"{one['uuid']} {one['provision_state']}" for one in nodes if one["reservation"]]
            if not moving:
                return nodes
            if time.monotonic() > ends:
                self.broken.append(f"still on their way: {moving}")
                return nodes
            time.sleep(0.2)


@contextmanager
def served(folder: Path, database: str) -> Iterator[serving.Appliance]:
    """The real processes over a database of their own; PostgreSQL as durable as SQLite is."""
    with ExitStack() as stack:
        url = None
        if database == "postgresql":
            home = stack.enter_context(postgres_server.server(is_durable=True))
            postgres_server.execute(home, "CREATE DATABASE race")
            url = postgres_server.url(home, "race")
        yield stack.enter_context(serving.appliance(folder, database_url=url))


def target(it: serving.Appliance) -> Target:
    return Target(url=f"{it.url}/baremetal", headers={"X-Auth-Token": it.token}, ca=str(it.ca))


def race(it: serving.Appliance, seconds: float) -> dict[str, Any]:
    made = Race(target(it))
    with closing(made.load):
        made.run(seconds)
        shown = made.judge()
    if "Traceback" in it.log_text():
        shown["broken"].append(it.log_text()[-4000:])
        shown["broken_count"] += 1
    return shown


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rackwright-race-") as folder, served(Path(folder), asked.database) as it:
        shown = race(it, asked.seconds)
    print(json.dumps({"clients": CLIENTS, "database": asked.database, "seconds": asked.seconds, **shown}, indent=2))
    return int(bool(shown["broken_count"]))


if __name__ == "__main__":
    sys.exit(main())
