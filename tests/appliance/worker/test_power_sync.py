"""The reconciler of power states: what BMCs say, applied to nodes that nobody works on."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from appliance.domain.power import POWER_FAILURE, PowerPolicy
from appliance.models import flow
from appliance.models.event import Event
from appliance.models.node import Node
from appliance.services import nodes
from appliance.services.node_input import BmcAccess
from appliance.services.vault import NotSealedHere
from appliance.worker import power_sync
from bmc.errors import Unreachable
from bmc.types import BmcTarget, PowerState
from tests.fakes.rack import NOW, vault, wish

ON, OFF, SILENT = PowerState.ON, PowerState.OFF, Unreachable()


@pytest.fixture
def rack(database):
    """Three manageable nodes, all off as far as we know."""
    with database.write() as session:
        for number in (1, 2, 3):
            access = BmcAccess(address=f"10.77.0.20{number}")
            made = wish(f"n{number}", macs=[f"52:54:00:77:00:0{number}"], bmc=access)
            node = nodes.create(session, vault(), made, actor="ann", now=NOW)
            node.provision_state, node.power_state = "available", "power off"
    return database


def target_of(node):
    return BmcTarget(driver=node.driver, address=node.bmc_address, udp_port=node.bmc_udp_port)


def sweep(database, answers, *, now=NOW, target_of=target_of, before=lambda: None):
    """answers: what the BMC of each node says; the others stay off. before: happens while they are asked."""

    def ask(targets):
        for target in targets:
            before()
            yield target, answers.get(f"n{target.address[-1]}", OFF)

    return power_sync.sweep(database, ask, target_of, PowerPolicy(), lambda: now)


def node(database, name="n1"):
    with database.read() as session:
        return nodes.fetch(session, name)


def change(database, name="n1", **columns):
    with database.write() as session:
        row = nodes.fetch(session, name)
        for column, value in columns.items():
            setattr(row, column, value)


def test_a_button_that_was_pressed_is_noticed(rack):
    assert sweep(rack, {"n1": ON}) == 1
    assert node(rack).power_state == "power on"
    assert sweep(rack, {"n1": ON}) == 0


def test_three_silences_set_a_node_aside_and_an_answer_brings_it_back(rack):
    for _ in range(3):
        sweep(rack, {"n1": SILENT})
    aside = node(rack)
    assert (aside.fault, aside.maintenance, aside.power_state) == (POWER_FAILURE, True, "error")
    assert "did not answer 3 times" in aside.last_error
    assert node(rack, "n2").fault is None
    sweep(rack, {"n1": ON})
    back = node(rack)
    assert back.last_error is None
    assert (back.fault, back.maintenance, back.power_state, back.power_failures) == (None, False, "power on", 0)


def test_a_node_that_is_set_aside_costs_no_further_writes(rack):
    for _ in range(3):
        sweep(rack, {"n1": SILENT})
    version = node(rack).version
    assert sweep(rack, {"n1": SILENT}) == 0
    assert node(rack).version == version


def test_maintenance_by_hand_is_left_alone(rack):
    change(rack, maintenance=True)
    assert sweep(rack, {"n1": ON}) == 0
    assert node(rack).maintenance is True


def test_a_wish_under_way_is_not_taken_for_somebody_elses_hand(rack):
    """A machine needs seconds to switch on: `off` meanwhile is no news."""
    change(rack, target_power_state="power on", updated_at=NOW)
    assert sweep(rack, {"n1": OFF}, now=NOW + timedelta(seconds=20)) == 0
    assert node(rack).target_power_state == "power on"


def test_a_wish_that_a_crash_left_is_ended(rack):
    change(rack, target_power_state="power on", updated_at=NOW)
    sweep(rack, {"n1": OFF}, now=NOW + timedelta(minutes=10))
    assert (node(rack).target_power_state, node(rack).power_state) == (None, "power off")


def test_a_node_that_work_holds_is_not_touched(rack):
    with rack.write() as session:
        flow.enqueue(session, kind="deploy", node_id=nodes.fetch(session, "n1").id, data={}, now=NOW)
    assert sweep(rack, {"n1": ON}) == 0


def test_work_that_takes_the_node_while_its_bmc_is_asked_wins(rack):
    with rack.read() as session:
        held = session.scalars(select(Node.id).where(Node.name == "n1")).one()

    def begin():
        with rack.write() as session:
            if flow.active_for(session, held) is None:
                flow.enqueue(session, kind="deploy", node_id=held, data={}, now=NOW)

    assert sweep(rack, {"n1": ON}, before=begin) == 0
    assert node(rack).power_state == "power off"


def test_a_node_that_changed_while_its_bmc_was_asked_is_decided_anew_next_time(rack):
    assert sweep(rack, {"n1": ON}, before=lambda: change(rack, rack=str(node(rack).version))) == 0
    assert sweep(rack, {"n1": ON}) == 1


def test_one_secret_that_does_not_open_stops_no_other_node(rack):
    def broken(row):
        if row.name == "n1":
            raise NotSealedHere
        return target_of(row)

    assert sweep(rack, {"n2": ON}, target_of=broken) == 1
    assert node(rack, "n2").power_state == "power on"


def test_a_deleted_node_is_no_problem(rack):
    def forget():
        with rack.write() as session:
            for row in session.scalars(select(Node).where(Node.name == "n1")):
                session.delete(row)

    assert sweep(rack, {"n1": ON, "n2": ON}, before=forget) == 1


def test_only_changes_are_written(rack):
    for _ in range(5):
        assert sweep(rack, {}) == 0
    with rack.read() as session:
        assert session.scalars(select(Event).where(Event.kind == "power")).all() == []
