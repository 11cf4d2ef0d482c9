import logging
import threading

import pytest

from agent import runner
from agent.errors import Refused
from agent.host import Host
from agent.loop import Channel, Kind, Loop, Outcome, Task


def _runner(tmp_path, execute):
    loop = Loop(boot_secret="s", macs=[], boot_mac=None, agent_version="1", random=lambda: 0.0, session="t")
    return loop, runner.Runner(loop, Host(tmp_path), "https://127.0.0.1:1", None, execute)


def _raising(failure):
    def execute(_task, _report, _is_cancelled):
        raise failure

    return execute


def test_faults_of_a_command_become_its_outcome_and_do_not_quote_it(tmp_path):
    task = Task("a1", "setup_bmc", {"password": "hush"})
    _, running = _runner(tmp_path, _raising(Refused("no controller")))
    assert running._outcome(task) == Outcome({}, error="no controller")
    _, running = _runner(tmp_path, _raising(ValueError("hush")))
    error = running._outcome(task).error
    assert "ValueError in " in error
    assert "test_runner.py" in error
    assert "hush" not in error
    assert "hush" not in repr(task)


def test_lines_are_stamped_and_wait_for_their_turn(tmp_path):
    loop, running = _runner(tmp_path, _raising(ValueError()))
    loop.on_answer(loop.next(Channel.TALK, 0.0), 200, {}, 0.0)
    running.line("INFO disk found")
    request = loop.next(Channel.TALK, 1e12)
    while request.kind is not Kind.LOG:
        loop.on_answer(request, 200, {}, 1e12)
        request = loop.next(Channel.TALK, 1e12)
    stamp, _, text = request.body["lines"][0].partition(" ")
    assert float(stamp) > 0
    assert text == "INFO disk found"


@pytest.mark.parametrize(("name", "ends"), [("work", True), ("listen", True), ("inventory", False)])
def test_a_dead_channel_ends_the_agent_and_a_dead_report_does_not(tmp_path, monkeypatch, caplog, name, ends):
    exits = []
    monkeypatch.setattr(runner.os, "_exit", exits.append)
    _, running = _runner(tmp_path, _raising(ValueError()))
    thread = threading.Thread(name=name)
    failure = KeyError("hush")
    with caplog.at_level(logging.ERROR):
        running._on_death(threading.ExceptHookArgs((KeyError, failure, None, thread)))
    assert exits == [70] * ends
    assert f"thread ended name={name}: KeyError" in caplog.text
    assert "hush" not in caplog.text
