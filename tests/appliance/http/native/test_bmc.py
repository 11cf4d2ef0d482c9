"""What goes straight to the BMC: no route of it may hold up the others, or act against work in progress."""

import pytest

from appliance.http.native import bmc as face
from appliance.models import flow
from appliance.services import nodes
from bmc.fake.driver import FakeBmc
from tests.fakes.rack import NOW

NODE = {"name": "n1", "driver": "fake", "macs": ["52:54:00:77:00:01"]}


class Stream:
    """A console that stays open until somebody closes it."""

    def __init__(self):
        self.is_open = True

    def close(self):
        self.is_open = False


@pytest.fixture
def consoles(operators, appliance, monkeypatch):
    operators.post("/v1/nodes", json=NODE)
    opened = []

    class Bmc:
        def open_console(self, _take):
            opened.append(Stream())
            return opened[-1]

    object.__setattr__(appliance.context, "connect", lambda _node: Bmc())
    return opened


def test_a_console_that_nobody_reads_is_closed(operators, consoles):
    """HEAD runs the same view, and its body is never asked for."""
    operators.head("/v1/nodes/n1/console").close()
    assert [stream.is_open for stream in consoles] == [False]


@pytest.mark.parametrize("seconds", ["\u00b2", "0", "-1", "x", "1" * 5000, "86401"])
def test_a_bad_number_of_seconds_is_refused(operators, consoles, seconds):
    assert operators.get("/v1/nodes/n1/console", query_string={"seconds": seconds}).status_code == 400
    assert consoles == []


def test_consoles_leave_threads_for_the_others(operators, consoles, monkeypatch):
    monkeypatch.setattr(face, "CONSOLE_LOOK_S", 0.01)
    held = [operators.get("/v1/nodes/n1/console", buffered=False) for _ in range(face.CONSOLES_AT_ONCE)]
    refused = operators.get("/v1/nodes/n1/console")
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
    for answer in held:
        answer.close()
    assert not any(stream.is_open for stream in consoles)
    operators.get("/v1/nodes/n1/console", buffered=False).close()


def test_a_console_ends_with_the_log_in_of_its_reader(operators, consoles, monkeypatch):
    monkeypatch.setattr(face, "CONSOLE_LOOK_S", 0.01)
    answer = operators.get("/v1/nodes/n1/console?seconds=60", buffered=False)
    stream = iter(answer.response)
    assert next(stream) == b"\0"
    assert operators.post("/v1/logout").status_code == 204
    assert len(list(stream)) <= 1
    answer.close()
    assert not consoles[0].is_open


def test_the_boot_device_is_not_changed_under_running_work(operators, appliance):
    operators.post("/v1/nodes", json=NODE)
    with appliance.database.write() as session:
        flow.enqueue(session, kind="deploy", node_id=nodes.fetch(session, "n1").id, data={}, now=NOW)
    answer = operators.put("/v1/nodes/n1/boot-device", json={"device": "pxe"})
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (409, "node-locked")


def test_slow_bmcs_do_not_take_every_thread(operators, appliance, monkeypatch):
    monkeypatch.setattr(face, "places_at_once", lambda _threads: 0)
    from appliance.http.app import operator_app

    operators.post("/v1/nodes", json=NODE)
    crowded = operator_app(appliance.context).test_client()
    crowded.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {appliance.token()}"
    assert crowded.get("/v1/nodes/n1/power").status_code == 503
    assert crowded.get("/v1/nodes/n1").status_code == 200


def test_a_machine_is_interrupted_where_the_driver_can(operators, appliance, monkeypatch):
    operators.post("/v1/nodes", json=NODE)
    answer = operators.put("/v1/nodes/n1/nmi", json={})
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (400, "bmc-unsupported")
    done = []
    monkeypatch.setattr(FakeBmc, "interrupt", lambda _self: done.append("nmi"), raising=False)
    assert operators.put("/v1/nodes/n1/nmi", json={}).status_code == 204
    assert operators.put("/v1/nodes/n1/nmi", json={"delay": 1}).status_code == 400
    assert done == ["nmi"]
    told = [one["message"] for one in operators.get("/v1/events").get_json()["items"]]
    assert "NMI injected" in told
    with appliance.database.write() as session:
        flow.enqueue(session, kind="deploy", node_id=nodes.fetch(session, "n1").id, data={}, now=NOW)
    assert operators.put("/v1/nodes/n1/nmi", json={}).status_code == 409
