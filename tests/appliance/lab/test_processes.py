import dataclasses
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from appliance.lab import processes

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)",
]


@pytest.fixture
def log(tmp_path):
    return tmp_path / "out.log"


def test_a_started_process_lives_in_its_own_session_until_it_is_stopped(log):
    process = processes.start("sleeper", SLEEP, log=log)
    assert process.is_alive()
    assert processes.session_of(process.pid) == process.pid
    assert processes.stop(process)
    assert not process.is_alive()
    assert processes.stop(process), "stopping twice is harmless"


def test_a_process_that_ignores_the_request_is_killed(log):
    process = processes.start("deaf", STUBBORN, log=log)
    deadline = time.monotonic() + 10
    while "deaf" not in log.read_text() and time.monotonic() < deadline:
        os.sched_yield()
    assert processes.stop(process, grace_s=0.05)
    assert not process.is_alive()


def test_a_foreign_process_with_the_same_id_is_left_alone(log):
    process = processes.start("sleeper", SLEEP, log=log)
    foreign = dataclasses.replace(process, started_ticks=process.started_ticks - 1)
    assert not foreign.is_alive()
    assert processes.stop(foreign, grace_s=0.0)
    assert process.is_alive()
    processes.kill(process)


def test_an_ended_child_is_not_alive(log):
    process = processes.start("short", [sys.executable, "-c", "pass"], log=log)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not process.is_alive(), "a zombie is dead"
    assert processes.stop(process)


def test_identify_gives_the_start_time_of_a_living_process_only(log):
    process = processes.start("sleeper", SLEEP, log=log)
    assert processes.identify("again", process.pid) == dataclasses.replace(process, role="again")
    os.kill(process.pid, signal.SIGKILL)
    processes.stop(process)
    assert processes.identify("again", process.pid) is None


def test_our_modules_run_from_where_we_run(log):
    words = processes.module("appliance.lab.forward")
    process = processes.start("forward", words, log=log, environment=processes.environment(), cwd=log.parent)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    processes.stop(process)
    assert log.read_text().startswith("forward: ")


def test_one_that_died_by_itself_is_buried_when_the_next_one_starts(log):
    died = processes.start("short", [sys.executable, "-c", "pass"], log=log)
    os.waitid(os.P_PID, died.pid, os.WEXITED | os.WNOWAIT)
    process = processes.start("sleeper", SLEEP, log=log)
    assert not Path(f"/proc/{died.pid}").exists()
    processes.kill(process)
    assert not processes._children
