"""Sixteen clients at once against the real processes: creates, changes, verbs, deletes on the same few nodes.

Nothing may end in 5xx, no accepted change may be lost, and every refusal says why.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from appliance.main.client import Client
from appliance.main.client_errors import ApiError
from tests.fakes import postgres_server, serving

CLIENTS = 16
ROUNDS = 30
NAMES = [f"node{number}" for number in range(12)]


@pytest.fixture
def served(database_kind: str, tmp_path: Path) -> Iterator[serving.Appliance]:
    with ExitStack() as stack:
        url = None
        if database_kind == "postgresql":
            if not postgres_server.is_installed():
                pytest.skip(f"PostgreSQL is not installed (Debian package postgresql-{postgres_server.VERSION})")
            home = stack.enter_context(postgres_server.server(is_durable=False))
            postgres_server.execute(home, "CREATE DATABASE race")
            url = postgres_server.url(home, "race")
        yield stack.enter_context(serving.appliance(tmp_path, database_url=url))


class Outcomes:
    """What was answered; collected by many threads."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, str, ApiError | None]] = []

    def ask(self, client: Client, method: str, path: str, body: object = None) -> dict | None:
        """The answer, or None when it was refused."""
        try:
            answer = client.call(method, path, body=body)
        except ApiError as error:
            self.seen.append((error.status, f"{method} {path}", error))
            return None
        self.seen.append((answer.status, f"{method} {path}", None))
        return answer.body or {}


def together(served: serving.Appliance, work: Callable[[int, Client], None]) -> None:
    def run(number: int) -> None:
        client = served.client()
        work(number, client)
        client.close()

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(run, range(CLIENTS)))


def test_sixteen_clients_on_the_same_nodes(served: serving.Appliance) -> None:
    told = Outcomes()
    created: list[str] = []
    deleted: list[str] = []

    def work(number: int, client: Client) -> None:
        dice = random.Random(number)
        for turn in range(ROUNDS):
            name = dice.choice(NAMES)
            at = f"/v1/nodes/{name}"
            match dice.randrange(6):
                case 0 | 1:
                    mac = f"02:52:43:00:00:{NAMES.index(name):02x}"
                    bmc = {"address": f"192.0.2.{NAMES.index(name) + 1}"}
                    body = {"name": name, "driver": "fake", "macs": [mac], "bmc": bmc,
                            "driver_options": {"agent_delay_s": 0}}  # fmt: skip
                    if made := told.ask(client, "POST", "/v1/nodes", body):
                        created.append(made["uuid"])
                case 2:
                    told.ask(client, "PATCH", at, {"rack": f"r{number}-{turn}", "rack_unit": turn % 40 + 1})
                case 3:
                    told.ask(client, "POST", f"{at}/manage", {})
                case 4:
                    verb = dice.choice(["provide", "inspect", "abort", "clean"])
                    told.ask(client, "POST", f"{at}/{verb}", {})
                case _:
                    shown = told.ask(client, "GET", at)
                    if shown and told.ask(client, "DELETE", f"/v1/nodes/{shown['uuid']}") is not None:
                        deleted.append(shown["uuid"])

    together(served, work)
    _judge(told, served)
    left = {node["uuid"] for node in served.client().items("/v1/nodes")}
    assert len(set(created)) == len(created)
    assert len(set(deleted)) == len(deleted), "one node was deleted twice"
    assert left == set(created) - set(deleted)
    _settle(served)


def test_no_accepted_change_is_lost(served: serving.Appliance) -> None:
    """Each client adds its marks to one node, reading first; the version that it read guards what it writes."""
    told = Outcomes()
    told.ask(served.client(), "POST", "/v1/nodes", {"name": "shared", "driver": "fake"})
    kept: list[str] = []

    def work(number: int, client: Client) -> None:
        for turn in range(4):
            mark, ends = f"c{number}t{turn}", time.monotonic() + 60
            while time.monotonic() < ends:
                node = client.get("/v1/nodes/shared")
                wish = {"extra": {**node["extra"], mark: 1}, "version": node["version"]}
                if told.ask(client, "PATCH", "/v1/nodes/shared", wish) is not None:
                    kept.append(mark)
                    break

    together(served, work)
    late = {"extra": {}, "version": served.client().get("/v1/nodes/shared")["version"] - 1}
    assert told.ask(served.client(), "PATCH", "/v1/nodes/shared", late) is None
    _judge(told, served)
    assert set(served.client().get("/v1/nodes/shared")["extra"]) == set(kept)
    assert len(kept) == 4 * CLIENTS
    assert any(error and "version" in error.why for _status, _what, error in told.seen)


def _judge(told: Outcomes, served: serving.Appliance) -> None:
    bad = [(status, what, str(error)) for status, what, error in told.seen if status >= 500]
    assert not bad, (bad[:5], served.log_text()[-4000:])
    statuses = Counter(status for status, _what, _error in told.seen)
    assert set(statuses) <= {200, 201, 202, 204, 404, 409}, statuses
    for status, what, error in told.seen:
        if status == 409:
            assert error is not None
            assert str(error), what
            assert error.why or error.next_step, (what, str(error))
    assert "Traceback" not in served.log_text(), served.log_text()[-4000:]


def _settle(served: serving.Appliance) -> None:
    """Whatever was begun comes to rest."""
    client, ends = served.client(), time.monotonic() + 60
    while any(node["provision_state"] in {"verifying", "cleaning", "inspecting", "clean wait", "inspect wait"}
              for node in client.items("/v1/nodes")):  # fmt: skip
        assert time.monotonic() < ends, [node["provision_state"] for node in client.items("/v1/nodes")]
        time.sleep(0.2)
    assert not client.get("/v1/flows")["items"]
