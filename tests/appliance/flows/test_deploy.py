from dataclasses import replace

import pytest

from appliance.domain.lifecycle import Verb
from tests.appliance.flows.harness import ADDRESS, Rig


def deployed(made: Rig, boot: str = "auto", **machine: object) -> None:
    made.world.change(ADDRESS, **machine)
    made.add_node("available", boot_mode="uefi")
    made.ask(Verb.DEPLOY, boot=boot)
    made.drive()


def test_deploy_writes_the_image_and_ends_active(made: Rig) -> None:
    deployed(made)
    node = made.node()
    assert (node.provision_state, node.target_provision_state, node.power_state) == ("active", None, "power on")
    assert node.instance_address == "10.0.0.50"
    assert node.agent_session_hash is None
    assert made.machine.commands == ["write_image", "boot_disk"]
    assert made.machine.acts == ["boot pxe", "on", "boot disk"]
    assert (made.machine.device, made.machine.is_persistent, made.machine.is_uefi) == ("disk", True, True)


def test_the_node_shows_where_it_is(made: Rig) -> None:
    deployed(made)
    moves = [event.data["to"] for event in made.events("state")]
    expected = ["deploying", "wait call-back", "deploying", "wait call-back", "deploying"]
    assert moves == [*expected, "wait call-back", "deploying", "wait call-back", "deploying", "active"]


def test_a_write_that_fails_marks_the_disk_invalid(made: Rig) -> None:
    deployed(made, fails_in={"write_image": "checksum of chunk 7 is wrong"})
    failure = made.node().failure
    assert made.node().provision_state == "deploy failed"
    assert (failure["reason"], failure["disk"]) == ("checksum of chunk 7 is wrong", "invalid")
    assert failure["next"] == "rackwright node rebuild n1"


def test_an_agent_that_falls_silent_in_the_write_is_lost_soon(made: Rig) -> None:
    before = made.clock()
    deployed(made, hangs_in="write_image")
    failure = made.node().failure
    assert failure["step"] == "write_image"
    assert failure["reason"] == "The agent was lost during write_image at 43%; last heard of 120 s ago."
    assert failure["disk"] == "invalid"
    assert (made.clock() - before).total_seconds() < 130


def test_an_agent_that_goes_on_talking_has_the_whole_limit(made: Rig) -> None:
    made.world.change(ADDRESS, hangs_in="write_image")
    made.add_node("available")
    made.ask(Verb.DEPLOY)
    engine = made.engine()
    before = made.clock()
    for _ in range(60):
        made.drive_once(engine)
        with made.database.write() as session:
            session.merge(made.node()).agent_seen_at = made.clock()
    assert made.node().failure["reason"] == "The agent did not finish write_image at 43% within 3600 s."
    assert 3600 <= (made.clock() - before).total_seconds() < 3800


def test_the_time_in_which_nobody_listened_is_no_silence_of_the_agent(made: Rig) -> None:
    """An appliance that was away for longer than agents may be silent finds them at work when it is back."""
    made.world.change(ADDRESS, hangs_in="write_image")
    made.add_node("available")
    made.ask(Verb.DEPLOY)
    engine = made.engine()
    while made.flow().step != "write_image" or not made.flow().wait_for:
        made.drive_once(engine)
    made.clock.advance(1000)
    made.policy = replace(made.policy, hearing_since=made.clock())
    engine = made.engine()
    engine.run_until_idle()
    assert made.flow().status == "active"
    back = made.clock()
    made.drive(engine)
    assert made.node().failure["reason"].startswith("The agent was lost during write_image")
    assert (made.clock() - back).total_seconds() >= made.policy.agent_silence_s


def test_a_rebuild_after_a_failure_starts_from_a_clean_slate(made: Rig) -> None:
    deployed(made, fails_in={"write_image": "no"})
    made.world.change(ADDRESS, fails_in={})
    made.ask(Verb.REBUILD)
    made.drive()
    node = made.node()
    assert (node.provision_state, node.failure, node.last_error) == ("active", None, None)
    assert made.machine.acts.count("on") == 1, "the agent was there already: no second boot"


@pytest.mark.parametrize("machine", [{"fails_in": {"boot_disk": "kexec: refused"}}, {"hangs_in": "boot_disk"}])
def test_what_stops_a_kexec_does_not_stop_the_deploy(made: Rig, machine: dict[str, object]) -> None:
    deployed(made, **machine)
    assert made.node().provision_state == "active"
    assert made.machine.acts == ["boot pxe", "on", "boot disk", "off", "on"]
    assert all(command.status != "queued" for command in made.commands()), "no later agent may find it"


def test_a_kexec_that_is_never_heard_of_gets_a_power_cycle(made: Rig) -> None:
    before = made.clock()
    deployed(made, kexec_is_lost=True)
    assert made.node().provision_state == "active"
    assert made.machine.acts[-2:] == ["off", "on"]
    assert (made.clock() - before).total_seconds() == pytest.approx(made.policy.kexec_home_s, abs=5)


def test_kexec_can_be_refused_by_wish(made: Rig) -> None:
    deployed(made, boot="reboot")
    assert made.commands()[-1].params == {"method": "reboot"}
    assert made.node().provision_state == "active"


@pytest.mark.parametrize(("boot", "how"), [("reboot", "after a reboot"), ("kexec", "after a power cycle")])
def test_a_system_that_never_calls_home_fails_the_deploy(made: Rig, boot: str, how: str) -> None:
    deployed(made, boot=boot, system_is_mute=True)
    assert made.node().failure["reason"] == f"The installed system did not call home within 1200 s {how}."
    assert "disk" not in made.node().failure


def test_secret_parameters_are_gone_with_the_answer(made: Rig) -> None:
    deployed(made)
    assert [command.secret_params for command in made.commands()] == [None, None]
