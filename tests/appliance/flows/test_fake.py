"""Hardware that is not there: one step per verb, with the delays and failures that it is told to have."""

from typing import Any

import pytest

from appliance.domain.lifecycle import Verb
from appliance.models import config_drive
from appliance.models.node import Inventory
from tests.appliance.flows.harness import Rig
from tests.appliance.flows.test_repeat_and_kill import Injected, Killed, once, throw, wrap

STEP = {"interface": "raid", "step": "create_configuration", "args": {}}
HOLD = {"interface": "power", "step": "hold", "args": {}}


def fake(made: Rig, state: str, *, columns: dict[str, Any] | None = None, **options: Any) -> None:
    made.add_node(state, driver_options={"deploy_interface": "fake", **options}, **(columns or {}))


@pytest.mark.parametrize(
    ("verb", "start", "end"),
    [
        (Verb.MANAGE, "enroll", "manageable"),
        (Verb.INSPECT, "manageable", "manageable"),
        (Verb.PROVIDE, "manageable", "available"),
        (Verb.CLEAN, "manageable", "manageable"),
        (Verb.DEPLOY, "available", "active"),
        (Verb.REBUILD, "active", "active"),
        (Verb.UNDEPLOY, "active", "available"),
        (Verb.ADOPT, "manageable", "active"),
        (Verb.RESCUE, "active", "rescue"),
        (Verb.UNRESCUE, "rescue", "active"),
        (Verb.SERVICE, "active", "active"),
    ],
)
def test_a_verb_without_delay_is_one_step(made: Rig, verb: Verb, start: str, end: str) -> None:
    fake(made, start)
    made.ask(verb)
    assert made.engine().run_until_idle() == 1
    node = made.node()
    assert (node.provision_state, node.target_provision_state, node.failure) == (end, None, None)
    assert made.flow().status == "done"
    assert made.commands() == []


STARTS = {
    "verify": (Verb.MANAGE, "enroll", "manageable", "enroll"),
    "inspect": (Verb.INSPECT, "manageable", "manageable", "inspect failed"),
    "clean": (Verb.PROVIDE, "manageable", "available", "clean failed"),
    "deploy": (Verb.DEPLOY, "available", "active", "deploy failed"),
    "undeploy": (Verb.UNDEPLOY, "active", "available", "error"),
    "adopt": (Verb.ADOPT, "manageable", "active", "adopt failed"),
    "rescue": (Verb.RESCUE, "active", "rescue", "rescue failed"),
    "unrescue": (Verb.UNRESCUE, "rescue", "active", "unrescue failed"),
    "service": (Verb.SERVICE, "active", "active", "service failed"),
}


@pytest.mark.parametrize("kind", STARTS)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after the work"])
def test_a_worker_that_dies_repeats_the_step_and_nothing_is_done_twice(made: Rig, kind: str, *, after: bool) -> None:
    verb, start, end, _ = STARTS[kind]
    fake(made, start)
    wrap(made, kind, once(throw(Killed()), after=after))
    made.ask(verb)
    with pytest.raises(Killed):
        made.drive()
    made.drive()
    assert (made.node().provision_state, made.node().failure) == (end, None)
    assert [row.status for row in made.flow_rows()] == ["done"]
    assert len(made.events("flow.done")) == 1


@pytest.mark.parametrize("kind", STARTS)
def test_an_abort_before_the_step_ends_in_the_failed_state(made: Rig, kind: str) -> None:
    verb, start, _, failed = STARTS[kind]
    fake(made, start)
    made.ask(verb)
    made.ask(Verb.ABORT)
    made.drive()
    assert (made.node().provision_state, made.flow().status) == (failed, "aborted")


@pytest.mark.parametrize("kind", STARTS)
def test_a_step_that_breaks_leaves_a_named_failure(made: Rig, kind: str) -> None:
    verb, start, _, failed = STARTS[kind]
    fake(made, start)
    wrap(made, kind, once(throw(Injected()), after=True))
    made.ask(verb)
    made.drive()
    node = made.node()
    assert (node.provision_state, node.last_error, node.failure["step"]) == (failed, "Injected.", kind)


def test_the_power_is_remembered_in_the_row(made: Rig) -> None:
    fake(made, "enroll")
    seen = []
    for verb in (Verb.MANAGE, Verb.PROVIDE, Verb.DEPLOY, Verb.UNDEPLOY):
        made.ask(verb)
        made.drive()
        seen.append(made.node().power_state)
    assert seen == ["power off", "power off", "power on", "power off"]


def test_a_machine_that_is_on_is_found_on(made: Rig) -> None:
    fake(made, "enroll", columns={"power_state": "power on"})
    made.ask(Verb.MANAGE)
    made.drive()
    assert made.node().power_state == "power on"


def test_inspection_makes_up_a_report_and_keeps_what_was_given(made: Rig) -> None:
    fake(made, "manageable", columns={"properties": {"cpus": 8, "memory_mb": 1024}})
    for _ in range(2):
        made.ask(Verb.INSPECT)
        made.drive()
    with made.database.read() as session:
        assert session.get_one(Inventory, made.node().id).report["memory_mib"] == 1024
    assert made.node().properties == {"cpus": 8, "memory_mb": 1024}


@pytest.mark.parametrize("delay", [3, "3", "3,3", [3, 3]])
def test_a_delay_is_slept_and_not_worked(made: Rig, delay: Any) -> None:
    fake(made, "available", fake_deploy_delay=delay)
    made.ask(Verb.DEPLOY)
    begun = made.clock()
    engine = made.engine()
    engine.run_until_idle()
    assert made.node().provision_state == "deploying"
    made.drive(engine)
    assert (made.node().provision_state, (made.clock() - begun).total_seconds()) == ("active", 3)


def test_the_configured_delay_holds_where_the_node_names_none(made: Rig) -> None:
    made.policy = type(made.policy)(fake_delays={"deploy": (2.0, 4.0)})
    fake(made, "available")
    made.ask(Verb.DEPLOY)
    begun = made.clock()
    made.drive()
    assert 2 <= (made.clock() - begun).total_seconds() <= 4


def test_each_step_takes_the_time_of_its_interface(made: Rig) -> None:
    fake(made, "manageable", fake_raid_delay=5, fake_clean_delay=1)
    made.ask(Verb.CLEAN, plan=[STEP, STEP, {"interface": "power", "step": "wait", "args": {"seconds": 7}}])
    begun = made.clock()
    made.drive()
    assert (made.node().provision_state, (made.clock() - begun).total_seconds()) == ("manageable", 18)


@pytest.mark.parametrize(
    ("kind", "verb", "start", "end"),
    [
        ("verify", Verb.MANAGE, "enroll", "enroll"),
        ("power", Verb.MANAGE, "enroll", "enroll"),
        ("inspect", Verb.INSPECT, "manageable", "inspect failed"),
        ("clean", Verb.PROVIDE, "manageable", "clean failed"),
        ("deploy", Verb.DEPLOY, "available", "deploy failed"),
        ("undeploy", Verb.UNDEPLOY, "active", "error"),
        ("adopt", Verb.ADOPT, "manageable", "adopt failed"),
        ("rescue", Verb.RESCUE, "active", "rescue failed"),
        ("unrescue", Verb.UNRESCUE, "rescue", "unrescue failed"),
        ("service", Verb.SERVICE, "active", "service failed"),
    ],
)
def test_it_fails_as_often_as_it_is_told_to(made: Rig, kind: str, verb: Verb, start: str, end: str) -> None:
    fake(made, start, fail={kind: 1})
    made.ask(verb)
    made.drive()
    node = made.node()
    assert (node.provision_state, node.last_error) == (end, f"pretended fault: {kind}")
    assert node.failure["next"].startswith("rackwright node ")


def test_one_step_may_fail(made: Rig) -> None:
    fake(made, "manageable", fail={"raid.create_configuration": 1})
    made.ask(Verb.CLEAN, plan=[STEP])
    made.drive()
    assert made.node().last_error == "pretended fault: raid.create_configuration"


@pytest.mark.parametrize(
    ("verb", "start", "held", "end"),
    [
        (Verb.CLEAN, "manageable", "clean hold", "manageable"),
        (Verb.DEPLOY, "available", "deploy hold", "active"),
        (Verb.SERVICE, "active", "service hold", "active"),
    ],
)
def test_a_hold_lasts_until_unhold(made: Rig, verb: Verb, start: str, held: str, end: str) -> None:
    fake(made, start, fake_raid_delay=1)
    made.ask(verb, plan=[STEP, HOLD, STEP])
    engine = made.engine()
    for _ in range(5):  # a look after a day, and another
        made.drive_once(engine)
    node = made.node()
    assert (node.provision_state, made.flow().status) == (held, "active")
    made.ask(Verb.UNHOLD)
    made.drive(engine)
    node = made.node()
    assert (node.provision_state, node.target_provision_state) == (end, None)


def test_a_held_work_may_be_aborted(made: Rig) -> None:
    fake(made, "manageable")
    made.ask(Verb.CLEAN, plan=[HOLD])
    engine = made.engine()
    engine.run_until_idle()
    made.ask(Verb.ABORT)
    made.drive(engine)
    assert (made.node().provision_state, made.flow().status) == ("clean failed", "aborted")


def test_a_held_service_may_be_given_other_steps(made: Rig) -> None:
    fake(made, "active", fail={"raid.create_configuration": 1})
    made.ask(Verb.SERVICE, plan=[HOLD])
    engine = made.engine()
    engine.run_until_idle()
    made.ask(Verb.SERVICE, plan=[STEP])
    made.drive(engine)
    assert made.node().last_error == "pretended fault: raid.create_configuration"
    made.ask(Verb.ABORT)
    node = made.node()
    assert (node.provision_state, node.target_provision_state, node.failure) == ("active", None, None)


def test_without_cleaning_provide_fails_nowhere(made: Rig) -> None:
    fake(made, "manageable", fail={"clean": 1}, columns={"has_automated_clean": False})
    made.ask(Verb.PROVIDE)
    made.drive()
    assert made.node().provision_state == "available"


def test_power_steps_switch_the_machine(made: Rig) -> None:
    fake(made, "active")
    made.ask(Verb.SERVICE, plan=[{"interface": "power", "step": "power_off", "args": {}}, HOLD])
    made.engine().run_until_idle()
    assert made.node().power_state == "power off"


def test_the_other_kind_of_fake_has_a_pretend_agent(made: Rig) -> None:
    made.add_node("available")
    made.ask(Verb.DEPLOY)
    assert made.flow().kind == "deploy"


def test_a_drive_goes_with_its_instance(made: Rig) -> None:
    fake(made, "active", columns={"instance": {"image": None, "config_drive": True}})
    with made.database.write() as session:
        config_drive.keep(session, node_id=made.node().id, kind="parts", content=b"sealed")
    made.ask(Verb.UNDEPLOY)
    made.drive()
    with made.database.read() as session:
        assert config_drive.of(session, node_id=made.node().id) is None


def test_a_machine_that_is_never_switched_off_stays_on(made: Rig) -> None:
    fake(made, "active", columns={"keeps_power": True, "power_state": "power on"})
    made.ask(Verb.UNDEPLOY)
    made.drive()
    assert (made.node().provision_state, made.node().power_state) == ("available", "power on")


def test_the_interface_that_was_chosen_decides(made: Rig) -> None:
    made.add_node("available", interfaces={"deploy": "fake"})
    made.ask(Verb.DEPLOY)
    assert made.flow().kind == "fake-deploy"
    made.drive()
    with made.database.write() as session:
        session.merge(made.node()).interfaces = {"deploy": "direct"}
    made.ask(Verb.UNDEPLOY)
    assert made.flow().kind == "undeploy"
