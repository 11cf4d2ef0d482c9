"""The story against a pretended appliance and rack: the order of what is asked, and how each failure is told."""

import io
import threading
from datetime import UTC, datetime

import pytest

from appliance.lab import spec, ssh, story
from appliance.lab.client import ApiFailed
from appliance.lab.errors import LabFailed
from appliance.lab.progress import Lines
from appliance.lab.story import Story, Wish
from images import tools

LIMITS = dict.fromkeys(story.LIMITS_S, 5.0)
VERBS = {  # verb: (state during it, state after it)
    "manage": ("verifying", "manageable"),
    "inspect": ("inspecting", "manageable"),
    "provide": ("cleaning", "available"),
    "deploy": ("deploying", "active"),
    "undeploy": ("deleting", "available"),
}


class PretendAppliance:
    """Each verb is under way for one look at the node and over at the next. fail: verb → the state it ends in."""

    def __init__(self, rack, fail=None):
        self._nodes = {}
        self._lock = threading.Lock()
        self._fail = fail or {}
        self._rack = rack
        self.asked = []
        self.written = {}

    def node_of_mac(self, mac):
        with self._lock:
            if mac not in self._rack.pressed:
                return None
            node = self._nodes.get(mac)
            if node is None:
                self._nodes[mac] = self._fresh(mac)
                return None
            node["bmc"] = {"address": "10.77.0.201", "username": "rackwright"}
            return dict(node)

    def node(self, ref):
        with self._lock:
            node = self._nodes[ref]
            shown = dict(node)
            node.update(node.pop("then", {}))
            return shown

    def post(self, path, body=None):
        *_, ref, verb = path.split("/")
        with self._lock:
            self.asked.append((ref, verb))
            node = self._nodes[ref]
            during, after = VERBS[verb]
            node.update(provision_state=during, target_provision_state=after)
            end = self._fail.get(verb)
            over = {"provision_state": end or after, "target_provision_state": None}
            node["then"] = {**over, "failure": {"reason": "the disk is on fire"}} if end else over
            if verb == "deploy":
                self.written[ref] = body
                node["then"]["instance"] = {"address": "10.77.0.50"}
        return {}

    def patch(self, path, body):
        with self._lock:
            self._nodes[path.rpartition("/")[2]].update(body)

    def why(self, ref):
        return f"why of {ref}"

    def timeline(self, ref):
        now = datetime.now(UTC).isoformat()
        return [{"at": now, "kind": "agent.alive", "message": "", "data": {}, "duration_s": None}]

    @staticmethod
    def _fresh(mac):
        return {
            "uuid": mac,
            "name": f"n-{mac[-2:]}",
            "provision_state": "enroll",
            "target_provision_state": None,
            "bmc": {"address": None, "username": None},
            "failure": None,
        }


class PretendRack:
    def __init__(self, tmp_path, firmwares):
        self.spec = spec.rack(firmwares)
        self.run_dir = tmp_path
        self.pressed = set()

    def press_button(self, name):
        self.pressed.add(self.spec.node(name).mac)

    def console_tail(self, name, lines=30):
        return ["Booting from ROM..."]

    def console_text(self, name):
        return ""

    def directory(self, name):
        return self.run_dir / name

    def forward(self, address, port):
        return 40022


@pytest.fixture
def stage(tmp_path, monkeypatch):
    key = ssh.make_key(tmp_path)

    def make(*, firmwares=("bios", "uefi"), fail=None, has_undeploy=False, login=None, limits=LIMITS):
        rack = PretendRack(tmp_path, list(firmwares))
        api = PretendAppliance(rack, fail)

        def run(port, used, command):
            assert (port, used) == (40022, key)
            if login is not None:
                return login()
            return "\n".join(body["user_data"] for body in api.written.values())

        monkeypatch.setattr(ssh, "run", run)
        wish = Wish(key=key, has_undeploy=has_undeploy)
        return api, Story(
            rack=rack, client=api, wish=wish, progress=Lines(io.StringIO()), limits_s=limits, poll_s=0.001
        )

    return make


def test_both_machines_go_all_the_way(stage):
    api, told = stage(has_undeploy=True)
    report = told.run()
    assert report.is_ok
    assert [m.firmware for m in report.machines] == ["bios", "uefi"]
    for machine in report.machines:
        assert [p.name for p in machine.phases][-7:] == [*["enroll", *VERBS][:5], "ssh", "undeploy"]
        assert machine.address == "10.77.0.50"
        verbs = [verb for ref, verb in api.asked if ref == machine.node]
        assert verbs == ["manage", "inspect", "provide", "deploy", "undeploy"]
    assert {step.name for step in report.steps} == {
        "power on", "enroll", "manage", "inspect", "provide", "deploy", "ssh", "undeploy",
    }  # fmt: skip


def test_without_once_the_machines_stay_deployed(stage):
    api, told = stage(firmwares=["bios"])
    assert told.run().is_ok
    assert "undeploy" not in {verb for _, verb in api.asked}


def test_the_deploy_asks_for_image_key_and_user_data(stage, tmp_path):
    api, told = stage(firmwares=["bios"])
    told.run()
    body = next(iter(api.written.values()))
    assert body["image"] == "debian-12"
    assert body["hostname"] == "node1"
    assert body["ssh_keys"] == [ssh.make_key(tmp_path).public]
    assert body["user_data"].startswith("#cloud-config\n")


@pytest.mark.parametrize(
    ("verb", "state"),
    [("manage", "enroll"), ("inspect", "inspect failed"), ("provide", "clean failed"), ("deploy", "deploy failed")],
)
def test_a_failed_verb_ends_that_machine_with_everything_that_helps(stage, verb, state):
    _, told = stage(firmwares=["bios"], fail={verb: state})
    report = told.run()
    assert not report.is_ok
    machine = report.machines[0]
    assert machine.error["message"] == f"{verb} ended in {state!r}"
    assert machine.error["why"] == "the disk is on fire"
    assert machine.error["appliance_says"].startswith("why of")
    assert machine.error["console"] == ["Booting from ROM..."]
    assert [step.name for step in report.steps if not step.is_ok] == [verb]
    assert not machine.has_ssh


def test_a_machine_that_never_calls_back_is_named_with_the_limit(stage, monkeypatch):
    _, told = stage(firmwares=["bios"], limits={**LIMITS, "enroll": 0.01})
    monkeypatch.setattr(told.client, "node_of_mac", lambda mac: None)
    machine = told.run().machines[0]
    assert "enroll was not over after" in machine.error["message"]
    assert machine.error["why"] == "the appliance does not know the machine"


def test_an_appliance_that_restarts_meanwhile_is_waited_for(stage, monkeypatch):
    api, told = stage(firmwares=["bios"])
    ask, silences = api.node, [ApiFailed(0, "no answer"), ApiFailed(502, "starting"), ApiFailed(503, "busy")]

    def node(ref):
        if silences:
            raise silences.pop()
        return ask(ref)

    monkeypatch.setattr(api, "node", node)
    assert told.run().is_ok
    assert silences == []


def test_a_refusal_is_not_waited_for(stage, monkeypatch):
    api, told = stage(firmwares=["bios"])

    def node(ref):
        raise ApiFailed(404, "no such node")

    monkeypatch.setattr(api, "node", node)
    assert told.run().machines[0].error["message"] == "no such node"


def test_the_login_is_tried_until_it_works(stage):
    tries = []

    def login():
        tries.append(1)
        if len(tries) < 3:
            raise tools.ToolFailed(["ssh"], 255, "Connection refused")
        return told.wish.image + next(iter(api.written.values()))["user_data"]

    api, told = stage(firmwares=["bios"], login=login)
    assert told.run().is_ok
    assert len(tries) == 3


def test_a_login_without_the_user_data_is_a_failure(stage):
    _, told = stage(firmwares=["bios"], login=lambda: "node1\n6.1.0\n")
    report = told.run()
    assert not report.is_ok
    assert "user-data did not arrive" in report.machines[0].error["message"]


@pytest.mark.parametrize("fault", [LabFailed("the plug is out"), ApiFailed(503, "not now")])
def test_any_known_fault_becomes_a_report(stage, monkeypatch, fault):
    _, told = stage(firmwares=["bios"])

    def press(name):
        raise fault

    monkeypatch.setattr(told.rack, "press_button", press)
    assert told.run().machines[0].error["message"] == str(fault)


def test_one_line_about_a_node():
    node = {"provision_state": "deploying", "progress": {"message": "writing", "done": 1, "total": 4}}
    assert story.what_now(node) == "deploying, writing 25 %"
    assert story.what_now({**node, "progress": {"phase": "x", "done": 0, "total": 0}}) == "deploying, x"
    assert story.what_now({"provision_state": "enroll", "waiting": {"for": "agent"}}) == "enroll, waiting for agent"
