"""What is forgotten, and what never is."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from appliance.models import agent_command, event, flow
from appliance.models.agent_command import AgentCommand
from appliance.models.event import Event
from appliance.models.flow import Flow
from appliance.models.network import Lease
from appliance.models.node import Sighting
from appliance.services import boot, nodes, retention
from appliance.services.retention import Policy
from tests.fakes.rack import NOW, vault, wish

LATER = NOW + timedelta(days=365)


@pytest.fixture
def node(database):
    with database.write() as session:
        return nodes.create(session, vault(), wish(), actor="ann", now=NOW)


def count(database, table):
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(table))


def record(database, number, **more):
    with database.write() as session:
        for index in range(number):
            event.record(session, at=NOW, kind="x", message=str(index), actor="t", **more)


@pytest.mark.parametrize("batch", [3, 2000])
def test_the_newest_events_of_a_node_are_kept(database, node, monkeypatch, batch):
    monkeypatch.setattr(retention, "BATCH", batch)
    record(database, 20, node_id=node.id)
    record(database, 5)
    retention.sweep(database, Policy(events_of_node=10), now=NOW)
    with database.read() as session:
        mine = [
            row.message for row in session.scalars(select(Event).where(Event.node_id == node.id).order_by(Event.id))
        ]
    assert mine == [str(number) for number in range(10, 20)]
    assert count(database, Event) == 15


def test_a_flood_of_strangers_does_not_push_out_a_node_s_events(database, node):
    record(database, 50, mac="52:54:00:00:00:01")
    retention.sweep(database, Policy(events_of_none=10), now=NOW)
    assert count(database, Event) == 11


def test_ended_work_and_answered_commands_go_and_open_ones_stay(database, node):
    with database.write() as session:
        flow.finished(session, kind="manage", node_id=node.id, now=NOW, actor="ann")
        flow.enqueue(session, kind="verify", node_id=node.id, data={}, now=NOW)
        for key in ("a", "b"):
            agent_command.ask(session, node_id=node.id, key=key, name="erase", params={}, secret_params=None, now=NOW)
        done = session.scalars(select(AgentCommand).where(AgentCommand.key == "a")).one()
        agent_command.finish(session, command=done, status="done", result={}, error=None, now=NOW)
    assert retention.sweep(database, Policy(), now=NOW + timedelta(days=1)) == 0
    assert retention.sweep(database, Policy(), now=LATER) == 2
    assert (count(database, Flow), count(database, AgentCommand)) == (1, 1)
    assert retention.sweep(database, Policy(), now=LATER) == 0


def test_old_sightings_and_dead_leases_go(database):
    with database.write() as session:
        boot.sight(session, mac="52:54:00:00:00:01", address=None, firmware="bios", now=NOW)
        session.add(Lease(address="10.77.0.100", mac="52:54:00:00:00:01", subnet="lab", expires_at=NOW))
    retention.sweep(database, Policy(), now=NOW + timedelta(hours=1))
    assert (count(database, Sighting), count(database, Lease)) == (1, 1)
    retention.sweep(database, Policy(), now=LATER)
    assert (count(database, Sighting), count(database, Lease)) == (0, 0)
