from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from appliance.domain.errors import IllegalMove, NodeLocked
from appliance.domain.lifecycle import Verb
from appliance.models.database import Database
from appliance.models.flow import Flow
from appliance.models.node import Node
from appliance.services import lifecycle, nodes
from appliance.services.lifecycle import InMaintenance
from appliance.services.node_rules import Protected, Retired
from tests.appliance.flows.harness import ADDRESS, Rig, rig
from tests.fakes.clock import FakeClock
from tests.fakes.rack import NOW, vault, wish


@pytest.fixture
def made(database: Database, clock: FakeClock, tmp_path: Path) -> Rig:
    return rig(database, clock, tmp_path)


def why(made: Rig) -> dict[str, Any]:
    with made.database.read() as session:
        return lifecycle.why(session, session.scalars(select(Node)).one(), now=made.clock())


def waiting(made: Rig) -> dict[str, Any] | None:
    with made.database.read() as session:
        return lifecycle.waiting(session, session.scalars(select(Node)).one())


def test_a_verb_moves_the_node_and_starts_the_work_in_one_transaction(made: Rig) -> None:
    made.add_node("available", failure={"step": "x"}, last_error="x")
    made.ask(Verb.DEPLOY, boot="reboot")
    node, work = made.node(), made.flow()
    assert (node.provision_state, node.target_provision_state) == ("deploying", "active")
    assert (node.failure, node.last_error) == (None, None)
    assert (work.kind, work.status, work.data, work.actor) == ("deploy", "active", {"spec": {"boot": "reboot"}}, "ann")
    assert made.machine.acts == []
    said = made.events("state")[0]
    assert (said.actor, said.data["verb"], said.data["flow"]) == ("ann", "deploy", work.uuid)


def test_a_state_that_does_not_allow_the_verb_changes_nothing(made: Rig) -> None:
    made.add_node("enroll")
    with pytest.raises(IllegalMove, match='"deploy" can not be performed on node "n1" while it is in state "enroll"'):
        made.ask(Verb.DEPLOY)
    assert made.node().provision_state == "enroll"
    assert made.flow_rows() == []
    assert made.events() == []


@pytest.mark.parametrize(
    ("state", "verb"),
    [("available", Verb.DEPLOY), ("manageable", Verb.PROVIDE), ("manageable", Verb.INSPECT), ("active", Verb.REBUILD)],
)
def test_maintenance_refuses_new_work(made: Rig, state: str, verb: Verb) -> None:
    made.add_node(state, maintenance=True, maintenance_reason="fan")
    with pytest.raises(InMaintenance) as caught:
        made.ask(verb)
    assert caught.value.why == "fan"


@pytest.mark.parametrize(("state", "verb"), [("active", Verb.UNDEPLOY), ("clean failed", Verb.MANAGE)])
def test_maintenance_lets_a_node_out(made: Rig, state: str, verb: Verb) -> None:
    made.add_node(state, maintenance=True)
    made.ask(verb)
    assert made.node().maintenance


def test_a_move_without_work_is_finished_at_once(made: Rig) -> None:
    made.add_node("available")
    made.ask(Verb.MANAGE)
    assert (made.node().provision_state, made.node().target_provision_state) == ("manageable", None)
    assert (made.flow().status, made.flow().kind) == ("done", "manage")


def test_two_requests_one_winner(made: Rig) -> None:
    made.add_node("available")
    made.ask(Verb.DEPLOY)
    with pytest.raises(IllegalMove):
        made.ask(Verb.DEPLOY)
    assert len(made.flow_rows()) == 1


def test_undeploy_in_the_middle_of_a_deploy_asks_for_an_abort_first(made: Rig) -> None:
    made.world.change(ADDRESS, hangs_in="write_image")
    made.add_node("available")
    made.ask(Verb.DEPLOY)
    made.drive_once(made.engine())
    assert made.node().provision_state == "wait call-back"
    with pytest.raises(NodeLocked) as caught:
        made.ask(Verb.UNDEPLOY)
    assert "abort" in caught.value.next_step


def test_abort_ends_the_work_and_cancels_the_agent_s(made: Rig) -> None:
    made.world.change(ADDRESS, hangs_in="erase")
    made.add_node("manageable")
    made.ask(Verb.PROVIDE)
    engine = made.engine()
    while made.node().provision_state != "clean wait" or not made.commands():
        made.drive_once(engine)
    made.ask(Verb.ABORT)
    engine.run_until_idle()
    node = made.node()
    assert (node.provision_state, node.failure["reason"]) == ("clean failed", "Aborted by ann.")
    assert made.flow().status == "aborted"
    assert made.commands()[0].status == "cancelled"
    assert [event.actor for event in made.events("flow.abort")] == ["ann"]


def test_abort_of_nothing_is_refused(made: Rig) -> None:
    made.add_node("available")
    with pytest.raises(IllegalMove, match="no work runs on it"):
        made.ask(Verb.ABORT)


def test_waiting_tells_for_what_since_when_until_when_and_then(made: Rig) -> None:
    made.add_node("manageable")
    assert waiting(made) is None
    made.ask(Verb.INSPECT)
    assert waiting(made) == {
        "for": "a free worker",
        "since": "2026-03-01T12:00:00.000Z",
        "deadline": None,
        "then": "the first step runs",
    }
    made.engine().run_until_idle()
    assert waiting(made) == {
        "for": "agent.alive",
        "since": "2026-03-01T12:00:00.000Z",
        "deadline": "2026-03-01T12:15:00.000Z",
        "then": "the machine is booted once more",
    }


def test_why_is_one_sentence_at_each_stage(made: Rig) -> None:
    made.world.change(ADDRESS, hangs_in="erase")
    made.add_node("manageable")
    assert why(made)["sentence"] == 'n1 is in "manageable" since 2026-03-01 12:00:00Z (0 s); nothing runs on it.'
    assert why(made)["next"] == "rackwright node inspect n1"
    made.ask(Verb.PROVIDE)
    engine = made.engine()
    engine.run_until_idle()
    made.clock.advance(7)
    assert why(made)["sentence"] == (
        'n1 is in "clean wait": clean, step await_agent, waits since 2026-03-01 12:00:00Z (7 s) for the agent to call, '
        "at most until 12:15:00Z; then the machine is booted once more."
    )
    assert why(made)["next"] == "wait, or rackwright node abort n1"
    made.drive_once(engine)
    engine.run_until_idle()
    assert "for the agent to finish erase, at most until" in why(made)["sentence"]
    made.drive(engine)
    assert why(made)["sentence"].startswith('n1 is in "clean failed": step erase: The agent was lost during erase')
    assert why(made)["next"] == "rackwright node manage n1 && rackwright node provide n1"


def test_why_tells_of_maintenance(made: Rig) -> None:
    made.add_node("available", maintenance=True, maintenance_reason="fan 3")
    assert why(made)["sentence"].endswith("It is in maintenance: fan 3.")


def test_describe_flow_lists_the_steps_and_how_long_each_took(made: Rig) -> None:
    made.add_node("manageable")
    made.ask(Verb.INSPECT)
    made.drive()
    with made.database.read() as session:
        work = session.scalars(select(Flow)).one()
        shown = lifecycle.describe_flow(session, work, detail=True)
        brief = lifecycle.describe_flow(session, work, detail=False)
    assert (shown["status"], shown["waiting"], shown["reason"]) == ("done", None, None)
    assert shown["steps"][0]["kind"] == "flow.start"
    assert {"step.wait", "step.done"} <= {step["kind"] for step in shown["steps"]}
    assert "steps" not in brief


@pytest.mark.parametrize(
    ("state", "advice"),
    [
        ("enroll", "rackwright node manage n1"),
        ("manageable", "rackwright node inspect n1"),
        ("available", "rackwright node deploy n1 --image IMAGE"),
        ("active", "rackwright node show n1"),
        ("deploy failed", "rackwright node rebuild n1"),
        ("error", "rackwright node undeploy n1"),
    ],
)
def test_why_advises_what_usually_follows_and_never_to_end_an_instance(
    database: Database, state: str, advice: str
) -> None:
    with database.write() as session:
        node = nodes.create(session, vault(), wish(), actor="ann", now=NOW)
        node.provision_state = state
        assert lifecycle.why(session, node, now=NOW)["next"] == advice
        node.maintenance = True
        if state == "available":
            assert lifecycle.why(session, node, now=NOW)["next"] == "rackwright node maintenance off n1"


def test_of_an_instance_that_is_up_it_says_how_to_log_in(made: Rig) -> None:
    made.add_node("active", instance_address="10.77.0.50")
    assert why(made)["next"] == "ssh USER@10.77.0.50   (debian in our images)"


def test_a_step_that_is_tried_again_says_so(made: Rig) -> None:
    made.world.change(ADDRESS, faults=["Unreachable"])
    made.add_node("enroll")
    made.ask(Verb.MANAGE)
    made.engine().run_until_idle()
    assert "for another try: The BMC does not answer; then read_bmc runs." in why(made)["sentence"]


@pytest.mark.parametrize(
    ("state", "verb", "columns", "error"),
    [
        ("active", Verb.UNDEPLOY, {"is_protected": True}, Protected),
        ("active", Verb.REBUILD, {"is_protected": True}, Protected),
        ("manageable", Verb.PROVIDE, {"is_retired": True}, Retired),
    ],
)
def test_what_was_said_of_a_node_forbids_verbs(
    made: Rig, *, state: str, verb: Verb, columns: dict[str, Any], error: type[Exception]
) -> None:
    made.add_node(state, **columns)
    with pytest.raises(error):
        made.ask(verb)
    assert (made.node().provision_state, made.flow_rows()) == (state, [])


def test_unhold_of_work_that_has_ended_is_refused_and_abort_leads_out(made: Rig) -> None:
    made.add_node("clean hold")
    with pytest.raises(IllegalMove, match="No work"):
        made.ask(Verb.UNHOLD)
    made.ask(Verb.ABORT)
    assert made.node().provision_state == "clean failed"


def test_why_says_who_ends_a_hold(made: Rig) -> None:
    made.add_node("manageable")
    made.ask(Verb.CLEAN, plan=[{"interface": "power", "step": "hold", "args": {}}], disable_ramdisk=True)
    made.engine().run_until_idle()
    with made.database.read() as session:
        said = lifecycle.why(session, session.get_one(Node, made.node().id), now=made.clock())
    assert "somebody to say unhold" in said["sentence"]
    assert "at most until" not in said["sentence"]
    assert said["waiting"]["deadline"] is None


def test_a_maintained_node_is_serviced_by_nobody(made: Rig) -> None:
    made.add_node("active", maintenance=True)
    for verb in (Verb.RESCUE, Verb.SERVICE):
        with pytest.raises(InMaintenance):
            made.ask(verb)
