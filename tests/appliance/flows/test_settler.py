"""Several flows in one transaction: what one of them meets is its own affair."""

import threading
from collections.abc import Callable

import pytest
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import update

from appliance.domain.steps import Next, Retry
from appliance.flows import settler as settler_module
from appliance.flows.engine import Engine
from appliance.flows.procedure import Act, Procedure, Record
from appliance.models import flow
from appliance.models.flow import Flow
from appliance.models.flow_queue import Claimed
from appliance.models.node import Node, lock
from bmc.errors import Denied
from tests.appliance.flows.harness import Rig

COUNT = 5


@pytest.fixture(autouse=True)
def time_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settler_module, "BATCH_S", 60.0)


def toy(record: Callable[[Record], None]) -> Procedure:
    made = Procedure("toy")

    @made.record()
    def only(turn: Record) -> Next:
        record(turn)
        turn.node.last_error = "was here"
        return turn.done()

    return made


def claimed(made: Rig, procedure: Procedure) -> tuple[Engine, list[Claimed]]:
    """Flows on COUNT nodes, all owned by an engine that has no threads."""
    made.flows = {procedure.kind: procedure}
    with made.database.write() as session:
        for number in range(COUNT):
            node = Node(name=f"m{number}", driver="fake", provision_state="available")
            node.created_at = node.updated_at = node.provision_updated_at = made.clock()
            session.add(node)
            session.flush()
            flow.enqueue(session, kind=procedure.kind, node_id=node.id, data={}, now=made.clock())
    engine = made.engine()
    engine._begin()
    rows = engine._settler.settle([], lambda batch, _ended: engine._claim(batch, COUNT)).going_on
    assert len(rows) == COUNT
    return engine, rows


def ready(engine: Engine, rows: list[Claimed]) -> list[settler_module.Turned]:
    return [engine._runner.ready(row) for row in rows]


def statuses(made: Rig) -> list[str]:
    return [row.status for row in made.flow_rows()]


def test_flows_that_are_ready_share_one_commit(made: Rig) -> None:
    engine, rows = claimed(made, toy(lambda _turn: None))
    commits: list[object] = []

    def count(connection: object) -> None:
        commits.append(connection)

    sqlalchemy_event.listen(made.database.engine, "commit", count)
    settled = engine._settler.settle(ready(engine, rows))
    sqlalchemy_event.remove(made.database.engine, "commit", count)
    assert (len(commits), len(settled.ended), statuses(made)) == (1, COUNT, ["done"] * COUNT)
    assert len(made.events("flow.done")) == COUNT


@pytest.mark.parametrize("problem", [Denied(), ZeroDivisionError()])
def test_a_record_that_raises_harms_only_its_own_flow(made: Rig, problem: Exception) -> None:
    runs: list[int] = []

    def record(turn: Record) -> None:
        runs.append(turn.claimed.id)
        if turn.claimed.id == bad:
            turn.node.name = "half done"
            raise problem

    engine, rows = claimed(made, toy(record))
    bad = rows[2].id
    settled = engine._settler.settle(ready(engine, rows))
    assert statuses(made) == ["active"] * COUNT, "the transaction of all is undone"
    for turned in settled.alone:
        assert engine._settler.settle_alone(turned) is None
    assert {row.id: row.status for row in made.flow_rows() if row.status != "done"} == {
        bad: "failed" if isinstance(problem, Denied) else "active"
    }
    assert runs.count(bad) == 1, "what it raised is its answer"
    with made.database.read() as session:
        assert {node.name for node in session.query(Node)} == {f"m{number}" for number in range(COUNT)}
    row = next(row for row in made.flow_rows() if row.id == bad)
    assert (row.losses, row.owner) == (0 if isinstance(problem, Denied) else 1, None)


def test_a_row_that_was_taken_from_us_is_left_out(made: Rig) -> None:
    engine, rows = claimed(made, toy(lambda _turn: None))
    with made.database.write() as session:
        session.execute(update(Flow).where(Flow.id == rows[1].id).values(owner="another", fence=99))
    settled = engine._settler.settle(ready(engine, rows))
    assert len(settled.ended) == COUNT - 1
    [lost] = settled.alone
    assert engine._settler.settle_alone(lost) is None
    assert next(row for row in made.flow_rows() if row.id == rows[1].id).owner == "another"
    assert len(made.events("flow.done")) == COUNT - 1


def test_a_node_that_somebody_holds_delays_only_its_own_flow(made: Rig) -> None:
    """On SQLite nobody can hold one node: there writers take turns."""
    engine, rows = claimed(made, toy(lambda _turn: None))
    if made.database.is_sqlite:
        assert not engine._settler.settle(ready(engine, rows)).alone
        return
    held, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with made.database.write() as session:
            lock(session, rows[0].node_id)
            held.set()
            assert let_go.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(20)
    settled = engine._settler.settle(ready(engine, rows))
    assert [turned.row.id for turned in settled.alone] == [rows[0].id]
    assert len(settled.ended) == COUNT - 1
    let_go.set()
    assert engine._settler.settle_alone(settled.alone[0]) is None
    holder.join()
    assert statuses(made) == ["done"] * COUNT


def test_what_finds_no_time_comes_later(made: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settler_module, "BATCH_S", -1.0)
    engine, rows = claimed(made, toy(lambda _turn: None))
    settled = engine._settler.settle(ready(engine, rows))
    assert (len(settled.later), len(settled.ended)) == (COUNT - 1, 1), "one at least, or nothing would ever move"


def test_an_abort_is_seen_before_the_record_is_run(made: Rig) -> None:
    engine, rows = claimed(made, toy(lambda _turn: pytest.fail("it was aborted")))
    with made.database.write() as session:
        for row in rows:
            flow.abort(session, node_id=row.node_id, reason="stop it", now=made.clock())
    engine._settler.settle(ready(engine, rows))
    assert statuses(made) == ["aborted"] * COUNT


def test_places_that_a_transaction_frees_are_filled_in_it(made: Rig) -> None:
    """Two flows in a pool of two end, and one that waited for a place is claimed by the same commit."""
    procedure = Procedure("toy")

    @procedure.act(pool="bmc", retry=Retry(times=1))
    def act(turn: Act) -> Next:
        return turn.done()

    made.policy = type(made.policy)(at_once={"bmc": 2})
    made.flows = {"toy": procedure}
    with made.database.write() as session:
        for number in range(COUNT):
            node = Node(name=f"m{number}", driver="fake", provision_state="available")
            node.created_at = node.updated_at = node.provision_updated_at = made.clock()
            session.add(node)
            session.flush()
            flow.enqueue(session, kind="toy", node_id=node.id, data={}, now=made.clock())
    engine = made.engine()
    engine._begin()

    def claim(batch: object, _ended: int) -> list[Claimed]:
        return engine._claim(batch, COUNT)  # type: ignore[arg-type]

    rows = engine._settler.settle([], claim).going_on
    assert len(rows) == 2
    turned = [done for row in rows if (done := engine._runner.act(row)) is not None]
    assert len(engine._settler.settle(turned, claim).going_on) == 2
