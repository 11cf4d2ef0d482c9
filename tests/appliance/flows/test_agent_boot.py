from datetime import timedelta

import pytest

from appliance.domain.lifecycle import Verb
from appliance.models import event
from tests.appliance.flows.harness import ADDRESS, Rig


def inspected(made: Rig, *, node: dict[str, object] | None = None, **machine: object) -> None:
    made.world.change(ADDRESS, **machine)
    made.add_node("manageable", **(node or {}))
    made.ask(Verb.INSPECT)
    made.drive()


def alive(made: Rig, ago_s: float) -> dict[str, object]:
    return {
        "agent_session_hash": "session",
        "agent_seen_at": made.clock() - timedelta(seconds=ago_s),
        "power_state": "power on",
    }


def test_an_agent_that_runs_is_used_at_once(made: Rig) -> None:
    inspected(made, node=alive(made, 89), is_on=True, runs="agent", has_called=True)
    assert made.node().provision_state == "manageable"
    assert made.machine.acts == []


def test_an_agent_not_heard_of_lately_is_booted_anew(made: Rig) -> None:
    inspected(made, node=alive(made, 91), is_on=True, runs="agent", has_called=True)
    assert made.node().provision_state == "manageable"
    assert made.machine.acts == ["off", "boot pxe", "on"]


def test_undeploy_never_trusts_what_runs(made: Rig) -> None:
    made.world.change(ADDRESS, is_on=True, runs="agent", has_called=True)
    made.add_node("active", instance={"image": "debian"}, **alive(made, 1))
    made.ask(Verb.UNDEPLOY)
    made.drive()
    assert made.machine.acts[:1] == ["off"]
    assert made.node().provision_state == "available"


@pytest.mark.parametrize(("mode", "is_uefi"), [("uefi", True), ("bios", False), (None, False)])
def test_the_network_boot_is_asked_in_the_node_s_own_mode(made: Rig, mode: str | None, is_uefi: bool) -> None:
    inspected(made, node={"boot_mode": mode})
    assert made.machine.is_uefi is is_uefi
    assert not made.machine.is_persistent


def test_a_boot_that_comes_to_nothing_is_tried_once_more(made: Rig) -> None:
    before = made.clock()
    inspected(made, mute_boots=1)
    assert made.node().provision_state == "manageable"
    assert made.machine.acts.count("on") == 2
    assert (made.clock() - before).total_seconds() == pytest.approx(made.policy.agent_boot_s, abs=5)


def test_the_failure_says_that_nothing_was_seen(made: Rig) -> None:
    inspected(made, mute_boots=9)
    node = made.node()
    reason = "The agent did not call back; 2 boots, 900 s each; nothing was seen of it on the network."
    assert (node.provision_state, node.failure["reason"]) == ("inspect failed", reason)
    assert node.failure["step"] == "await_agent"
    assert node.failure["next"] == "rackwright node inspect n1"
    assert node.boot_expected_until is None


def test_the_failure_says_the_last_sign_of_life(made: Rig) -> None:
    made.world.change(ADDRESS, mute_boots=9)
    made.add_node("manageable")
    made.ask(Verb.INSPECT)
    with made.database.write() as session:
        node_id = made.node().id
        for kind, message in (("dhcp.ack", "10.0.0.9"), ("tftp.failed", "snponly.efi at 43%"), ("power", "later")):
            event.record(session, at=made.clock(), kind=kind, message=message, actor="netboot", node_id=node_id)
    made.drive()
    assert "last seen: tftp.failed: snponly.efi at 43%" in made.node().failure["reason"]


def test_a_bmc_that_accepts_and_does_nothing_is_found_out(made: Rig) -> None:
    before = made.clock()
    inspected(made, ignores_power=True)
    node = made.node()
    assert node.failure["step"] == "agent_await_on"
    assert node.failure["reason"].startswith("power failure: the machine is still 'power off' 60 s after 'power on'")
    assert node.power_state == "power off"
    assert (made.clock() - before).total_seconds() < 70


def test_a_bmc_that_is_away_for_a_moment_is_waited_for(made: Rig) -> None:
    inspected(made, faults=["Unreachable", "Busy", "Unreachable"])
    assert made.node().provision_state == "manageable"


def test_a_bmc_that_stays_away_fails_the_work(made: Rig) -> None:
    inspected(made, faults=["Unreachable"] * 20)
    assert made.node().failure["reason"] == "The BMC does not answer. (after 6 tries)"


def test_commands_for_an_older_boot_are_cancelled(made: Rig) -> None:
    from appliance.models import agent_command

    made.add_node("manageable")
    with made.database.write() as session:
        agent_command.ask(
            session, node_id=made.node().id, key="k", name="boot_disk", params={}, secret_params=b"s", now=made.clock()
        )
    made.ask(Verb.INSPECT)
    made.drive()
    assert made.commands()[0].status == "cancelled"
    assert made.machine.commands == ["inspect"]
