import threading

from bmc.ipmi import gate
from bmc.ipmi.loop import shared_loop


def on_loop(work):
    done = threading.Event()
    shared_loop().call(lambda: (work(), done.set()))
    assert done.wait(20)


def test_the_late_come_in_when_others_leave_and_who_gave_up_is_passed_over(monkeypatch):
    monkeypatch.setattr(gate, "AT_ONCE", 2)
    monkeypatch.setattr(gate, "GRACE_S", 60.0)
    door = gate.LoginGate(shared_loop())
    started = []
    tickets = []
    on_loop(lambda: tickets.extend(door.enter(lambda name=name: started.append(name)) for name in "abcd"))
    on_loop(lambda: None)
    assert started == ["a", "b"]
    on_loop(lambda: (tickets[2].leave(), tickets[0].leave(), tickets[0].leave()))
    on_loop(lambda: None)
    assert started == ["a", "b", "d"]


def test_who_is_slow_counts_no_more(monkeypatch):
    monkeypatch.setattr(gate, "AT_ONCE", 1)
    monkeypatch.setattr(gate, "GRACE_S", 0.02)
    door = gate.LoginGate(shared_loop())
    second = threading.Event()
    on_loop(lambda: (door.enter(lambda: None), door.enter(second.set)))
    assert second.wait(20)
