import socket

import pytest

from appliance.lab import control
from appliance.lab.control import Action, ControlFailed


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A directory so deep that its socket's path would not fit into a socket address."""
    directory = tmp_path / ("d" * 100)
    directory.mkdir()
    monkeypatch.chdir(directory)
    done = []

    def handle(action):
        if action is Action.POWER_CUT:
            raise OSError("the fuse is stuck")
        done.append(action)
        return {"power": "on"}

    server = control.ControlServer(handle)
    server.start()
    yield directory, done
    server.stop()


def test_an_action_is_done_and_its_answer_comes_back(served):
    directory, done = served
    assert control.ask(directory, Action.PRESS_BUTTON) == {"ok": True, "power": "on"}
    assert done == [Action.PRESS_BUTTON]


def test_a_failed_action_says_why_and_the_next_one_works(served):
    directory, _ = served
    with pytest.raises(ControlFailed, match="the fuse is stuck"):
        control.ask(directory, Action.POWER_CUT)
    assert control.ask(directory, Action.STATUS)["ok"]


@pytest.mark.parametrize("line", [b"nonsense\n", b"{}\n", b'{"do": "dance"}\n', b"[1]\n", b"\n"])
def test_a_request_that_is_no_action_names_those_that_are(served, line):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(control.SOCKET)
        connection.sendall(line)
        answer = connection.makefile("rb").readline()
    assert b"press-button" in answer


def test_nobody_there_is_said_so(tmp_path):
    with pytest.raises(ControlFailed, match="does not answer"):
        control.ask(tmp_path, Action.STATUS)
    with pytest.raises(ControlFailed, match="no machine"):
        control.ask(tmp_path / "absent", Action.STATUS)
