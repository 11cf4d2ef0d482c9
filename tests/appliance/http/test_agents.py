"""/agent/v1 as a machine in the ramdisk sees it: who it may be, and what it costs us when it lies."""

import threading

import pytest
from sqlalchemy import select

from appliance.domain.boot import Discovery
from appliance.http import agents as face
from appliance.http.app import agent_app
from appliance.models import agent_command
from appliance.models.event import Event
from appliance.models.node import Inventory, Node
from appliance.services import boot, nodes
from appliance.services.node_input import BmcAccess
from tests.fakes.rack import MAC, NOW, inventory, vault, wish

ROUTES = [
    ("post", "/agent/v1/inventory"),
    ("post", "/agent/v1/heartbeat"),
    ("get", "/agent/v1/command"),
    ("post", "/agent/v1/command/x"),
    ("post", "/agent/v1/log"),
]


def enroll(appliance, name="n1", mac=MAC, address="10.77.0.201"):

    with appliance.database.write() as session:
        made = wish(name=name, macs=[mac], bmc=BmcAccess(address=address))
        return nodes.create(session, vault(), made, actor="ann", now=NOW)


def boot_secret(appliance, mac=MAC):
    with appliance.database.write() as session:
        _plan, ticket = boot.grant(
            session, mac=mac, address=None, server="10.77.0.1", discovery=Discovery.ENROLL, now=NOW
        )
    return ticket.secret


def session_of(appliance, agents, mac=MAC):
    answer = agents.post("/agent/v1/lookup", json={"boot_secret": boot_secret(appliance, mac)})
    return {"Authorization": f"Bearer {answer.get_json()['session']}"}


def ask(appliance, node, key="k", name="erase", **more):
    with appliance.database.write() as session:
        row = agent_command.ask(
            session, node_id=node.id, key=key, name=name, params={}, secret_params=None, now=NOW, **more
        )
        return row.uuid


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("token", ["", "x", "x" * 43, "x" * 5000])
def test_nothing_is_answered_without_a_session_and_strangers_cost_no_write(
    appliance, agents, monkeypatch, route, token
):
    monkeypatch.setattr(appliance.database, "write", lambda: pytest.fail("a write for a stranger"))
    method, path = route
    headers = {"Authorization": f"Bearer {token}"}
    assert getattr(agents, method)(path, headers=headers, data=b"{" * 10).status_code == 401


@pytest.mark.parametrize("secret", ["", "x" * 43, None, 7, ["x" * 43], "x" * 60_000])
def test_a_guessed_boot_secret_costs_no_write(appliance, agents, monkeypatch, secret):
    monkeypatch.setattr(appliance.database, "write", lambda: pytest.fail("a write for a stranger"))
    assert agents.post("/agent/v1/lookup", json={"boot_secret": secret}).status_code == 401


def test_the_alarm_of_a_secret_used_twice_outlives_the_refusal(appliance, agents):
    node = enroll(appliance)
    secret = boot_secret(appliance)
    assert agents.post("/agent/v1/lookup", json={"boot_secret": secret}).status_code == 200
    elsewhere = {"REMOTE_ADDR": "10.77.0.66"}
    refused = agents.post("/agent/v1/lookup", json={"boot_secret": secret}, environ_base=elsewhere)
    assert refused.status_code == 401
    assert secret not in refused.get_data(as_text=True)
    with appliance.database.read() as session:
        alarm = session.scalars(select(Event).where(Event.kind == "alarm")).one()
    assert (alarm.node_id, secret in alarm.message) == (node.id, False)


def test_no_agent_acts_for_another_node(appliance, agents):
    mine, other = enroll(appliance), enroll(appliance, "n2", "52:54:00:77:00:02", "10.77.0.202")
    me = session_of(appliance, agents)
    theirs = ask(appliance, other)
    assert agents.get("/agent/v1/command", headers=me).status_code == 204
    answer = agents.post(f"/agent/v1/command/{theirs}", headers=me, json={"status": "done"})
    assert answer.status_code == 404
    with appliance.database.read() as session:
        assert session.scalars(select(agent_command.AgentCommand)).one().status == "queued"
    own = ask(appliance, mine)
    assert agents.get("/agent/v1/command", headers=me).get_json()["uuid"] == own


def test_an_unfinished_command_comes_again(appliance, agents):
    me_node = enroll(appliance)
    me = session_of(appliance, agents)
    uuid = ask(appliance, me_node)
    assert [agents.get("/agent/v1/command", headers=me).get_json()["uuid"] for _ in range(2)] == [uuid, uuid]
    assert agents.post("/agent/v1/heartbeat", headers=me, json={}).get_json() == {"commands": 1}
    assert agents.post(f"/agent/v1/command/{uuid}", headers=me, json={"status": "done"}).status_code == 200
    assert agents.get("/agent/v1/command", headers=me).status_code == 204


def test_a_report_is_stored_once_per_node(appliance, agents):
    node = enroll(appliance)
    me = session_of(appliance, agents)
    for memory in (1024, 2048):
        assert (
            agents.post("/agent/v1/inventory", headers=me, json=inventory() | {"memory_mib": memory}).status_code == 200
        )
    with appliance.database.read() as session:
        assert session.get(Inventory, node.id).report["memory_mib"] == 2048


@pytest.mark.parametrize(
    "body", [b"[]", b"{", b"\xff", b'{"nics": 1}', b'{"disks": []}', b'{"a":' * 30 + b"1" + b"}" * 30]
)
def test_a_hostile_report_is_refused(appliance, agents, body):
    enroll(appliance)
    me = session_of(appliance, agents)
    assert agents.post("/agent/v1/inventory", headers=me, data=body).status_code == 400
    assert agents.post("/agent/v1/inventory", headers=me, data=b"x" * (4 * 1024 * 1024 + 1)).status_code == 413


def test_log_lines_are_bounded_and_harmless(appliance, agents):
    enroll(appliance)
    me = session_of(appliance, agents)
    assert agents.post("/agent/v1/log", headers=me, json={"lines": ["x"] * 501}).status_code == 400
    assert agents.post("/agent/v1/log", headers=me, json={"lines": ["\x1b[2Jboo\x00" + "x" * 5000]}).status_code == 204
    with appliance.database.read() as session:
        line = session.scalars(select(Event).where(Event.kind == "agent.log")).one().data["lines"][0]
    assert (line.startswith("[2Jboo"), line.isprintable(), len(line) <= 1000) == (True, True, True)


def test_a_command_wakes_the_agent_that_waits_for_it(appliance, agents):
    node = enroll(appliance)
    me = session_of(appliance, agents)
    answers = []
    waiting = threading.Thread(
        target=lambda: answers.append(
            agent_app(appliance.context).test_client().get("/agent/v1/command?wait=20", headers=me)
        )
    )
    waiting.start()
    uuid = ask(appliance, node)
    waiting.join(30)
    assert answers[0].get_json()["uuid"] == uuid


def test_a_clock_set_back_does_not_hold_a_poll_for_ever(appliance, agents, monkeypatch):
    """The wait is measured by a clock that nobody sets."""
    enroll(appliance)
    me = session_of(appliance, agents)
    monkeypatch.setattr(
        appliance.database.bells, "wait", lambda *_, **__: setattr(appliance, "now", NOW.replace(year=1970))
    )
    ticks = iter(range(0, 1000, 3))
    monkeypatch.setattr(face.time, "monotonic", lambda: next(ticks))
    assert agents.get("/agent/v1/command?wait=25", headers=me).status_code == 204


@pytest.mark.parametrize(("threads", "polls"), [(2, 1), (64, 32), (128, 64), (512, 448)])
def test_long_polls_leave_threads_for_the_others(threads, polls):
    assert face.polls_at_once(threads) == polls


def test_more_agents_than_places_come_again_later(appliance, agents, monkeypatch):
    """204 at once would make them ask again at once."""
    monkeypatch.setattr(face, "polls_at_once", lambda _threads: 1)
    enroll(appliance)
    me = session_of(appliance, agents)
    app = agent_app(appliance.context)
    inside, leave = threading.Event(), threading.Event()
    monkeypatch.setattr(appliance.database.bells, "wait", lambda *_, **__: inside.set() or leave.wait(30))
    first = threading.Thread(target=lambda: app.test_client().get("/agent/v1/command?wait=1", headers=me))
    first.start()
    assert inside.wait(30)
    refused = app.test_client().get("/agent/v1/command?wait=25", headers=me)
    leave.set()
    first.join(30)
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")


def test_the_node_of_an_agent_is_written_under_a_lock(appliance, agents, database):
    """On PostgreSQL somebody else may write the node meanwhile; an agent whose 409 means `stop` must not see one."""
    node = enroll(appliance)
    me = session_of(appliance, agents)
    uuid = ask(appliance, node)
    problems = []

    def rename():
        for number in range(20):
            with database.write() as session:
                row = session.scalars(select(Node).where(Node.id == node.id).with_for_update()).one()
                row.rack = f"r{number}"

    def report():
        client = agent_app(appliance.context).test_client()
        for _ in range(20):
            answer = client.post(f"/agent/v1/command/{uuid}", headers=me, json={"status": "running"})
            answer = client.post("/agent/v1/inventory", headers=me, json=inventory())
            problems.extend([] if answer.status_code == 200 else [answer.status_code])

    threads = [threading.Thread(target=rename), threading.Thread(target=report)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert problems == []
