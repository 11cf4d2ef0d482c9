import pytest
from sqlalchemy import select

from appliance.models import agent_command, flow
from appliance.models.agent_command import AgentCommand
from appliance.models.database import Database, Session
from appliance.models.flow import FlowSignal
from appliance.models.node import Node
from tests.fakes.clock import FakeClock


@pytest.fixture
def node_id(database: Database, clock: FakeClock) -> int:
    now = clock()
    with database.write() as session:
        row = Node(name="n1", driver="fake", created_at=now, updated_at=now, provision_updated_at=now)
        session.add(row)
        session.flush()
        return row.id


def ask(session: Session, node_id: int, clock: FakeClock, key: str = "k") -> AgentCommand:
    return agent_command.ask(
        session, node_id=node_id, key=key, name="erase", params={}, secret_params=b"sealed", now=clock()
    )


def test_asking_twice_with_one_key_is_asking_once(database: Database, node_id: int, clock: FakeClock) -> None:
    with database.write() as session:
        first = ask(session, node_id, clock)
        assert ask(session, node_id, clock).uuid == first.uuid
        assert ask(session, node_id, clock, "other").uuid != first.uuid


def test_the_end_is_kept_once_and_told_to_the_work(database: Database, node_id: int, clock: FakeClock) -> None:
    with database.write() as session:
        flow.enqueue(session, kind="toy", node_id=node_id, data={}, now=clock())
        command = ask(session, node_id, clock)
        ended = {"command": command, "result": {"disks": []}, "error": None, "now": clock()}
        assert agent_command.finish(session, status="done", **ended)
        assert not agent_command.finish(session, status="failed", **ended)
        assert (command.status, command.secret_params) == ("done", None)
        told = session.scalars(select(FlowSignal)).one()
        assert told.name == agent_command.waited_for(command)
        assert told.payload == {"status": "done", "result": {"disks": []}, "error": None}


def test_old_commands_are_swept_and_open_ones_kept(database: Database, node_id: int, clock: FakeClock) -> None:
    with database.write() as session:
        done = ask(session, node_id, clock, "1")
        ask(session, node_id, clock, "2")
        agent_command.finish(session, command=done, status="done", result=None, error=None, now=clock())
        assert agent_command.sweep(session, before=clock()) == 0
        clock.advance(1)
        assert agent_command.sweep(session, before=clock()) == 1


def test_cancelling_leaves_what_has_ended(database: Database, node_id: int, clock: FakeClock) -> None:
    with database.write() as session:
        done = ask(session, node_id, clock, "1")
        agent_command.finish(session, command=done, status="failed", result=None, error="no", now=clock())
        ask(session, node_id, clock, "2")
        assert agent_command.cancel_all(session, node_id=node_id, now=clock()) == 1
        rows = session.scalars(select(AgentCommand).order_by(AgentCommand.id))
        assert [(row.status, row.secret_params) for row in rows] == [("failed", None), ("cancelled", None)]
