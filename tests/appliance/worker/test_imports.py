"""Imports in threads: each in its turn, none lost by a fault, and no obstacle to a shutdown."""

import contextlib
import threading

import pytest

from appliance.domain.errors import Unavailable
from appliance.domain.image_imports import Bounds, Import
from appliance.worker.imports import Imports

BOUNDS = Bounds(downloads=3, packings=1, owner=2, host=2, waiting=4, waiting_of_owner=3)


class Slow:
    """Downloads that end when they are told to. begun: their names."""

    def __init__(self, imports):
        self._imports, self._leave = imports, {}
        self.begun, self._changed = [], threading.Condition()

    def ask(self, uuid, owner, host="mirror"):
        self._leave[uuid] = threading.Event()
        with self._imports.place(Import(uuid=uuid, owner=owner, host=host)) as submit:
            submit(lambda: self._run(uuid))

    def fill(self, first, second, *later):
        """Project a: two go on, and the others wait."""
        for uuid in (first, second):
            self.ask(uuid, "a")
        self.until(first, second)
        for uuid in later:
            self.ask(uuid, "a")

    def _run(self, uuid):
        with self._changed:
            self.begun.append(uuid)
            self._changed.notify_all()
        self._leave[uuid].wait(30)

    def until(self, *uuids):
        with self._changed:
            assert self._changed.wait_for(lambda: sorted(self.begun) == sorted(uuids), 10), self.begun

    def end(self, *uuids):
        for uuid in uuids or self._leave:
            self._leave[uuid].set()


@pytest.fixture
def imports():
    made = Imports(BOUNDS)
    yield made
    made.shutdown()


@pytest.fixture
def slow(imports):
    made = Slow(imports)
    yield made
    made.end()


def test_a_greedy_project_waits_for_itself_and_others_go_past(imports, slow):
    slow.fill("a1", "a2", "a3", "a4")
    assert imports.waits_for("a3") == "2 downloads of this project to end"
    slow.ask("b1", "b", "other")
    slow.until("a1", "a2", "b1")
    assert (imports.waits_for("a1"), imports.waits_for("b1"), imports.waits_for("nobody")) == ("", "", "")
    slow.ask("c1", "c", "third")
    assert imports.waits_for("c1") == "one of 3 downloads to end"
    slow.end("a1")
    slow.until("a1", "a2", "b1", "c1")
    slow.end("a2")
    slow.until("a1", "a2", "b1", "c1", "a3")
    slow.end()
    assert imports.join(10)
    assert sorted(slow.begun) == ["a1", "a2", "a3", "a4", "b1", "c1"]


def test_a_slow_server_holds_up_those_who_ask_it_and_no_packing(imports, slow):
    for uuid, owner in (("a1", "a"), ("b1", "b"), ("c1", "c")):
        slow.ask(uuid, owner)
    slow.until("a1", "b1")
    assert imports.waits_for("c1") == "2 downloads from mirror to end"
    slow.ask("a2", "a", "")
    slow.until("a1", "b1", "a2")


def test_a_fault_is_logged_and_the_next_one_has_its_turn(imports, slow, caplog):
    with imports.place(Import(uuid="x")) as submit:
        submit(lambda: 1 / 0)
    assert imports.join(10)
    assert "ZeroDivisionError" in caplog.text
    slow.ask("y", "", "")
    slow.until("y")


def test_more_than_can_wait_is_refused_and_a_place_not_used_is_free_again(imports, slow):
    slow.fill("a1", "a2", "a3", "a4", "a5")
    with pytest.raises(Unavailable, match="3 imports of this project wait"):
        slow.ask("a9", "a")
    with contextlib.suppress(ZeroDivisionError), imports.place(Import(uuid="b1", owner="b", host="other")):
        assert imports.waits_for("b1") == "", "it is only held"
        with pytest.raises(Unavailable, match="4 imports wait already"):
            slow.ask("c1", "c")
        raise ZeroDivisionError
    slow.ask("c1", "c", "other")
    with imports.place(Import(uuid="a8", owner="a", host="mirror"), is_bounded=False):
        """What had a place before a restart has one after it."""


def test_what_is_given_up_while_it_waits_never_begins(imports, slow):
    slow.fill("a1", "a2", "a3", "a4")
    imports.cancel("a3")
    assert imports.waits_for("a3") == ""
    slow.end()
    assert imports.join(10)
    assert sorted(slow.begun) == ["a1", "a2", "a4"]


def test_a_shutdown_waits_for_nobody_and_begins_nothing(imports, slow):
    slow.fill("a1", "a2", "a3")
    assert not imports.join(0.0)
    imports.shutdown()
    with pytest.raises(Unavailable, match="stopping"):
        slow.ask("a4", "a")
    slow.end()
    assert imports.join(10)
    assert sorted(slow.begun) == ["a1", "a2"]
