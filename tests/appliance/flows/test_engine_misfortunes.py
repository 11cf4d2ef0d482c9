"""The engine's threads, its shutdown and its claims, when things happen that nobody expects."""

import sqlite3
import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text, update
from sqlalchemy.exc import InternalError, OperationalError

from appliance.domain.steps import Next
from appliance.flows import runner as runner_module
from appliance.flows import settler as settler_module
from appliance.flows.engine import Engine
from appliance.flows.procedure import Act, Procedure, Record
from appliance.flows.resources import FlowPolicy
from appliance.flows.runner import Turned
from appliance.flows.settler import Settled
from appliance.models import database as database_module
from appliance.models import flow, flow_queue
from appliance.models.database import Database
from appliance.models.flow import Flow
from appliance.models.flow_queue import Claimed
from appliance.models.node import Node
from tests.appliance.flows.harness import Rig
from tests.appliance.flows.test_engine import until

COUNT = 5


@pytest.fixture(autouse=True)
def time_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settler_module, "BATCH_S", 60.0)


def add_flows(made: Rig, procedure: Procedure) -> None:
    made.flows = {procedure.kind: procedure}
    with made.database.write() as session:
        for number in range(COUNT):
            node = Node(name=f"m{number}", driver="fake", provision_state="available")
            node.created_at = node.updated_at = node.provision_updated_at = made.clock()
            session.add(node)
            session.flush()
            flow.enqueue(session, kind=procedure.kind, node_id=node.id, data={}, now=made.clock())


def claimed(made: Rig, procedure: Procedure) -> tuple[Engine, list[Claimed]]:
    """Flows on COUNT nodes, all owned by an engine that has no threads."""
    add_flows(made, procedure)
    engine = made.engine()
    engine._begin()
    return engine, claim(engine)


def claim(engine: Engine) -> list[Claimed]:
    settled = engine._settler.settle([], lambda batch, _ended: engine._claim(batch, COUNT))
    engine._running |= {row.id: row.claim for row in settled.going_on}
    return settled.going_on


def statuses(made: Rig) -> list[str]:
    return [row.status for row in made.flow_rows()]


def acting(do: Callable[[Act], None]) -> Procedure:
    toy = Procedure("toy")

    @toy.act()
    def only(turn: Act) -> Next:
        do(turn)
        return turn.done()

    return toy


def recording(do: Callable[[Record], None]) -> Procedure:
    toy = Procedure("toy")

    @toy.record()
    def only(turn: Record) -> Next:
        do(turn)
        return turn.done()

    return toy


def waiting() -> Procedure:
    toy = Procedure("toy")

    @toy.act()
    def only(turn: Act) -> Next:
        return turn.wait("bell", then=woken, within_s=60, otherwise=woken, says="")

    @toy.record()
    def woken(turn: Record) -> Next:
        return turn.done()

    return toy


# Threads --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [acting, recording])
@pytest.mark.parametrize("problem", [SystemExit(3), KeyboardInterrupt()])
def test_a_step_that_ends_the_program_ends_its_flow_only(
    made: Rig, monkeypatch: pytest.MonkeyPatch, kind: Callable[[Any], Procedure], problem: BaseException
) -> None:
    monkeypatch.setattr(runner_module, "STUMBLE_PAUSE_S", 0.0)

    def do(turn: Act | Record) -> None:
        if turn.claimed.node_id == bad:
            raise problem

    add_flows(made, kind(do))
    bad = made.flow_rows()[2].node_id
    engine = made.engine()
    engine.start()
    until(lambda: statuses(made).count("active") == 0)
    assert {row.node_id: row.status for row in made.flow_rows() if row.status != "done"} == {bad: "failed"}
    assert all(thread.is_alive() for thread in engine._threads_alive)
    engine.stop()


@pytest.mark.parametrize(
    "problem", [OperationalError("SELECT", {}, Exception("away")), ZeroDivisionError(), SystemExit(3)]
)
def test_nothing_ends_the_dispatcher(made: Rig, monkeypatch: pytest.MonkeyPatch, problem: BaseException) -> None:
    engine = made.engine()
    broken = [True]
    real = engine.next_due

    def next_due() -> Any:
        if broken:
            broken.clear()
            raise problem
        return real()

    monkeypatch.setattr(engine, "next_due", next_due)
    add_flows(made, waiting())
    engine = made.engine()
    monkeypatch.setattr(engine, "next_due", next_due)
    engine.start()
    until(lambda: all(row.wait_for == "bell" for row in made.flow_rows()))
    engine.stop()


# Claims ---------------------------------------------------------------------------------------------------------------


def test_a_flow_that_is_claimed_anew_before_its_end_is_heard_of_stays_ours(made: Rig) -> None:
    """A thread settles a flow, a signal makes it due, the dispatcher claims it, and then hears of the first end."""
    engine, rows = claimed(made, waiting())
    first = rows[0]
    turned = engine._runner.act(first)
    assert turned is not None
    assert engine._settler.settle_alone(turned) is None
    with made.database.write() as session:
        flow.signal(session, node_id=first.node_id, name="bell", payload={}, now=made.clock())
    [again] = claim(engine)
    assert again.id == first.id
    engine._back.append((first.id, first.claim))
    engine._collect()
    engine.lease.renew(engine._running)
    row = made.flow_rows()[0]
    assert (row.owner, row.losses) == (engine.lease.worker, 0)
    engine._back.append((again.id, again.claim))
    engine._collect()
    assert again.id not in engine._running


@pytest.mark.parametrize("jump_s", [3600, -3600])
def test_a_clock_that_is_set_takes_nothing_from_an_engine_that_is_alone(made: Rig, jump_s: int) -> None:
    """Nor does a freeze: nobody else is there who could have taken its flows over."""
    engine, rows = claimed(made, acting(lambda _turn: None))
    before = engine.lease.worker
    made.clock.advance(jump_s)
    engine.lease.renew(engine._running)
    assert {(row.owner, row.losses) for row in made.flow_rows()} == {(before, 0)}
    assert len(engine._settler.settle(answers(engine, rows)).ended) == COUNT
    assert statuses(made) == ["done"] * COUNT


# The database is in trouble -------------------------------------------------------------------------------------------


def trouble(code: int) -> OperationalError:
    cause = sqlite3.OperationalError("as the code says")
    cause.sqlite_errorcode = code
    return OperationalError("INSERT", {}, cause)


@pytest.mark.parametrize(
    ("problem", "losses"),
    [
        (trouble(sqlite3.SQLITE_FULL), 0),
        (trouble(sqlite3.SQLITE_IOERR_FSYNC), 0),
        (trouble(sqlite3.SQLITE_ERROR), 1),
        (ZeroDivisionError(), 1),
    ],
)
def test_a_full_disk_is_no_fault_of_the_step(made: Rig, problem: Exception, losses: int) -> None:
    """Else a deploy would fail after the third try, ten seconds later, instead of waiting for space."""

    def do(_turn: Record) -> None:
        raise problem

    engine, rows = claimed(made, recording(do))
    assert engine._settler.settle_alone(engine._runner.ready(rows[0])) is None
    row = made.flow_rows()[0]
    assert (row.status, row.owner, row.losses) == ("active", None, losses)


def test_a_commit_that_finds_no_space_gives_all_back_and_nothing_counts_as_lost(
    made: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, rows = claimed(made, recording(lambda _turn: None))
    real = made.database.engine.dialect.do_commit
    is_full = [True]

    def full(connection: Any) -> None:
        if is_full:
            is_full.clear()
            raise trouble(sqlite3.SQLITE_FULL)
        real(connection)

    monkeypatch.setattr(made.database.engine.dialect, "do_commit", full)
    settled = engine._settler.settle([engine._runner.ready(row) for row in rows])
    assert sorted(settled.ended) == sorted(row.id for row in rows)
    assert {(row.status, row.owner, row.losses) for row in made.flow_rows()} == {("active", None, 0)}
    made.drive(engine)
    assert statuses(made) == ["done"] * COUNT


def test_a_peer_that_froze_within_a_transaction_stops_nobody_for_long(
    made: Rig, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds the rows of the pools, for which every claim waits; on SQLite there is no other process."""
    if made.database.is_sqlite:
        return
    toy = Procedure("toy")

    @toy.act(pool="bmc")
    def only(turn: Act) -> Next:
        return turn.done()

    made.policy = FlowPolicy(at_once={"bmc": COUNT})
    add_flows(made, toy)
    engine = made.engine(is_alone=False)
    engine._begin()
    monkeypatch.setattr(database_module, "IDLE_S", 0.1)
    peer = Database.at(database_url)
    with pytest.raises(InternalError) as ended, peer.write() as session:  # noqa: PT012
        session.execute(text("SELECT 1 FROM pool FOR UPDATE"))
        made.drive(engine)
    assert database_module.is_out_of_order(ended.value)
    assert statuses(made) == ["done"] * COUNT
    peer.dispose()


def test_a_peer_that_comes_back_after_long_writes_nothing(made: Rig) -> None:
    """Ten minutes frozen with the answer of its act in hand; meanwhile another engine did the work."""
    engine, rows = claimed(made, acting(lambda turn: turn.set(last_error="from the past")))
    turned = [engine._runner.act(row) for row in rows]
    made.clock.advance(600)
    other = made.engine(is_alone=False)
    other.run_until_idle()
    before = [(row.status, row.fence, row.losses) for row in made.flow_rows()]
    settled = engine._settler.settle([one for one in turned if one is not None])
    assert len(settled.alone) == COUNT
    for one in settled.alone:
        assert engine._settler.settle_alone(one) is None
    for row in rows:
        engine._runner.put_back(row, ZeroDivisionError())
    assert [(row.status, row.fence, row.losses) for row in made.flow_rows()] == before
    assert {status for status, _fence, _losses in before} == {"done"}


# The end --------------------------------------------------------------------------------------------------------------


def answers(engine: Engine, rows: list[Claimed]) -> list[Turned]:
    return [turned for row in rows if (turned := engine._runner.act(row)) is not None]


def test_all_that_acts_answered_is_kept_at_the_end(made: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settler_module, "BATCH_S", -1.0)
    engine, rows = claimed(made, acting(lambda _turn: None))
    engine._back.extend(answers(engine, rows))
    engine._stopping.set()
    engine._leaving.set()
    engine._dispatch_loop()
    assert statuses(made) == ["done"] * COUNT


def test_what_must_be_settled_alone_is_settled_when_the_threads_are_gone(made: Rig) -> None:
    engine, rows = claimed(made, acting(lambda _turn: None))
    engine._stopping.set()
    engine._sort(Settled(alone=answers(engine, rows)))
    assert statuses(made) == ["done"] * COUNT


def test_what_was_not_begun_at_the_end_counts_as_no_loss(made: Rig) -> None:
    engine, rows = claimed(made, acting(lambda _turn: pytest.fail("the engine is stopping")))
    for row in rows:
        engine._work.put(row)
    engine._work.put(None)
    engine._stopping.set()
    engine._work_loop()
    engine._collect()
    engine.lease.renew(engine._running)
    engine.lease.leave()
    assert {(row.owner, row.losses) for row in made.flow_rows()} == {(None, 0)}


def test_an_engine_leaves_though_the_database_is_away(made: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    add_flows(made, waiting())
    engine = made.engine()
    engine.start()
    until(lambda: all(row.wait_for == "bell" for row in made.flow_rows()))

    def away(*_: Any, **__: Any) -> None:
        raise OperationalError("DELETE", {}, Exception("away"))

    with monkeypatch.context() as patch:
        patch.setattr(flow_queue, "leave", away)
        engine.stop()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("flow-")]
    with made.database.write() as session:
        session.execute(update(Flow).values(wake_at=flow.DUE_NOW))
    made.drive()
    assert statuses(made) == ["done"] * COUNT
