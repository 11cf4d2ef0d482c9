"""The real processes on PostgreSQL: a fleet through its whole life, by one appliance and by two that share the work."""

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from appliance.domain.errors import Conflict, Invalid
from appliance.services import setup
from tests.fakes import postgres_server, serving

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(600)]
FLEET = 100
QUIET = {"log": {"level": "warning"}}


@pytest.fixture(scope="module")
def postgres() -> Iterator[Path]:
    if not postgres_server.is_installed():
        pytest.skip(f"PostgreSQL is not installed (Debian package postgresql-{postgres_server.VERSION})")
    with postgres_server.server(is_durable=False) as home:
        yield home


@pytest.fixture
def url(postgres: Path, request: pytest.FixtureRequest) -> str:
    name = request.node.name.lower()[:40]
    postgres_server.execute(postgres, f"CREATE DATABASE {name}")
    return postgres_server.url(postgres, name)


def enroll(it: serving.Appliance, count: int) -> None:
    nodes = [
        {"name": f"pg{number}", "driver": "fake", "macs": [f"02:50:47:00:00:{number:02x}"],
         "driver_options": {"agent_delay_s": 0}}
        for number in range(count)
    ]  # fmt: skip
    answer = it.client().call("POST", "/v1/nodes/bulk", body={"nodes": nodes}).body
    assert all(item["ok"] for item in answer["items"])


def drive(sides: list[serving.Appliance], verb: str, goal: str, within_s: float = 180, **body: str) -> None:
    """Ask every node, each side by turns, and wait until all of them arrived."""
    clients = [side.client() for side in sides]
    for number in range(FLEET):
        clients[number % len(clients)].call("POST", f"/v1/nodes/pg{number}/{verb}", body=body)
    ends = time.monotonic() + within_s
    while (states := Counter(node["provision_state"] for node in clients[-1].items("/v1/nodes"))) != {goal: FLEET}:
        assert time.monotonic() < ends, states
        assert not any("failed" in state for state in states), states
        time.sleep(0.2)


def workers_of(url: str) -> list[tuple[str, int, int]]:
    """(status, flows, distinct nodes) of every kind of work, from the database itself."""
    engine = create_engine(url)
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT kind || ' ' || status, count(*), count(DISTINCT node_id) FROM flow GROUP BY 1 ORDER BY 1")
        ).all()
    engine.dispose()
    return [(row[0], row[1], row[2]) for row in rows]


def test_two_appliances_share_one_database(postgres: Path, url: str, tmp_path: Path) -> None:
    with serving.appliance(tmp_path / "one", database_url=url, settings=QUIET) as first:
        second = serving.Appliance(tmp_path / "two" / "state", "api,worker")
        second.init(join=first.state)
        second.configure(QUIET)
        try:
            second.start()
            first.image()
            enroll(first, FLEET)
            both = [first, second]
            drive(both, "manage", "manageable")
            drive(both, "provide", "available")
            drive(both, "deploy", "active", image="tiny")
            busy = [it.cpu_s() for it in both]
        finally:
            assert second.stop() == 0
        told = Counter(event["message"].partition(":")[0] for event in _events(first, "flow.start"))
        assert told == {f"{kind} begins": FLEET for kind in ("verify", "clean", "deploy")}
        assert workers_of(url) == [(f"{kind} done", FLEET, FLEET) for kind in ("clean", "deploy", "verify")]
        assert min(busy) > 0.2 * max(busy), f"one of them did nearly everything: {busy}"
        for side in both:
            assert "Traceback" not in side.log_text()
            assert " ERROR " not in side.log_text()


def _events(it: serving.Appliance, kind: str) -> list[dict]:
    found, after, client = [], 0, it.client()
    while items := client.get("/v1/events", after=after, wait=0, limit=1000)["items"]:
        found += [item for item in items if item["kind"] == kind]
        after = items[-1]["id"]
    return found


def test_joining_is_refused_with_a_reason(postgres: Path, url: str, tmp_path: Path) -> None:
    first = serving.Appliance(tmp_path / "one" / "state", "api")
    with pytest.raises(Invalid, match=r"does not hold master\.key"):
        setup.init(tmp_path / "two", join=tmp_path)
    first.init()
    with pytest.raises(Conflict, match="one appliance"):
        setup.init(tmp_path / "two", join=first.state)
    with pytest.raises(Conflict, match="is empty"):
        setup.init(tmp_path / "two", join=first.state, database_url=url)
    serving.Appliance(tmp_path / "other" / "state", "api").init(database_url=url)
    with pytest.raises(Conflict, match="do not belong together"):
        setup.init(tmp_path / "two", join=first.state, database_url=url)
    assert not (tmp_path / "two").exists()
