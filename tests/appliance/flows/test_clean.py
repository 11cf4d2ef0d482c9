from pathlib import Path

import pytest

from appliance.domain.lifecycle import Verb
from appliance.models.database import Database
from tests.appliance.flows.harness import ADDRESS, Rig, rig
from tests.fakes.clock import FakeClock


def test_provide_erases_metadata(made: Rig) -> None:
    made.add_node("manageable")
    made.ask(Verb.PROVIDE)
    made.drive()
    assert made.commands()[0].params == {"method": "metadata", "disks": None, "skip": []}
    assert made.flow().data["disks"] == 1


def test_provide_and_undeploy_erase_as_configured(database: Database, clock: FakeClock, tmp_path: Path) -> None:
    for state, verb in (("manageable", Verb.PROVIDE), ("active", Verb.UNDEPLOY)):
        made = rig(database, clock, tmp_path, automated_clean="shred")
        made.add_node(state)
        made.ask(verb)
        made.drive()
        assert made.commands()[-1].params["method"] == "shred"
        with database.write() as session:
            session.delete(made.node())


def test_by_hand_one_may_ask_for_more(made: Rig) -> None:
    made.add_node("manageable")
    made.ask(Verb.CLEAN, method="shred")
    made.drive()
    assert made.commands()[0].params["method"] == "shred"
    assert made.node().provision_state == "manageable"


def test_an_erase_that_fails_names_the_way_on(made: Rig) -> None:
    made.world.change(ADDRESS, fails_in={"erase": "/dev/vda: frozen"})
    made.add_node("manageable")
    made.ask(Verb.PROVIDE)
    made.drive()
    failure = made.node().failure
    assert (made.node().provision_state, failure["reason"]) == ("clean failed", "/dev/vda: frozen")
    assert failure["next"] == "rackwright node manage n1 && rackwright node provide n1"


@pytest.mark.parametrize(
    ("configured", "of_the_node", "asked"),
    [("none", None, []), ("none", True, ["metadata"]), ("shred", None, ["shred"]), ("shred", False, [])],
)
def test_the_node_s_own_wish_comes_first(
    database: Database, clock: FakeClock, tmp_path: Path, *, configured: str, of_the_node: bool | None, asked: list[str]
) -> None:
    made = rig(database, clock, tmp_path, automated_clean=configured)
    made.add_node("manageable", has_automated_clean=of_the_node)
    made.ask(Verb.PROVIDE)
    made.drive()
    assert made.node().provision_state == "available"
    assert [command.params["method"] for command in made.commands()] == asked


def test_a_clean_by_hand_is_done_whatever_is_configured(database: Database, clock: FakeClock, tmp_path: Path) -> None:
    made = rig(database, clock, tmp_path, automated_clean="none")
    made.add_node("manageable", has_automated_clean=False)
    made.ask(Verb.CLEAN)
    made.drive()
    assert [command.params["method"] for command in made.commands()] == ["metadata"]


HOLD = {"interface": "power", "step": "hold", "args": {}}
WAIT = {"interface": "power", "step": "wait", "args": {}}
REBOOT = {"interface": "power", "step": "reboot", "args": {}}
ERASE = {"interface": "deploy", "step": "erase_devices", "args": {}}


def test_a_hold_waits_for_people_and_then_goes_on(made: Rig) -> None:
    made.add_node("manageable")
    made.ask(Verb.CLEAN, plan=[HOLD, ERASE])
    engine = made.engine()
    for _ in range(40):
        made.drive_once(engine)
    assert (made.node().provision_state, made.flow().wait_for) == ("clean hold", "unhold")
    made.ask(Verb.UNHOLD)
    assert made.node().provision_state == "clean wait"
    made.world.change(ADDRESS, has_called=True)
    made.drive(engine)
    assert (made.node().provision_state, [command.name for command in made.commands()]) == ("manageable", ["erase"])


def test_after_a_reboot_the_agent_is_booted_for_the_step_that_needs_it(made: Rig) -> None:
    made.add_node("manageable")
    made.ask(Verb.CLEAN, plan=[REBOOT, ERASE])
    made.drive()
    assert made.node().provision_state == "manageable"
    assert made.node().failure is None
    boots = [event for event in made.events("step.done") if event.data["step"] == "agent_is_up"]
    assert len(boots) == 2


def test_a_pause_without_seconds_ends_with_a_sign_of_life(made: Rig) -> None:
    made.add_node("manageable")
    made.ask(Verb.CLEAN, plan=[WAIT])
    engine = made.engine()
    for _ in range(40):
        if made.flow().step == "step_pause":
            break
        made.drive_once(engine)
    assert made.node().provision_state == "clean wait"
    made.drive_once(engine)
    with made.database.write() as session:
        session.merge(made.node()).agent_seen_at = made.clock()
    made.drive(engine)
    assert (made.node().provision_state, made.node().failure) == ("manageable", None)


def test_a_pause_without_any_sign_of_life_fails_by_name(made: Rig) -> None:
    made.add_node("manageable")
    made.ask(Verb.CLEAN, plan=[WAIT])
    made.drive()
    assert made.node().provision_state == "clean failed"
    assert "no sign of life" in str(made.node().last_error)
