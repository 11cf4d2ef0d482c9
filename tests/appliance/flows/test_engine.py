"""The engine with toy flows: what is kept when workers, signals and clocks do their worst."""

import os
import signal as signals
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from appliance.domain.clock import system_clock
from appliance.domain.errors import NodeLocked
from appliance.domain.steps import Next, Retry
from appliance.flows import engine as engine_module
from appliance.flows.engine import Engine
from appliance.flows.procedure import Act, Procedure, Record
from appliance.flows.resources import FlowPolicy
from appliance.models import flow
from appliance.models.database import Database
from appliance.models.flow import Flow, FlowSignal, Worker
from bmc.errors import Denied, Unreachable
from tests.appliance.flows.harness import Rig

Steps = Callable[[Procedure], None]


@pytest.fixture(autouse=True)
def node(made: Rig) -> None:
    made.add_node("available")


def use(made: Rig, *procedures: Procedure, **policy: Any) -> None:
    made.flows = {procedure.kind: procedure for procedure in procedures}
    if policy:
        made.policy = FlowPolicy(**policy)


def enqueue(made: Rig, kind: str = "toy", node_id: int | None = None) -> None:
    with made.database.write() as session:
        flow.enqueue(session, kind=kind, node_id=node_id or made.node().id, data={}, now=made.clock())


def send(made: Rig, name: str, payload: dict[str, Any] | None = None) -> bool:
    with made.database.write() as session:
        return flow.signal(session, node_id=made.node().id, name=name, payload=payload or {}, now=made.clock())


def ask_abort(made: Rig) -> None:
    with made.database.write() as session:
        flow.abort(session, node_id=made.node().id, reason="stop it", now=made.clock())


def waiter(seen: list[str], before_wait: Callable[[], None] = lambda: None) -> Procedure:
    toy = Procedure("toy")

    @toy.act()
    def sleep(turn: Act) -> Next:
        before_wait()
        return turn.wait("bell", then=woken, within_s=60, otherwise=too_late, says="gives up")

    @toy.record()
    def woken(turn: Record) -> Next:
        seen.append(f"woken {turn.payload}")
        return turn.done()

    @toy.record()
    def too_late(turn: Record) -> Next:
        seen.append("too late")
        return turn.failed("nobody rang")

    return toy


# Waits and signals ----------------------------------------------------------------------------------------------------


def test_a_signal_ends_the_wait_and_brings_its_payload(made: Rig) -> None:
    seen: list[str] = []
    use(made, waiter(seen))
    enqueue(made)
    engine = made.engine()
    engine.run_until_idle()
    assert send(made, "bell", {"a": 1})
    engine.run_until_idle()
    assert seen == ["woken {'a': 1}"]
    assert made.flow().status == "done"
    assert not send(made, "bell"), "nothing is kept for a node without work"


def test_an_empty_payload_is_an_answer_and_not_a_time_out(made: Rig) -> None:
    seen: list[str] = []
    use(made, waiter(seen))
    enqueue(made)
    engine = made.engine()
    engine.run_until_idle()
    send(made, "bell")
    made.clock.advance(3600)
    engine.run_until_idle()
    assert seen == ["woken {}"]


def test_a_wait_ends_at_its_deadline_and_not_before(made: Rig) -> None:
    seen: list[str] = []
    use(made, waiter(seen))
    enqueue(made)
    engine = made.engine()
    engine.run_until_idle()
    made.clock.advance(59.9)
    engine.run_until_idle()
    assert seen == []
    made.clock.advance(0.1)
    engine.run_until_idle()
    assert seen == ["too late"]
    assert made.node().failure["reason"] == "nobody rang"
    assert [event.data["timed_out"] for event in made.events("step.start") if "timed_out" in event.data] == ["bell"]


def test_a_signal_that_comes_while_the_step_runs_is_not_lost(made: Rig) -> None:
    seen: list[str] = []
    use(made, waiter(seen, before_wait=lambda: send(made, "bell", {"early": True}) or None))
    enqueue(made)
    made.engine().run_until_idle()
    assert seen == ["woken {'early': True}"]
    assert not made._rows(select(FlowSignal))


def test_signals_and_waits_racing_in_threads_lose_no_wake_up(made: Rig) -> None:
    """The signal is sent at the very moment that the step enters its wait, a hundred times."""
    rounds = 100
    go = threading.Barrier(2)
    toy = Procedure("toy")

    @toy.act()
    def sleep(turn: Act) -> Next:
        if turn.data.get("n", 0) == rounds:
            return turn.done()
        turn.data["n"] = turn.data.get("n", 0) + 1
        go.wait(30)
        return turn.wait("bell", then=again, within_s=3600, otherwise=lost, says="it was lost")

    @toy.record()
    def again(turn: Record) -> Next:
        return turn.go(sleep)

    @toy.record()
    def lost(turn: Record) -> Next:
        return turn.failed("a wake-up was lost")

    def ring() -> None:
        for _ in range(rounds):
            go.wait(30)
            send(made, "bell")

    use(made, toy)
    enqueue(made)
    engine = made.engine()
    ringing = threading.Thread(target=ring)
    ringing.start()
    engine.start()
    ringing.join(60)
    until(lambda: made.flow().status != "active")
    engine.stop()
    assert made.flow().status == "done"


def until(is_true: Callable[[], bool], limit_s: float = 30.0) -> None:
    end = time.monotonic() + limit_s
    while not is_true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


# Faults and retries ---------------------------------------------------------------------------------------------------


def faulty(faults: list[Exception], times: int = 3) -> Procedure:
    toy = Procedure("toy")

    @toy.act(retry=Retry(times=times, first_s=10, factor=2, cap_s=15))
    def ask(turn: Act) -> Next:
        turn.set(power_state="power on")
        if faults:
            raise faults.pop(0)
        return turn.done()

    return toy


def test_a_fault_that_time_may_cure_is_tried_again_with_growing_pauses(made: Rig) -> None:
    use(made, faulty([Unreachable(), Unreachable()]))
    enqueue(made)
    made.drive()
    assert made.flow().status == "done"
    messages = [event.message for event in made.events("step.retry")]
    assert messages == [
        "ask: The BMC does not answer. Next try in 7.5 s.",
        "ask: The BMC does not answer. Next try in 11.2 s.",
    ]
    assert [event.kind for event in made.events()].count("step.start") == 1


def test_retries_come_to_an_end(made: Rig) -> None:
    use(made, faulty([Unreachable() for _ in range(9)]))
    enqueue(made)
    made.drive()
    assert made.node().failure["reason"] == "The BMC does not answer. (after 4 tries)"


def test_a_fault_that_stays_fails_at_once(made: Rig) -> None:
    use(made, faulty([Denied()]))
    enqueue(made)
    made.drive()
    assert made.node().failure["reason"] == Denied.__doc__
    assert not made.events("step.retry")


def test_what_an_act_learnt_before_a_fault_is_kept(made: Rig) -> None:
    use(made, faulty([Denied()]))
    enqueue(made)
    made.drive()
    assert made.node().power_state == "power on"


def buggy(failures: int) -> Procedure:
    toy = Procedure("toy")
    left = [failures]

    @toy.record()
    def wrong(turn: Record) -> Next:
        turn.node.name = "half done"
        if left[0]:
            left[0] -= 1
            raise ZeroDivisionError
        turn.node.name = "well"
        return turn.done()

    return toy


def test_a_bug_is_survived_twice(made: Rig) -> None:
    use(made, buggy(2))
    enqueue(made)
    made.drive()
    assert made.flow().status == "done"
    assert made.node().name == "well"
    assert "ZeroDivisionError" in made.events("step.retry")[0].message


def test_the_third_time_a_poisoned_flow_fails_by_name_and_others_go_on(made: Rig) -> None:
    use(made, buggy(99))
    enqueue(made)
    made.drive()
    assert made.flow().status == "failed"
    assert made.node().name == "n1"
    assert made.node().failure["reason"] == "Step wrong broke 3 times; the log has the details."


@pytest.mark.parametrize(("kind", "step"), [("gone", ""), ("toy", "gone")])
def test_a_flow_that_this_version_does_not_know_fails_by_name(made: Rig, kind: str, step: str) -> None:
    use(made, buggy(0))
    enqueue(made, kind)
    with made.database.write() as session:
        session.execute(update(Flow).values(step=step))
    made.drive()
    assert "This version knows no step" in made.node().failure["reason"]


# Aborts ---------------------------------------------------------------------------------------------------------------


def test_check_stops_an_act_that_was_aborted(made: Rig) -> None:
    toy = Procedure("toy")
    done: list[str] = []

    @toy.act()
    def act(turn: Act) -> Next:
        ask_abort(made)
        turn.check()
        done.append("acted")
        return turn.done()

    use(made, toy)
    enqueue(made)
    made.drive()
    assert (made.flow().status, done) == ("aborted", [])
    assert made.node().failure["reason"] == "stop it"


@pytest.mark.parametrize("answer", ["go", "wait", "again"])
def test_an_abort_that_comes_while_a_step_runs_is_not_hidden_by_its_answer(made: Rig, answer: str) -> None:
    toy = Procedure("toy")

    @toy.act()
    def act(turn: Act) -> Next:
        ask_abort(made)
        if answer == "go":
            return turn.go(never)
        if answer == "wait":
            return turn.wait("bell", then=never, within_s=60, otherwise=never, says="")
        return turn.again(60, "not yet")

    @toy.record()
    def never(turn: Record) -> Next:
        raise AssertionError

    use(made, toy)
    enqueue(made)
    before = made.clock()
    made.drive()
    assert (made.flow().status, made.clock()) == ("aborted", before)


def test_an_abort_needs_no_place_in_a_full_pool(made: Rig) -> None:
    use(made, pooled([]), at_once={"bmc": 0})
    enqueue(made)
    engine = made.engine()
    engine.run_until_idle()
    assert made.flow().status == "active"
    ask_abort(made)
    engine.run_until_idle()
    assert made.flow().status == "aborted"


def test_the_second_abort_changes_nothing(made: Rig) -> None:
    use(made, waiter([]))
    enqueue(made)
    ask_abort(made)
    with made.database.write() as session:
        assert not flow.abort(session, node_id=made.node().id, reason="again", now=made.clock())


# Owners, leases, fences -----------------------------------------------------------------------------------------------


def test_one_piece_of_work_per_node(made: Rig) -> None:
    use(made, waiter([]))
    enqueue(made)
    with pytest.raises(NodeLocked):
        enqueue(made)
    ask_abort(made)
    made.drive()
    enqueue(made)
    assert [row.status for row in made.flow_rows()] == ["aborted", "active"]


def test_two_engines_never_run_the_same_flow(made: Rig) -> None:
    ran: list[str] = []
    toy = Procedure("toy")
    lock = threading.Lock()

    @toy.act()
    def act(turn: Act) -> Next:
        with lock:
            ran.append(turn.key)
        return turn.done()

    use(made, toy)
    for number in range(40):
        with made.database.write() as session:
            node = type(made.node())(name=f"m{number}", driver="fake")
            node.created_at = node.updated_at = node.provision_updated_at = made.clock()
            session.add(node)
            session.flush()
            flow.enqueue(session, kind="toy", node_id=node.id, data={}, now=made.clock())
    engines = [made.engine(is_alone=False) for _ in range(2)]
    for engine in engines:
        engine.start()
    until(lambda: all(row.status == "done" for row in made.flow_rows()))
    for engine in engines:
        engine.stop()
    assert len(ran) == len(set(ran)) == 40


def test_a_worker_whose_lease_ran_out_writes_nothing(made: Rig) -> None:
    """SIGSTOP in short: the first engine sleeps in its act, the second takes over, then the first wakes."""
    toy = Procedure("toy")
    acted: list[str] = []
    local = [0.0]
    first = made.engine(is_alone=False, worker_ttl_s=10, monotonic=lambda: local[0])

    @toy.act()
    def act(turn: Act) -> Next:
        acted.append(turn.key)
        if len(acted) == 1:
            made.clock.advance(11)
            made.engine(is_alone=False).run_until_idle()
            local[0] = 11
        turn.set(name=f"by {len(acted)}")
        return turn.done()

    use(made, toy)
    enqueue(made)
    first = made.engine(is_alone=False, worker_ttl_s=10, monotonic=lambda: local[0])
    first.run_until_idle()
    assert acted[0] == acted[1], "the second run has the same key"
    assert len(made.events("flow.done")) == 1
    assert made.flow().losses == 1


def test_check_refuses_an_act_when_the_lease_is_not_fresh(made: Rig) -> None:
    toy = Procedure("toy")
    effects: list[str] = []
    local = [0.0]

    @toy.act()
    def act(turn: Act) -> Next:
        local[0] = 8.1  # of 10: others may take over soon
        turn.check()
        effects.append("on")
        return turn.done()

    use(made, toy)
    enqueue(made)
    made.engine(is_alone=False, worker_ttl_s=10, monotonic=lambda: local[0]).run_until_idle()
    assert effects == []
    assert made.flow().status == "active"


def test_rows_of_a_dead_worker_are_free_when_its_lease_ends(made: Rig) -> None:
    use(made, waiter([]))
    enqueue(made)
    with made.database.write() as session:
        session.add(
            Worker(id="dead", host="h", started_at=made.clock(), expires_at=made.clock() + timedelta(seconds=5))
        )
        session.execute(update(Flow).values(owner="dead", fence=7))
    engine = made.engine(is_alone=False)
    engine.run_until_idle()
    assert made.flow().owner == "dead"
    made.clock.advance(5)
    engine.run_until_idle()
    assert (made.flow().wait_for, made.flow().losses) == ("bell", 0)
    assert [worker.id for worker in made._rows(select(Worker))] != ["dead"]


def test_an_engine_that_comes_back_late_takes_a_new_name(made: Rig) -> None:
    engine = made.engine(is_alone=False, worker_ttl_s=10)
    engine.run_until_idle()
    before = engine.lease.worker
    made.clock.advance(11)
    engine.run_until_idle()
    assert engine.lease.worker != before


def test_a_worker_that_was_killed_three_times_in_a_step_is_not_killed_again(made: Rig) -> None:
    use(made, waiter([]))
    enqueue(made)
    with made.database.write() as session:
        session.execute(update(Flow).values(owner="dead", losses=2))
    made.engine().run_until_idle()
    assert "broke 3 times" in made.node().failure["reason"]


def test_leaving_in_good_order_loses_nothing(made: Rig) -> None:
    toy = Procedure("toy")
    entered, leave = threading.Event(), threading.Event()

    @toy.act()
    def first(turn: Act) -> Next:
        entered.set()
        leave.wait(20)
        return turn.go(second)

    @toy.act()
    def second(turn: Act) -> Next:
        return turn.done()

    use(made, toy)
    enqueue(made)
    engine = made.engine()
    engine.start()
    entered.wait(20)
    stopping = threading.Thread(target=engine.stop)
    stopping.start()
    until(engine._stopping.is_set)  # or the second step might begin before
    leave.set()
    stopping.join(60)
    row = made.flow()
    assert (row.status, row.step, row.owner, row.losses) == ("active", "second", None, 0)
    assert not made._rows(select(Worker))


def test_a_frozen_process_is_fenced_when_it_wakes(made: Rig, database_url: str, tmp_path: Path) -> None:
    """A real SIGSTOP: the frozen child is inside its step, this process takes over, the child wakes and is refused."""
    signs = tmp_path / "signs"
    signs.touch()

    def act_of(is_child: bool) -> Procedure:
        toy = Procedure("toy")

        @toy.act()
        def act(turn: Act) -> Next:
            with signs.open("a") as file:
                file.write("c" if is_child else "p")
            if is_child:
                os.kill(os.getpid(), signals.SIGSTOP)
                turn.set(name="written by the child")
            return turn.done()

        return toy

    enqueue(made)
    made.database.dispose()
    child = os.fork()
    if child == 0:  # pragma: no cover  (another process)
        try:
            made.database = Database.at(database_url)
            use(made, act_of(is_child=True))
            made.engine(is_alone=False, worker_ttl_s=5).run_until_idle()
            os._exit(0)
        finally:
            os._exit(1)
    os.waitpid(child, os.WUNTRACED)
    made.clock.advance(6)
    use(made, act_of(is_child=False))
    made.engine(is_alone=False).run_until_idle()
    assert (made.flow().status, signs.read_text()) == ("done", "cp")
    os.kill(child, signals.SIGCONT)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, "being fenced is no crash"
    assert made.node().name == "n1"
    assert len(made.events("flow.done")) == 1


# Pools and slots ------------------------------------------------------------------------------------------------------


def pooled(busy: list[int]) -> Procedure:
    toy = Procedure("toy")
    inside: list[int] = []

    @toy.act(pool="bmc")
    def act(turn: Act) -> Next:
        inside.append(1)
        busy.append(len(inside))
        time.sleep(0.01)
        inside.pop()
        return turn.done()

    return toy


def add_flows(made: Rig, count: int) -> None:
    with made.database.write() as session:
        for number in range(count):
            node = type(made.node())(name=f"m{number}", driver="fake")
            node.created_at = node.updated_at = node.provision_updated_at = made.clock()
            session.add(node)
            session.flush()
            flow.enqueue(session, kind="toy", node_id=node.id, data={}, now=made.clock())


def test_a_pool_lets_in_so_many_at_once(made: Rig) -> None:
    busy: list[int] = []
    full = threading.Event()
    toy = Procedure("toy")
    inside: list[int] = []

    @toy.act(pool="bmc")
    def act(turn: Act) -> Next:
        inside.append(1)
        busy.append(len(inside))
        if len(inside) == 2:
            full.set()
        full.wait(30)  # the first one for the second
        time.sleep(0.01)
        inside.pop()
        return turn.done()

    use(made, toy, at_once={"bmc": 2})
    add_flows(made, 12)
    engine = Engine(
        made.database, made.flows, made.engine()._runner.resources, clock=system_clock, threads=6, is_alone=True
    )
    engine.start()
    until(lambda: all(row.status == "done" for row in made.flow_rows()))
    engine.stop()
    assert max(busy) == 2


def test_a_slot_is_kept_across_the_wait_and_across_looks(made: Rig) -> None:
    toy = Procedure("toy")

    @toy.record(slot="image_write")
    def write(turn: Record) -> Next:
        return turn.wait("bell", then=written, within_s=60, otherwise=look, says="", look_s=10)

    @toy.record()
    def look(turn: Record) -> Next:
        return turn.keep_waiting(10)

    @toy.record()
    def written(turn: Record) -> Next:
        return turn.done()

    use(made, toy, at_once={"image_write": 1})
    add_flows(made, 2)
    engine = made.engine()
    engine.run_until_idle()
    assert [(row.slot, row.wait_for) for row in made.flow_rows()] == [("image_write", "bell"), (None, None)]
    made.clock.advance(10)
    engine.run_until_idle()
    assert [(row.slot, row.wait_for) for row in made.flow_rows()] == [("image_write", "bell"), (None, None)]
    with made.database.write() as session:
        flow.signal(session, node_id=made.flow_rows()[0].node_id, name="bell", payload={}, now=made.clock())
    engine.run_until_idle()
    assert [(row.status, row.slot) for row in made.flow_rows()] == [("done", None), ("active", "image_write")]


def test_others_are_not_held_up_by_those_before_a_full_pool(made: Rig) -> None:
    use(made, pooled([]), waiter([]), at_once={"bmc": 0})
    made.flows["free"] = Procedure("free", waiter([]).steps)
    add_flows(made, 50)
    enqueue(made, "free")
    made.engine().run_until_idle()
    assert made.flow().wait_for == "bell"


def test_a_pool_without_a_size_is_refused_at_the_start(made: Rig) -> None:
    use(made, pooled([]), at_once={"image_write": 1})
    with pytest.raises(ValueError, match="bmc"):
        made.engine()


# The rest -------------------------------------------------------------------------------------------------------------


def test_a_poll_leaves_no_trace_and_has_no_number_of_tries(made: Rig) -> None:
    toy = Procedure("toy")

    @toy.act()
    def poll(turn: Act) -> Next:
        return turn.done() if turn.in_step_s >= 100 else turn.again(1, "not yet")

    use(made, toy)
    enqueue(made)
    made.drive()
    assert [event.kind for event in made.events()] == ["flow.start", "step.start", "step.done", "flow.done"]


@pytest.mark.parametrize("is_from_here", [True, False], ids=["this process", "another"])
def test_a_signal_wakes_the_engine(
    made: Rig, database_url: str, monkeypatch: pytest.MonkeyPatch, is_from_here: bool
) -> None:
    """By the bell of this process; by a notification on PostgreSQL; and where neither comes, by the poll."""
    if is_from_here or not made.database.is_sqlite:
        monkeypatch.setattr(engine_module, "POLL_S", 60.0)
    woken = threading.Event()
    toy = Procedure("toy")

    @toy.record()
    def sleep(turn: Record) -> Next:
        return turn.wait("bell", then=wake, within_s=3600, otherwise=wake, says="")

    @toy.record()
    def wake(turn: Record) -> Next:
        woken.set()
        return turn.done()

    use(made, toy)
    enqueue(made)
    engine = made.engine()
    engine.start()
    try:
        until(lambda: made.flow().wait_for == "bell")
        time.sleep(0.2)  # the dispatcher has gone to sleep
        sender = made.database if is_from_here else Database.at(database_url)
        with sender.write() as session:
            flow.signal(session, node_id=made.node().id, name="bell", payload={}, now=made.clock())
        assert woken.wait(20)
        if not is_from_here:
            sender.dispose()
    finally:
        engine.stop()


def test_a_database_that_is_away_ends_no_engine(made: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    use(made, waiter([]))
    engine = made.engine()
    broken = [True]
    real = engine.next_due

    def next_due() -> Any:
        if broken:
            broken.clear()
            raise OperationalError("SELECT", {}, Exception("away"))
        return real()

    monkeypatch.setattr(engine, "next_due", next_due)
    engine.start()
    enqueue(made)
    until(lambda: made.flow().wait_for == "bell")
    engine.stop()
