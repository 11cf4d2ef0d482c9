"""A real machine in QEMU that loses its power, its network and its appliance at the worst moments. For the night.

One rack, one machine, one story, because each boot of an emulated machine costs half a minute: the tests run in order,
and each begins where the one before ended.
"""

import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from appliance.lab import appliance, checks, rack, spec, ssh
from appliance.lab.client import ApiFailed, Json
from appliance.lab.setting import IMAGE, Places, Setting, Stage

pytestmark = [pytest.mark.story, pytest.mark.nightly, pytest.mark.timeout(1500)]

NAMESPACE = "rwfaults"
CACHE = Path("/var/cache/rackwright")
LIMITS = {"agent_lost": "30s", "agent_boot": "100s", "kexec_home": "120s", "call_home": "400s"}


@dataclass(slots=True)
class Lab:
    """The stage, and its one machine."""

    stage: Stage
    key: ssh.Key
    ref: str = ""
    name: str = "node1"
    heard: list[str] = field(default_factory=list)

    def node(self) -> Json:
        return self.stage.client.node(self.ref)

    def until(self, claim: Callable[[], object], *, within_s: float, what: str) -> None:
        """Patient with an appliance that restarts; a failed node ends the wait."""
        ends = time.monotonic() + within_s
        while True:
            try:
                if claim():
                    return
                said = self.stage.client.why(self.ref) if self.ref else ""
            except ApiFailed as fault:
                if not fault.is_passing:
                    raise
                said = str(fault)
            if time.monotonic() > ends:
                tail = "\n".join(self.stage.rack.console_tail(self.name, 15))
                raise AssertionError(f"not within {within_s:.0f} s: {what}\n{said}\n{tail}")
            time.sleep(0.3)

    def ask(self, verb: str, body: Json | None = None) -> None:
        self.stage.client.post(f"/v1/nodes/{self.ref}/{verb}", body)

    def rest(self, state: str, *, within_s: float) -> Json:
        def rests() -> bool:
            node = self.node()
            assert node["provision_state"] == state or not node["provision_state"].endswith("failed"), node["failure"]
            return bool(node["provision_state"] == state and not node["waiting"])

        self.until(rests, within_s=within_s, what=f"the node is {state}")
        return self.node()

    def events(self, begin: int) -> list[Json]:
        return self.stage.client.timeline(self.ref)[begin:]

    def until_event(self, begin: int, kind: str, words: str = "", *, within_s: float) -> None:
        self.until(
            lambda: any(event["kind"] == kind and words in event["message"] for event in self.events(begin)),
            within_s=within_s,
            what=f"an event {kind} {words}",
        )

    def until_written(self, percent: int) -> int:
        """Wait until so much of the image is written; what was told then."""
        told: list[int] = []

        def is_far() -> bool:
            progress = self.node()["progress"] or {}
            if progress.get("total"):
                told.append(100 * progress["done"] // progress["total"])
            return bool(told and told[-1] >= percent)

        self.until(is_far, within_s=300, what=f"{percent} % are written")
        return told[-1]

    def cut_power(self) -> None:
        """QEMU is killed; the BMC lives on."""
        self.stage.rack.power_cut(self.name)
        assert self.stage.rack.power(self.name) == "off"

    def child(self, name: str) -> int:
        status = json.loads((self.stage.running.state / "run" / "status.json").read_text())
        return int(status["children"][name]["pid"] or 0)

    def deployment(self) -> Json:
        return {"image": IMAGE, "hostname": self.name, "ssh_keys": [self.key.public]}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """An appliance with short limits, and a machine that is `available`."""
    lacks = checks.lacks(machines=1)
    if lacks:
        pytest.skip("; ".join(lack.what for lack in lacks))
    base = tmp_path_factory.mktemp("power")
    places = Places(state=base / "state", run=base / "rack", cache=CACHE)
    wanted = spec.rack(["bios"], namespace=NAMESPACE)
    appliance.initialise(places.state, address=wanted.address)
    shorten(places.state / "rackwright.toml")
    key = ssh.make_key(base / "ssh")
    try:
        made = Lab(Setting(places, report=lambda _text: None).raise_stage(wanted), key)
        made.stage.rack.press_button(made.name)
        mac = wanted.nodes[0].mac

        def is_enrolled() -> bool:
            node = made.stage.client.node_of_mac(mac)
            made.ref = str(node["uuid"]) if node else ""
            return bool(node and (node["bmc"] or {}).get("username"))

        made.until(is_enrolled, within_s=300, what="the machine is enrolled")
        made.ask("manage")
        made.rest("manageable", within_s=60)
        made.ask("provide")
        made.rest("available", within_s=180)
        yield made
        made.stage.client.close()
    finally:
        rack.down(places.run)


def shorten(file: Path) -> None:
    text = file.read_text()
    for name, limit in LIMITS.items():
        text, count = re.subn(rf'^# {name} = "[^"]*"', f'{name} = "{limit}"', text, flags=re.MULTILINE)
        assert count == 1, name
    file.write_text(text)


def test_power_cut_in_ipxe_and_then_in_the_write(lab):
    """Off while the firmware loads the kernel: booted once more by itself. Off in the write: a named failure."""
    lab.cut_power()  # so that the deploy has to boot it
    begin = len(lab.events(0))
    lab.ask("deploy", lab.deployment())
    lab.until_event(begin, "http.start", "initrd", within_s=120)
    lab.cut_power()
    lab.until_event(begin, "agent.alive", within_s=240)
    percent = lab.until_written(40)
    lab.cut_power()
    lab.until(lambda: lab.node()["provision_state"] == "deploy failed", within_s=120, what="the loss is noticed")
    failure = lab.node()["failure"]
    told = re.fullmatch(
        r"The agent was lost during write_image at (\d+)%; last heard of \d+ s ago\.", failure["reason"]
    )
    assert told, failure
    assert percent <= int(told[1]) < 100
    assert (failure["step"], failure["disk"]) == ("write_image", "invalid")
    assert failure["next"] == f"rackwright node rebuild {lab.node()['name']}"
    disk = lab.stage.rack.directory(lab.name) / "disk.img"
    with disk.open("rb") as image:
        assert not any(image.read(1 << 20)), "a half-written disk does not boot"


def test_rebuild_through_every_other_loss(lab):
    """Off in the agent's boot; control killed and the cable out in the write; off in the first boot: it gets there."""
    begin = len(lab.events(0))
    lab.ask("rebuild", lab.deployment())
    lab.until_event(begin, "http.done", "initrd", within_s=120)
    lab.cut_power()
    lab.until_event(begin, "agent.alive", within_s=240)
    lab.until_written(15)
    killed = lab.child("control")
    os.kill(killed, signal.SIGKILL)
    lab.until(lambda: lab.child("control") not in (0, killed), within_s=60, what="control is there again")
    lab.until_written(40)
    lab.stage.rack.cut(lab.name)
    time.sleep(20)
    lab.stage.rack.mend(lab.name)
    lab.until(
        lambda: (lab.node()["waiting"] or {}).get("for") == "call-home", within_s=300, what="the image is written"
    )
    written = [event for event in lab.events(begin) if event["message"].startswith("write_image done")]
    assert len(written) == 1, "written once, over all that"
    seen = lab.stage.rack.console_text(lab.name).count("Linux version")
    lab.until(
        lambda: lab.stage.rack.console_text(lab.name).count("Linux version") > seen or "systemd[1]" in tail(lab),
        within_s=60,
        what="the installed system starts",
    )
    lab.cut_power()
    node = lab.rest("active", within_s=700)
    assert node["failure"] is None
    assert any("power" in event["message"] and event["kind"] == "step.start" for event in lab.events(begin))


def tail(lab: Lab) -> str:
    return "\n".join(lab.stage.rack.console_tail(lab.name, 20))


def test_and_ends_in_ssh(lab):
    address = lab.node()["instance"]["address"]
    port = lab.stage.rack.forward(address, 22)
    said: list[str] = []

    def logs_in() -> bool:
        from images import tools

        try:
            said.append(ssh.run(port, lab.key, "hostname; systemctl is-system-running || true"))
        except tools.ToolFailed:
            return False
        return True

    lab.until(logs_in, within_s=240, what="ssh")
    assert said[0].startswith(lab.name)
