from pathlib import Path

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
