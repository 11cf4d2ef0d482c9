"""The real processes, with pretended work: killed one by one, stopped, refused, restarted."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance.config import BadConfiguration
from appliance.domain.errors import Invalid
from appliance.main import children
from appliance.main.children import StartFailed
from appliance.main.supervisor import serve
from appliance.models import schema
from appliance.services import setup

ROOT = Path(__file__).parents[3]
SERVE = """
import sys
from pathlib import Path
from appliance.domain.errors import RackwrightError
from appliance.main import children
from appliance.main.supervisor import serve
children.ENTRY = "tests.fakes.appliance_child"
children.BACK_OFF_S = (0.05, 0.1, 0.2)
children.STOP_S = 2.0
try:
    sys.exit(serve(Path(sys.argv[1]), only=frozenset(sys.argv[2:])))
except RackwrightError as fault:
    print(f"{type(fault).__name__}: {fault.message} | {fault.why} | {fault.next_step}")
    sys.exit(42)
"""

STOPPED_ONCE_READY = """
import os, signal
from appliance.main import children
tell = children.Family._write_status
def told(family):
    tell(family)
    if family.is_ready:
        os.kill(os.getpid(), signal.SIGTERM)
children.Family._write_status = told
"""


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    state = tmp_path_factory.mktemp("pristine") / "state"
    setup.init(state, clock=lambda: datetime.now(UTC))
    return state


@pytest.fixture
def state(pristine: Path, tmp_path: Path) -> Path:
    target = tmp_path / "state"
    subprocess.run(["cp", "-a", pristine, target], check=True)
    return target


class Served:
    """A running `serve`. Everything that it started is ended with the test."""

    def __init__(self, state: Path, *only: str, before: str = "") -> None:
        self.state = state
        self.seen: set[int] = set()
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", before + SERVE, str(state), *only],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def status(self) -> dict:
        with suppress(OSError, ValueError):
            status = json.loads((self.state / "run" / "status.json").read_text())
            self.seen |= {status["supervisor"]} | {one["pid"] for one in status["children"].values() if one["pid"]}
            return status
        return {}

    def until(self, claim: Callable[[dict], bool], within_s: float = 60) -> dict:
        ends = time.monotonic() + within_s
        while not ((status := self.status()) and claim(status)):
            assert time.monotonic() < ends, f"not in time: {status} {self.log()}"
            assert self.process.poll() in {None, -9}, self.process.communicate()
            time.sleep(0.02)
        return status

    def ready(self) -> dict:
        return self.until(lambda status: status["is_ready"])

    def log(self) -> str:
        return "".join(path.read_text() for path in (self.state / "log").glob("*.log"))

    def stop(self) -> tuple[int, str]:
        self.process.send_signal(signal.SIGTERM)
        said, _ = self.process.communicate(timeout=60)
        return self.process.returncode, said

    def clean_up(self) -> None:
        self.status()
        if self.process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                self.stop()
        for pid in self.seen | {self.process.pid}:
            with suppress(OSError):
                if str(self.state) in Path(f"/proc/{pid}/cmdline").read_text(errors="replace"):
                    os.kill(pid, signal.SIGKILL)
        self.process.wait(30)
        if self.process.stdout and not self.process.stdout.closed:
            self.process.stdout.close()


@pytest.fixture
def start(state: Path) -> Iterator[Callable[..., Served]]:
    made: list[Served] = []

    def begin(*only: str, before: str = "") -> Served:
        made.append(Served(state, *only, before=before))
        return made[-1]

    yield begin
    for one in made:
        one.clean_up()


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):  # the latter: it went away between opening and reading
        return True


def memory_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Pss:")).split()[1])


def test_starts_serves_and_stops_cleanly(start):
    served = start()
    status = served.ready()
    assert set(status["children"]) == {"control", "netboot"}
    assert memory_kib(status["supervisor"]) < 15_000
    code, _ = served.stop()
    assert code == 0
    assert "did not stop" not in served.log()
    assert all(is_gone(pid) for pid in served.seen)
    assert not (served.state / "run" / "status.json").exists()
    assert "supervisor appliance.main.children: stopped" in served.log()


def test_only_some_roles(start):
    served = start("api", "worker")
    assert set(served.ready()["children"]) == {"control"}
    assert (served.state / "fake-control.seen").read_text() == "None api,worker"


@pytest.mark.parametrize("name", ["control", "netboot"])
def test_a_killed_child_comes_back_and_the_other_stays(start, name: str):
    served = start()
    before = served.ready()["children"]
    os.kill(before[name]["pid"], signal.SIGKILL)
    after = served.until(lambda status: status["children"][name]["pid"] not in {None, before[name]["pid"]})["children"]
    assert after[name]["restarts"] == 1
    assert after[name]["last_end"].startswith("killed by SIGKILL")
    other = "netboot" if name == "control" else "control"
    assert after[other] == before[other]


def test_a_killed_supervisor_is_replaced_and_nothing_runs_twice(start):
    served = start()
    before = served.ready()
    os.kill(before["supervisor"], signal.SIGKILL)
    after = served.until(lambda status: status["is_ready"] and status["supervisor"] != before["supervisor"])
    assert all(is_gone(child["pid"]) for child in before["children"].values())
    assert not any(is_gone(child["pid"]) for child in after["children"].values())
    assert served.stop()[0] == 0
    assert all(is_gone(pid) for pid in served.seen)


def test_a_killed_guard_leaves_the_service_up_until_the_next_serve(start):
    served = start()
    before = served.ready()
    served.process.kill()
    served.process.wait()
    time.sleep(0.2)
    assert not any(is_gone(child["pid"]) for child in before["children"].values())
    successor = start()
    successor.until(lambda status: status["is_ready"] and status["supervisor"] != before["supervisor"])
    assert all(is_gone(child["pid"]) for child in before["children"].values())
    assert successor.stop()[0] == 0


def test_a_stop_that_comes_while_the_supervisor_is_busy_is_heard(start):
    """It has more threads than the one that listens for signals: none of them may take the signal away."""
    served = start(before=STOPPED_ONCE_READY)
    served.process.communicate(timeout=60)
    assert served.process.returncode == 0
    assert "supervisor appliance.main.children: stopped" in served.log()


def test_a_stop_that_comes_while_no_supervisor_runs_is_heard(start):
    served = start("netboot")
    os.kill(served.ready()["supervisor"], signal.SIGKILL)
    while "starting another" not in served.process.stdout.readline():
        pass
    assert served.stop()[0] == 0


def test_a_second_serve_is_refused_and_names_the_first(start, state: Path):
    served = start()
    served.ready()
    second = start()
    said, _ = second.process.communicate(timeout=60)
    assert second.process.returncode == 42
    assert f"AlreadyServing: {state} is served by process {served.process.pid} already" in said
    assert f"kill {served.process.pid}" in said
    assert served.process.poll() is None


def test_what_control_refuses_at_its_first_start_ends_the_serve_with_the_same_words(start, state: Path):
    (state / "fake-control").write_text("refuse")
    served = start()
    said, _ = served.process.communicate(timeout=60)
    assert served.process.returncode == 42
    assert "StartFailed: port 1 is in use | because | do this" in said


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda state: (state / "master.key").unlink(), "master.key is missing"),
        (lambda state: (state / "master.key").chmod(0o644), "can be read by others"),
        (lambda state: (state / "tls" / "ca.key").write_text("x"), "not a readable private key"),
        (lambda state: (state / "rackwright.db").write_bytes(b"x" * 9999), "does not answer"),
    ],
)
def test_a_damaged_state_is_refused_in_words(start, state: Path, damage: Callable[[Path], None], says: str):
    damage(state)
    served = start()
    said, _ = served.process.communicate(timeout=60)
    assert served.process.returncode == 42
    assert says in said
    assert "Traceback" not in said


def test_a_newer_database_is_refused(start, state: Path):
    with schema._connect(f"sqlite:///{state}/rackwright.db") as connection, connection.begin():
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    served = start()
    said, _ = served.process.communicate(timeout=60)
    assert "9999 is unknown to this program" in said


def test_a_crash_loop_is_visible_and_held_back(start, state: Path):
    served = start()
    served.ready()
    (state / "fake-control").write_text("crash")
    os.kill(served.ready()["children"]["control"]["pid"], signal.SIGKILL)
    status = served.until(lambda status: status["children"]["control"]["is_crash_looping"])
    assert status["children"]["control"]["last_end"].startswith("exit code 3")
    assert status["children"]["netboot"]["restarts"] == 0
    (state / "fake-control").unlink()
    served.until(lambda status: status["children"]["control"]["pid"] is not None)
    assert served.stop()[0] == 0


def test_a_stubborn_child_is_killed_in_the_end(start, state: Path):
    (state / "fake-control").write_text("stubborn")
    served = start("api")
    served.ready()
    assert served.stop()[0] == 0
    assert "did not stop in 2 s and is killed" in served.log()


def test_hangup_looks_at_the_configuration_and_changes_nothing(start, state: Path):
    served = start("netboot")
    supervisor = served.ready()["supervisor"]
    (state / "rackwright.toml").write_text("[api]\nlissten = 1\n")
    os.kill(supervisor, signal.SIGHUP)
    ends = time.monotonic() + 30
    while "did you mean 'listen'?" not in served.log():
        assert time.monotonic() < ends
        time.sleep(0.02)
    assert served.process.poll() is None


def test_a_log_directory_that_cannot_be_written_stops_nothing(start, state: Path):
    (state / "log").rmdir()
    (state / "log").write_text("in the way")
    served = start("netboot")
    served.ready()
    assert served.stop()[0] == 0


class TestRefusedBeforeAnythingStarts:
    def test_no_state(self, tmp_path: Path):
        with pytest.raises(BadConfiguration, match="does not exist"):
            serve(tmp_path / "none")

    def test_debug_mode(self, state: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setitem(os.environ, "FLASK_DEBUG", "1")
        with pytest.raises(BadConfiguration, match="FLASK_DEBUG"):
            serve(state)

    def test_bad_requests(self, state: Path):
        with pytest.raises(Invalid, match="no role"):
            serve(state, only=frozenset({"dhcp"}))
        with pytest.raises(Invalid, match="--listen"):
            serve(state, listen="8443")


def test_verdicts_travel_as_json():
    fault = StartFailed("a", why="b", next_step="c")
    again = StartFailed.from_json(fault.to_json())
    assert (again.message, again.why, again.next_step) == ("a", "b", "c")
    assert StartFailed.from_json(b"\xff junk").message.endswith("junk")


def test_systemd_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "notify"))
        monkeypatch.setitem(os.environ, "NOTIFY_SOCKET", str(tmp_path / "notify"))
        children._notify_systemd("READY=1")
        assert ear.recv(100) == b"READY=1"
