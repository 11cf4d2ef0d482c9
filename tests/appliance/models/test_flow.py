import contextlib
from datetime import timedelta

import pytest
from sqlalchemy import insert, select, text

from appliance.domain.errors import NodeLocked
from appliance.models import flow
from appliance.models.database import Database
from appliance.models.flow import DUE_NOW, Flow, FlowSignal
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


def start(database: Database, node_id: int, clock: FakeClock) -> Flow:
    with database.write() as session:
        return flow.enqueue(session, kind="toy", node_id=node_id, data={"a": 1}, now=clock())


def test_new_work_is_due_at_once_whatever_the_caller_s_clock_says(
    database: Database, node_id: int, clock: FakeClock
) -> None:
    clock.advance(3600)
    assert start(database, node_id, clock).wake_at == DUE_NOW


def test_active_work_locks_its_node(database: Database, node_id: int, clock: FakeClock) -> None:
    start(database, node_id, clock)
    with pytest.raises(NodeLocked, match="held by toy"):
        start(database, node_id, clock)


def test_the_index_locks_the_node_even_when_the_question_did_not(
    database: Database, node_id: int, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes that ask at once both see no work; the second insert is refused, and its transaction lives on."""
    start(database, node_id, clock)
    monkeypatch.setattr(flow, "active_for", lambda _session, _node_id: None)
    with database.write() as session:
        with pytest.raises(NodeLocked):
            flow.enqueue(session, kind="toy", node_id=node_id, data={}, now=clock())
        session.get_one(Node, node_id).name = "still alive"
    with database.read() as session:
        assert session.get_one(Node, node_id).name == "still alive"


def test_signals_are_kept_for_active_work_only_and_the_last_counts(
    database: Database, node_id: int, clock: FakeClock
) -> None:
    with database.write() as session:
        assert not flow.signal(session, node_id=node_id, name="bell", payload={}, now=clock())
    row = start(database, node_id, clock)
    for number in (1, 2):
        with database.write() as session:
            assert flow.signal(session, node_id=node_id, name="bell", payload={"n": number}, now=clock())
    with database.write() as session:
        assert [found.payload for found in session.scalars(select(FlowSignal))] == [{"n": 2}]
        flow.forget(session, flow_id=row.id, name="bell")
    with database.read() as session:
        assert session.scalar(select(FlowSignal)) is None


def test_a_signal_wakes_only_the_wait_for_it(database: Database, node_id: int, clock: FakeClock) -> None:
    row = start(database, node_id, clock)
    later = clock() + timedelta(seconds=60)
    with database.write() as session:
        found = session.get_one(Flow, row.id)
        found.wait_for, found.wake_at = "bell", later
    for name, expected in (("horn", later), ("bell", DUE_NOW)):
        with database.write() as session:
            flow.signal(session, node_id=node_id, name=name, payload={}, now=clock())
        with database.read() as session:
            assert session.get_one(Flow, row.id).wake_at == expected


def test_the_bell_rings_after_the_commit_and_never_after_a_roll_back(
    database: Database, node_id: int, clock: FakeClock
) -> None:
    before = database.bells.count(flow.TOPIC)
    with contextlib.suppress(ZeroDivisionError), database.write() as session:
        flow.enqueue(session, kind="toy", node_id=node_id, data={}, now=clock())
        raise ZeroDivisionError
    assert database.bells.count(flow.TOPIC) == before
    start(database, node_id, clock)
    assert database.bells.count(flow.TOPIC) > before


def test_a_tick_is_for_one_caller(database: Database, clock: FakeClock) -> None:
    def take() -> bool:
        with database.write() as session:
            return flow.take_tick(session, name="sync", every_s=60, owner="me", now=clock())

    assert [take(), take()] == [True, False]
    clock.advance(600)
    assert [take(), take()] == [True, False], "missed ticks are not caught up"


def test_a_node_takes_its_work_with_it(database: Database, node_id: int, clock: FakeClock) -> None:
    start(database, node_id, clock)
    with database.write() as session:
        flow.signal(session, node_id=node_id, name="bell", payload={}, now=clock())
        session.delete(session.get_one(Node, node_id))
    with database.read() as session:
        assert session.scalar(select(Flow)) is None
        assert session.scalar(select(FlowSignal)) is None


def test_old_work_is_swept_and_active_work_kept(database: Database, node_id: int, clock: FakeClock) -> None:
    start(database, node_id, clock)
    with database.write() as session:
        flow.finished(session, kind="manage", node_id=node_id, now=clock(), actor="ann")
        assert flow.sweep(session, before=clock()) == 0
        clock.advance(1)
        assert flow.sweep(session, before=clock()) == 1
        assert [row.status for row in session.scalars(select(Flow))] == ["active"]


def test_the_search_for_due_flows_uses_the_due_index(database: Database, clock: FakeClock) -> None:
    """Among many that wait; an empty table tells nothing on PostgreSQL, whose planner goes by statistics."""
    now = clock()
    times = {"created_at": now, "updated_at": now}
    with database.write() as session:
        numbers = range(1, 2001)
        nodes = [{"id": n, "driver": "fake", "provision_updated_at": now, **times} for n in numbers]
        session.execute(insert(Node), nodes)
        waits = [{"node_id": n, "kind": "toy", "wake_at": now, "entered_at": now, "data": {}, **times} for n in numbers]
        session.execute(insert(Flow), waits)
        session.execute(text("ANALYZE"))
    with database.read() as session:
        question = "SELECT min(wake_at) FROM flow WHERE status = 'active' AND owner IS NULL"
        explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
        plan = " ".join(str(row) for row in session.execute(text(explain + question)))
    assert "ix_flow_due" in plan
