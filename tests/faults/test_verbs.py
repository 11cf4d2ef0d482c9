"""The real agent through the verbs that leave an instance where it is, and through steps and drives of their own."""

import base64
import gzip
import os
from pathlib import Path

import pytest

from images import configdrive
from tests.fakes.served import Served
from tests.fakes.working_machine import working_machine
from tests.faults.test_agent import LOST, make_ready

CANARY = "hunter2-canary"
DRIVE = configdrive.build({"uuid": "u"}, None, f"#!/bin/sh\n# {CANARY}\n".encode())
HOLD = {"interface": "power", "step": "hold"}


@pytest.fixture
def dropbear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The ramdisk's SSH server, as far as its words go. Returns the file in which it says that it was started."""
    folder = tmp_path / "programs"
    folder.mkdir()
    started = tmp_path / "started"
    (folder / "dropbearkey").write_text("#!/bin/sh\necho 'Fingerprint: SHA256:abc'\n")
    (folder / "dropbear").write_text(f'#!/bin/sh\necho "$@" > {started}\n')
    for program in folder.iterdir():
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return started


def held(appliance: Served, state: str) -> None:
    appliance.until(lambda: appliance.node("m1")["provision_state"] == state, within_s=60, what=f"it is in {state}")


@pytest.mark.timeout(360)
def test_steps_a_drive_of_their_own_service_and_rescue(start, tmp_path, dropbear):
    appliance = start(**LOST)
    with working_machine(appliance, tmp_path / "m1", "m1") as machine:
        make_ready(appliance, size_mib=8)
        machine.calls_home = False
        wishes = {
            "image": "big",
            "configdrive": base64.b64encode(gzip.compress(DRIVE)).decode(),
            "deploy_steps": [
                {"interface": "deploy", "step": "erase_devices_metadata", "args": {}, "priority": 95},
                {"interface": "power", "step": "hold", "args": {}, "priority": 60},
            ],
        }
        appliance.call("POST", "/v1/nodes/m1/deploy", wishes)
        held(appliance, "deploy hold")
        assert DRIVE in machine.disk.read_bytes(), "written as it was given, before the hold"
        node = appliance.do("m1", "unhold", within_s=60)
        assert node["provision_state"] == "active", node["failure"]

        appliance.call("POST", "/v1/nodes/m1/service", {"service_steps": [HOLD]})
        held(appliance, "service hold")
        assert machine.agent is not None
        assert machine.agent.poll() is None, "the agent's system runs while the work holds"
        assert appliance.do("m1", "unhold", within_s=60)["provision_state"] == "active"

        node = appliance.do("m1", "rescue", {"rescue_password": CANARY}, within_s=60)
        assert node["provision_state"] == "rescue", node["failure"]
        shadow = (machine.tree.root / "etc/shadow").read_text()
        assert "rescue:$6$" in shadow
        assert dropbear.read_text().startswith("-r ")
        node = appliance.do("m1", "unrescue", within_s=60)
        assert node["provision_state"] == "active", node["failure"]
        assert machine.agent.poll() is not None
        assert DRIVE in machine.disk.read_bytes(), "nobody touched the disk"

        said = appliance.log() + str(appliance.events("m1")) + str(appliance.node("m1"))
        assert CANARY not in said
        assert shadow.split("$6$")[1].split(":")[0] not in said
