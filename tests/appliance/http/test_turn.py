"""Reads take turns, and one that waits holds up nobody for long."""

import threading
import time

import pytest

from appliance.http import turn as module
from appliance.http.turn import Turn


def test_one_at_a_time(monkeypatch):
    monkeypatch.setattr(module, "PATIENCE_S", 60.0)
    turn, inside, most = Turn(), 0, 0

    def read():
        nonlocal inside, most
        for _ in range(50):
            with turn.taken():
                inside += 1
                most = max(most, inside)
                time.sleep(0)
                inside -= 1

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (inside, most) == (0, 1)


def test_who_waits_inside_is_left_behind_by_all_others():
    turn, entered, leave = Turn(), threading.Event(), threading.Event()

    def wait_inside():
        with turn.taken():
            entered.set()
            leave.wait(60)

    waiting = threading.Thread(target=wait_inside)
    waiting.start()
    assert entered.wait(60)
    with turn.taken():  # in vain, and on without it
        pass
    with turn.taken(), turn.taken():  # the first has the new turn; the second waits for it in vain
        pass
    leave.set()
    waiting.join(60)
    with turn.taken():
        assert turn._lock.locked()


def test_a_fault_gives_the_turn_back():
    turn = Turn()
    with pytest.raises(RuntimeError), turn.taken():
        raise RuntimeError
    assert not turn._lock.locked()
