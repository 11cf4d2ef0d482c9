import threading
import time

import pytest

from appliance.http import workers as module
from appliance.http.workers import Workers


@pytest.fixture
def gate():
    gate = threading.Event()
    yield gate
    gate.set()


def wait_until(claim, within_s: float = 20.0) -> None:
    ends = time.monotonic() + within_s
    while not claim():
        assert time.monotonic() < ends, "did not happen in time"
        time.sleep(0.005)


def test_jobs_run_and_threads_are_kept_for_the_next(gate: threading.Event):
    pool = Workers("t", least=1, most=4)
    names: list[str] = []
    for number in range(10):
        assert pool.submit(lambda: names.append(threading.current_thread().name))
        wait_until(lambda number=number: len(names) == number + 1 and pool._open == 0)
    assert len(set(names)) <= 2
    assert pool.stop(10)


def test_waiting_jobs_get_threads_up_to_the_limit_then_a_queue_then_refusal(gate: threading.Event):
    pool = Workers("t", least=1, most=3)
    started: list[int] = []
    accepted = [pool.submit(lambda n=n: (started.append(n), gate.wait(30))) for n in range(3)]
    wait_until(lambda: len(started) == 3)
    accepted += [pool.submit(lambda n=n: started.append(n)) for n in range(3, 6)]
    assert accepted == [True] * 6
    assert not pool.submit(lambda: None)
    gate.set()
    wait_until(lambda: len(started) == 6)
    assert pool.stop(10)


def test_who_is_told_of_an_end_finds_the_place_free():
    pool = Workers("t", least=1, most=1)
    again: list[bool] = []
    ended = threading.Event()

    def after(result: object) -> None:
        again.extend(pool.submit(lambda: None) for _ in range(2))
        assert result == "done"
        ended.set()

    assert pool.submit(lambda: "done", after)
    assert ended.wait(30)
    assert again == [True, True]
    assert pool.stop(10)


def test_idle_threads_go_home(monkeypatch: pytest.MonkeyPatch, gate: threading.Event):
    monkeypatch.setattr(module, "IDLE_S", 0.05)
    pool = Workers("t", least=1, most=8)
    for _ in range(6):
        pool.submit(lambda: gate.wait(30))
    gate.set()
    wait_until(lambda: len(pool._threads) == 1)
    assert pool.stop(10)


def test_stopping_does_not_wait_for_ever(gate: threading.Event):
    pool = Workers("t", least=1, most=2)
    pool.submit(lambda: gate.wait(30))
    begin = time.monotonic()
    assert not pool.stop(0.1)
    assert time.monotonic() - begin < 5
    assert not pool.submit(lambda: None)


def test_no_more_threads_in_the_system(monkeypatch: pytest.MonkeyPatch, gate: threading.Event):
    pool = Workers("t", least=1, most=4)
    pool.submit(lambda: gate.wait(30))
    wait_until(lambda: len(pool._threads) == 1)

    def refuse(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    done = threading.Event()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert pool.submit(done.set)
    gate.set()
    assert done.wait(30)
    assert pool.stop(10)


def test_who_could_go_on_hears_that_a_job_waits(gate: threading.Event):
    pool = Workers("t", least=1, most=1)
    started = threading.Event()
    pool.submit(lambda: (started.set(), gate.wait(30)))
    assert started.wait(30)
    assert not pool.is_wanted()
    pool.submit(lambda: None)
    assert pool.is_wanted()
    gate.set()
    assert pool.stop(10)
