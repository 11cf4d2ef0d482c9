"""Real IPMI to a BMC that is bad on purpose: each ends in a named state, with the command that leads on."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bmc.virtual.faults import Faults
from bmc.virtual.server import VirtualBmc
from tests.fakes.bmcs import SECRET, make_bmc
from tests.fakes.machine import PretendMachine
from tests.fakes.served import Served

CHASSIS_CONTROL = (0x00, 0x02)
CHASSIS_STATUS = (0x00, 0x01)


@contextmanager
def bmc(*, faults: Faults | None = None) -> Iterator[VirtualBmc]:
    with make_bmc(PretendMachine(), address="127.0.0.9", faults=faults) as made:
        yield made


def enroll(appliance: Served, name: str, at: VirtualBmc, *, password: str = SECRET) -> None:
    file = appliance.state.parent / f"{name}.pw"
    file.write_text(password + "\n")
    said = appliance.cli(
        *["node", "enroll", name, "--bmc", f"{at.address}:{at.udp_port}", "--username", "admin"],
        *["--password-file", str(file)],
    )
    assert said.code == 0, said.err


def test_a_wrong_password_and_its_correction(appliance):
    with bmc() as made:
        enroll(appliance, "denied", made, password="not-it")
        said = appliance.cli("node", "manage", "denied", "--wait", "-o", "json")
        assert said.code == 1
        node = appliance.node("denied")
        assert node["provision_state"] == "enroll"
        assert node["last_error"] == "The BMC refuses the password."
        assert node["failure"]["step"] == "read_bmc"
        assert node["failure"]["at"].endswith("Z")
        correct = "rackwright node set denied --bmc ADDRESS --username NAME --password-file FILE"
        assert node["failure"]["next"] == f"{correct} && rackwright node manage denied"
        why = appliance.cli("node", "why", "denied")
        assert f"next: {correct}" in why.out
        good = appliance.state.parent / "good.pw"
        good.write_text(SECRET + "\n")
        assert appliance.cli("node", "set", "denied", "--password-file", str(good)).code == 0
        assert appliance.cli("node", "manage", "denied", "--wait").code == 0
        node = appliance.node("denied")
        assert node["provision_state"] == "manageable"
        assert (node["failure"], node["last_error"]) == (None, None)
    assert SECRET not in appliance.log()


def test_a_refused_password_is_not_tried_again_and_again(appliance):
    """Repeating it would lock the account of the BMC."""
    with bmc() as made:
        enroll(appliance, "once", made, password="not-it")
        node = appliance.do("once", "manage")
        assert node["provision_state"] == "enroll"
        tries = [event for event in appliance.events("once") if event["kind"] == "step.retry"]
        assert tries == []


@pytest.mark.timeout(360)
def test_a_bmc_that_times_out(start):
    """It is silent for longer than all retries: `enroll`, with the reason and the address."""
    appliance = start(bmc={"deadline": '"1s"'})
    with bmc(faults=Faults(loss=1.0)) as made:
        enroll(appliance, "silent", made)
        node = appliance.do("silent", "manage", within_s=140)
        assert node["provision_state"] == "enroll"
        assert node["failure"]["step"] == "read_bmc"
        assert "The BMC does not answer" in node["failure"]["reason"]
        assert "tries" in node["failure"]["reason"]
        assert "rackwright node set silent --bmc ADDRESS" in node["failure"]["next"]


def test_a_bmc_that_is_silent_at_first_is_waited_for(appliance):
    with bmc() as made:
        made.set_faults(Faults(loss=1.0))
        enroll(appliance, "late", made)
        appliance.call("POST", "/v1/nodes/late/manage", {})
        appliance.until(
            lambda: any(event["kind"] == "step.retry" for event in appliance.events("late")),
            within_s=60,
            what="a first try that failed",
        )
        made.set_faults(Faults())
        assert appliance.rest("late", within_s=90)["provision_state"] == "manageable"


def test_a_bmc_that_accepts_and_does_nothing(appliance):
    """`power on` is confirmed by reading: a lie ends in a named state within the limit."""
    with bmc(faults=Faults(lies=frozenset({CHASSIS_CONTROL}))) as made:
        enroll(appliance, "liar", made)
        assert appliance.do("liar", "manage")["provision_state"] == "manageable"
        node = appliance.do("liar", "inspect", within_s=60)
        assert node["provision_state"] == "inspect failed"
        assert "power failure: the machine is still 'power off'" in node["failure"]["reason"]
        assert node["failure"]["step"] == "agent_await_on"
        assert node["failure"]["next"] == "rackwright node inspect liar"


def test_two_nodes_cannot_share_a_bmc(appliance):
    body = {"name": "one", "driver": "ipmi", "bmc": {"address": "127.0.0.77", "username": "a", "password": "b"}}
    appliance.call("POST", "/v1/nodes", body)
    refused = appliance.refused("POST", "/v1/nodes", {**body, "name": "two"})
    assert refused.status == 409
    assert "the BMC at 127.0.0.77 port 623 belongs to another node already" in str(refused)
    assert refused.next_step == "rackwright node show one"
