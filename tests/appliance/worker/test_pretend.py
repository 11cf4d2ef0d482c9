"""Pretend machines do each thing once, and only when it is time."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from appliance.models import flow
from appliance.models.event import Event
from appliance.models.flow import Flow
from appliance.models.node import Node
from appliance.worker import pretend
from tests.fakes.rack import NOW


def waiting_node(database, number, **options):
    """A node whose work waits for its agent."""
    with database.write() as session:
        node = Node(
            name=f"n{number}", driver="fake", driver_options={"agent_delay_s": 1, **options}, created_at=NOW,
            updated_at=NOW, provision_updated_at=NOW,
        )  # fmt: skip
        session.add(node)
        session.flush()
        work = flow.enqueue(session, kind="inspect", node_id=node.id, data={}, now=NOW)
        work.wait_for, work.waiting_since, work.wake_at = "agent.alive", NOW, NOW + timedelta(minutes=5)
    return node.id


def calls(database):
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(Event).where(Event.kind == "agent.alive"))


@pytest.mark.parametrize("count", [1, pretend.AT_ONCE + 3])
def test_each_calls_once_when_its_time_has_come(database, count):
    for number in range(count):
        waiting_node(database, number)
    assert pretend.sweep(database, now=NOW + timedelta(seconds=0.5)) == 0
    assert pretend.sweep(database, now=NOW + timedelta(seconds=2)) == count
    assert pretend.sweep(database, now=NOW + timedelta(seconds=3)) == 0, "the engine has not looked yet"
    assert calls(database) == count


def test_one_that_was_told_meanwhile_keeps_still(database):
    node_id = waiting_node(database, 1)
    with database.write() as session:
        work = session.scalars(select(Flow)).one()
        flow.signal(session, node_id=node_id, name="agent.alive", payload={}, now=NOW)
        pretend._act(session, node_id, work.id, NOW + timedelta(seconds=2))
    assert calls(database) == 0


def test_a_silent_agent_never_calls(database):
    waiting_node(database, 1, fail={"agent": 1})
    assert pretend.sweep(database, now=NOW + timedelta(minutes=1)) == 0
