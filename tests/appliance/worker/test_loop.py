"""Reconcilers: each at its own pace, none ends another."""

import threading
from datetime import timedelta

from appliance.models import flow
from appliance.worker.loop import Loop, Reconciler
from tests.fakes.rack import NOW


def test_a_round_that_fails_comes_again(database):
    rounds, enough = [], threading.Event()

    def run():
        rounds.append(1)
        if len(rounds) >= 3:
            enough.set()
        raise ValueError("a bad round")

    loop = Loop(database, [Reconciler(name="x", every_s=0.01, run=run, is_shared=False)], owner="me", clock=lambda: NOW)
    loop.start()
    assert enough.wait(30)
    loop.stop()


def test_of_several_processes_one_takes_each_round(database):
    with database.write() as session:
        assert flow.take_tick(session, name="x", every_s=60, owner="one", now=NOW)
    with database.write() as session:
        assert not flow.take_tick(session, name="x", every_s=60, owner="two", now=NOW + timedelta(seconds=59))
        assert flow.take_tick(session, name="x", every_s=60, owner="two", now=NOW + timedelta(seconds=60))


def test_a_clock_that_was_set_back_does_not_stop_the_rounds(database):
    """The power states of a whole rack would be stale until the clock has caught up."""
    with database.write() as session:
        assert flow.take_tick(session, name="x", every_s=60, owner="one", now=NOW + timedelta(days=1))
    with database.write() as session:
        assert flow.take_tick(session, name="x", every_s=60, owner="one", now=NOW)
        assert not flow.take_tick(session, name="x", every_s=60, owner="two", now=NOW + timedelta(seconds=1))


def test_rounds_that_do_not_end_delay_the_end_once_and_not_one_after_the_other(database, monkeypatch):
    now, joined = [100.0], []
    monkeypatch.setattr("appliance.worker.loop.time.monotonic", lambda: now[0])

    class Stuck:
        def join(self, timeout):
            joined.append(timeout)
            now[0] += timeout

    loop = Loop(database, [], owner="me", clock=lambda: NOW)
    loop._threads = [Stuck() for _ in range(6)]
    loop.stop(within_s=1.0)
    assert sum(joined) == 1.0
