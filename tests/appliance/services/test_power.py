"""Power asked by people: written down, carried out once, and read back."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from appliance.domain.errors import NodeLocked
from appliance.models import flow
from appliance.models.event import Event
from appliance.services import nodes, power
from bmc.errors import Unreachable
from bmc.types import PowerAction, PowerState
from tests.fakes.rack import NOW, vault, wish


class Bmc:
    """Obeys at once, or never."""

    def __init__(self, *, obeys=True, fault=None):
        self.state, self.asked, self._obeys, self._fault = PowerState.OFF, [], obeys, fault

    def power(self, action):
        self.asked.append(action)
        if self._fault:
            raise self._fault
        if self._obeys:
            self.state = power.TARGET[action]

    def power_state(self):
        return self.state


@pytest.fixture
def node(database):
    with database.write() as session:
        return nodes.create(session, vault(), wish(), actor="ann", now=NOW)


def ask(database, action=PowerAction.ON, now=NOW):
    with database.write() as session:
        power.ask(session, nodes.fetch(session, "n1"), action, actor="ann", now=now)


def carry_out(database, node, bmc, action=PowerAction.ON):
    power.carry_out(database, lambda _node: bmc, node.id, action, lambda: NOW)
    with database.read() as session:
        return nodes.fetch(session, "n1")


def test_what_was_observed_is_written_down(database, node):
    ask(database)
    done = carry_out(database, node, Bmc())
    assert (done.power_state, done.target_power_state, done.last_error) == ("power on", None, None)


def test_a_bmc_that_says_yes_and_does_nothing_is_found_out(database, node, monkeypatch):
    monkeypatch.setattr(power, "CONFIRM_S", 0.0)
    ask(database)
    done = carry_out(database, node, Bmc(obeys=False))
    assert (done.power_state, done.target_power_state) == ("power off", None)
    assert "did not change" in done.last_error


def test_a_bmc_that_is_away_leaves_an_error_and_no_wish(database, node):
    ask(database)
    done = carry_out(database, node, Bmc(fault=Unreachable()))
    assert done.target_power_state is None
    assert "does not answer" in done.last_error


def test_one_wish_at_a_time(database, node):
    """Two orders under way at once would fight over the machine."""
    ask(database)
    with pytest.raises(NodeLocked):
        ask(database, PowerAction.OFF, now=NOW + timedelta(seconds=30))
    ask(database, PowerAction.OFF, now=NOW + timedelta(seconds=power.FORGOTTEN_S + 1))  # a crash left the first


def test_work_that_began_meanwhile_has_the_machine(database, node):
    ask(database)
    with database.write() as session:
        flow.enqueue(session, kind="deploy", node_id=node.id, data={}, now=NOW)
    bmc = Bmc()
    done = carry_out(database, node, bmc)
    assert (bmc.asked, done.target_power_state) == ([], None)
    with database.read() as session:
        assert "deploy" in session.scalars(select(Event).where(Event.kind == "power.failed")).one().message


def test_work_in_progress_refuses_at_once(database, node):
    with database.write() as session:
        flow.enqueue(session, kind="deploy", node_id=node.id, data={}, now=NOW)
    with pytest.raises(NodeLocked):
        ask(database)


def test_a_node_that_was_deleted_meanwhile_is_no_problem(database, node):
    ask(database)
    with database.write() as session:
        nodes.delete(session, nodes.fetch(session, "n1"), actor="ann", now=NOW)
    power.carry_out(database, lambda _node: Bmc(), node.id, PowerAction.ON, lambda: NOW)
