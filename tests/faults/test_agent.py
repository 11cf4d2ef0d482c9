"""The real agent and a real image, while things go wrong in the middle of the write."""

import re

import pytest

from tests.fakes.served import Served, disk_image
from tests.fakes.working_machine import MIB, working_machine

IMAGE_MIB = 48
SLOW_S = 0.4
LOST = {"lifecycle": {"agent_lost": '"15s"', "agent_boot": '"40s"', "kexec_home": '"10s"', "call_home": '"30s"'}}


def make_ready(appliance: Served, *, size_mib: int = IMAGE_MIB) -> None:
    image = bytearray(disk_image(size_mib * MIB))
    with open("/dev/urandom", "rb") as noise:  # noqa: PTH123  (a device)
        image[2 * MIB : (size_mib - 1) * MIB] = noise.read((size_mib - 3) * MIB)
    assert appliance.upload("big", bytes(image))["status"] == "active"
    for verb, goal in (("manage", "manageable"), ("inspect", "manageable"), ("provide", "available")):
        node = appliance.do("m1", verb)
        assert node["provision_state"] == goal, node["failure"]


def begin_the_write(appliance: Served) -> int:
    """Deploy, and return when the agent has told of some progress: the percentage."""
    appliance.call("POST", "/v1/nodes/m1/deploy", {"image": "big", "boot": "reboot"})
    told: list[int] = []

    def has_begun() -> bool:
        progress = appliance.node("m1")["progress"] or {}
        if progress.get("done") and progress.get("total"):
            told[:] = [100 * progress["done"] // progress["total"]]
        return bool(told and told[0] >= 5)

    appliance.until(has_begun, within_s=60, what=lambda: f"the write has begun {appliance.node('m1')}")
    assert 5 <= told[0] < 100
    return told[0]


@pytest.mark.timeout(360)
def test_an_agent_that_vanishes_while_writing(start, tmp_path):
    appliance = start(**LOST)
    with working_machine(appliance, tmp_path / "m1", "m1") as machine:
        machine.write_pause_s = SLOW_S
        make_ready(appliance)
        percent = begin_the_write(appliance)
        machine.lose_power()
        node = appliance.rest("m1", within_s=60)
        assert node["provision_state"] == "deploy failed"
        failure = node["failure"]
        assert failure["step"] == "write_image"
        told = re.match(r"The agent was lost during write_image at (\d+)%; last heard of", failure["reason"])
        assert told, failure
        assert percent <= int(told[1]) < 100
        assert failure["disk"] == "invalid"
        assert failure["next"] == "rackwright node rebuild m1"
        assert not any(machine.disk.read_bytes()[:MIB]), "a half-written disk does not boot"
        node = appliance.do("m1", "rebuild", within_s=90)
        assert node["provision_state"] == "active", node["failure"]
        assert node["instance"]["address"] == "127.0.0.1"
        assert machine.disk.read_bytes()[510:512] == b"\x55\xaa"


@pytest.mark.timeout(360)
@pytest.mark.parametrize("name", ["control", "netboot", "supervisor"])
def test_kill_9_during_the_write(start, tmp_path, name):
    """The agent goes on writing, or fetches anew what broke off; the deploy ends by itself, written once."""
    appliance = start(**LOST)
    with working_machine(appliance, tmp_path / "m1", "m1") as machine:
        machine.write_pause_s = SLOW_S
        make_ready(appliance)
        begin_the_write(appliance)
        appliance.kill(name)
        node = appliance.rest("m1", within_s=90)
        assert node["provision_state"] == "active", node["failure"]
        done = [event for event in appliance.events("m1") if event["message"].startswith("write_image done")]
        assert len(done) == 1


@pytest.mark.timeout(360)
def test_a_machine_that_lost_power_while_it_was_available(start, tmp_path):
    """Its agent was heard of a moment ago, but it is gone: the deploy boots it instead of waiting for nobody."""
    appliance = start(**LOST)
    with working_machine(appliance, tmp_path / "m1", "m1") as machine:
        make_ready(appliance, size_mib=8)
        machine.lose_power()
        node = appliance.do("m1", "deploy", {"image": "big", "boot": "reboot"}, within_s=90)
        assert node["provision_state"] == "active", node["failure"]


@pytest.mark.timeout(360)
def test_an_installed_system_that_never_calls_home(start, tmp_path):
    appliance = start(**LOST)
    with working_machine(appliance, tmp_path / "m1", "m1") as machine:
        make_ready(appliance, size_mib=8)
        machine.calls_home = False
        node = appliance.do("m1", "deploy", {"image": "big", "boot": "reboot"}, within_s=120)
        assert node["provision_state"] == "deploy failed"
        assert "The installed system did not call home within 30 s after a reboot." in node["failure"]["reason"]
        machine.calls_home = True
        assert appliance.do("m1", "rebuild", within_s=90)["provision_state"] == "active"


@pytest.mark.timeout(360)
def test_an_image_whose_bytes_rot_on_the_appliance(start, tmp_path):
    """What the agent fetches is checked against what control promised: nothing wrong is ever booted."""
    appliance = start(**LOST)
    with working_machine(appliance, tmp_path / "m1", "m1") as machine:
        make_ready(appliance, size_mib=8)
        data = next((appliance.state / "images").rglob("image.data"))
        raw = bytearray(data.read_bytes())
        raw[len(raw) // 2] ^= 0xFF
        data.write_bytes(bytes(raw))
        node = appliance.do("m1", "deploy", {"image": "big", "boot": "reboot"}, within_s=120)
        assert node["provision_state"] == "deploy failed"
        assert "checksum" in node["failure"]["reason"].lower()
        assert node["failure"]["disk"] == "invalid"
        assert not any(machine.disk.read_bytes()[:MIB])
