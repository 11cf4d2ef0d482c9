"""A fake appliance per test, and ways to run the command against it: in this process, in a pipe, on a terminal."""

import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from appliance.main.cli import main
from tests.fakes.fake_api import FakeApi, serving

ROOT = Path(__file__).parents[4]
LIMIT_S = 100


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended. On a terminal stdout holds what the terminal was sent, stderr too."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FakeApi, str, Path]]:
    """One server for all tests: a TLS listener per test costs more than the tests."""
    api = FakeApi()
    with serving(api, tmp_path_factory.mktemp("tls")) as (url, ca):
        yield api, url, ca


@pytest.fixture
def api(server: tuple[FakeApi, str, Path]) -> FakeApi:
    """The fake as new: whatever a test put on it is gone."""
    found = server[0]
    with found.lock:
        vars(found).update({**dict.fromkeys(vars(found)), **vars(FakeApi())})
        for name in [name for name, value in vars(found).items() if value is None]:
            delattr(found, name)
    return found


@pytest.fixture
def place(api: FakeApi, server: tuple[FakeApi, str, Path]) -> tuple[str, Path]:
    return server[1], server[2]


@pytest.fixture
def environment(place: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Logged in to the fake; a home of its own; nothing of the tester's own settings."""
    url, ca = place
    own = {
        "RACKWRIGHT_URL": url, "RACKWRIGHT_CA": str(ca), "RACKWRIGHT_TOKEN": "good-token", "HOME": str(tmp_path),
        "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8", "TERM": "xterm", "COLUMNS": "80",
    }  # fmt: skip
    for name in list(os.environ):
        if name.startswith(("RACKWRIGHT_", "XDG_")) or name in {"NO_COLOR", "CLICOLOR_FORCE", "TERM"}:
            monkeypatch.delenv(name)
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    return own


Run = Callable[..., Ended]


@pytest.fixture
def run(environment: dict[str, str], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """In this process: quick. stdin gives what the command reads there."""

    def _run(*argv: str, stdin: str = "") -> Ended:
        reading, writing = os.pipe()
        os.write(writing, stdin.encode())
        os.close(writing)
        with os.fdopen(reading, encoding="utf-8") as source:
            monkeypatch.setattr(sys, "stdin", source)
            capfd.readouterr()
            code = main(argv)
        captured = capfd.readouterr()
        return Ended(code, captured.out, captured.err)

    return _run


@pytest.fixture
def pipe(environment: dict[str, str]) -> Run:
    """The real command in a process of its own, both streams in pipes."""

    def _pipe(*argv: str, stdin: str = "", **extra: str) -> Ended:
        done = subprocess.run(
            [sys.executable, "-m", "appliance", *argv], input=stdin, capture_output=True, text=True, check=False,
            env={**environment, **extra}, cwd=ROOT, timeout=LIMIT_S,
        )  # fmt: skip
        return Ended(done.returncode, done.stdout, done.stderr)

    return _pipe


class Terminal:
    """The command on a pseudo-terminal."""

    def __init__(self, argv: tuple[str, ...], environment: dict[str, str], columns: int) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        env = {key: value for key, value in environment.items() if key != "COLUMNS"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "appliance", *argv], stdin=slave, stdout=slave, stderr=slave, env=env, cwd=ROOT,
            start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        self.seen = b""

    def read_until(self, text: str) -> None:
        """Read on until the terminal shows the text."""
        while text.encode() not in self.seen:
            try:
                piece = os.read(self.master, 65536)
            except OSError:  # Linux's way of saying that the other side is closed
                piece = b""
            assert piece, f"{text!r} never came: {self.seen.decode(errors='replace')}"
            self.seen += piece

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def end(self) -> Ended:
        """Everything up to the end."""
        with contextlib.suppress(OSError):
            while piece := os.read(self.master, 65536):
                self.seen += piece
        os.close(self.master)
        return Ended(self.process.wait(LIMIT_S), self.seen.decode().replace("\r\n", "\n"), "")


@pytest.fixture
def terminal(environment: dict[str, str]) -> Iterator[Callable[..., Terminal]]:
    started: list[Terminal] = []

    def _terminal(*argv: str, columns: int = 80, **extra: Any) -> Terminal:
        started.append(Terminal(argv, {**environment, **extra}, columns))
        return started[-1]

    yield _terminal
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait(LIMIT_S)
