"""Log lines: no secret, no forged line, no delay, whatever the disk or the reader does."""

import errno
import json
import logging
import os
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.main import logs
from appliance.main.logs import MAX_LINE, Line, QueuedHandler, RotatingFile, hide_secrets


def record(message: str, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord("x.y", logging.INFO, "f.py", 1, message, arguments, None)


@pytest.mark.parametrize(
    ("text", "canary"),
    [
        ("token=rwt_Abc123456789xyz now", "Abc123456789xyz"),
        ("Authorization: Bearer eyJhbGciOi.abc", "eyJhbGciOi"),
        ("authorization: Basic YWRtaW46cGFzcw==", "YWRtaW46"),
        ("postgresql+psycopg://rack:s3cret@db/x", "s3cret"),
        ("https://user:p4ss@mirror/x", "p4ss"),
        ("{'password': 'canary1'}", "canary1"),
        ('{"bmc_password": "canary1"}', "canary1"),
        ("password=canary1, user=x", "canary1"),
        ("rackwright.boot=canary1 BOOTIF=01-52", "canary1"),
        ("api_key: canary1", "canary1"),
        ("-----BEGIN PRIVATE KEY-----\ncanary1\n-----END PRIVATE KEY-----", "canary1"),
        ("-----BEGIN EC PRIVATE KEY-----\ncanary1 cut", "canary1"),
    ],
)
def test_secrets_are_hidden(text: str, canary: str):
    assert canary not in hide_secrets(text)
    assert "***" in hide_secrets(text)


@pytest.mark.parametrize(
    "text", ["lease granted mac=52:54:00:12:34:56 lease_s=3600", "https://127.0.0.1:8443/x", "a token was used"]
)
def test_the_rest_is_left_alone(text: str):
    assert hide_secrets(text) == text


def test_hiding_is_quick_on_hostile_text():
    begin = time.thread_time()
    for text in ("password" * 2000, "://" + "a" * 16000, "-----BEGIN " * 1500, "token=" * 2500, "bearer " * 2000):
        hide_secrets(text[:16384])
    assert time.thread_time() - begin < 2


@given(st.text(max_size=200))
def test_one_record_is_one_line(text: str):
    line = Line("control", as_json=False).format(record("host %s said", text))
    assert not set(line) & set("\n\r\x1b\x00\x07\u2028")


def test_a_line_has_its_parts():
    line = Line("control", as_json=False).format(record("step done flow=%d", 7))
    assert line.endswith(" INFO control x.y: step done flow=7")
    assert line[10] == "T"
    assert line[23] == "Z"
    fields = json.loads(Line("control", as_json=True).format(record('say "hi"\n')))
    assert (fields["message"], fields["process"], fields["logger"]) == ('say "hi"\n', "control", "x.y")


def test_a_traceback_is_readable_marked_and_clean():
    try:
        int("password=canary1\n2026-01-01T00:00:00.000Z INFO forged")
    except ValueError:
        broken = logging.LogRecord("x", logging.ERROR, "f.py", 1, "it broke", (), sys.exc_info())
    first, *rest = Line("control", as_json=False).format(broken).split("\n")
    assert first.endswith("ERROR control x: it broke")
    assert len(rest) > 2
    assert all(line.startswith("    | ") for line in rest)
    assert "canary1" not in "".join(rest)
    assert "canary1" not in json.loads(Line("control", as_json=True).format(broken))["trace"]


def test_long_lines_are_cut():
    assert len(Line("control", as_json=False).format(record("x" * 1_000_000))) < MAX_LINE + 100


class TestRotation:
    def test_files_are_set_aside_and_the_oldest_goes(self, tmp_path: Path):
        file = RotatingFile(tmp_path / "a.log", max_bytes=100, keep=2)
        for number in range(10):
            assert file.write(f"{number}".encode() * 60)
        file.close()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.log", "a.log.1", "a.log.2"]
        assert (tmp_path / "a.log").read_bytes()[:1] == b"9"
        assert (tmp_path / "a.log.2").read_bytes()[:1] == b"7"
        assert (tmp_path / "a.log").stat().st_mode & 0o077 == 0

    def test_it_goes_on_where_it_was(self, tmp_path: Path):
        for _ in range(2):
            file = RotatingFile(tmp_path / "a.log", max_bytes=100, keep=2)
            file.write(b"x" * 30)
            file.close()
        assert (tmp_path / "a.log").stat().st_size == 60

    def test_a_full_disk_costs_the_line_only(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        file = RotatingFile(tmp_path / "a.log", max_bytes=100, keep=2)
        file.write(b"before\n")

        def full(*_args: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, "write", full)
            assert not file.write(b"lost\n")
        assert file.write(b"after\n")
        file.close()
        assert (tmp_path / "a.log").read_bytes() == b"before\nafter\n"

    def test_a_missing_directory_costs_the_line_only(self, tmp_path: Path):
        assert not RotatingFile(tmp_path / "no" / "a.log", max_bytes=100, keep=2).write(b"x")


class TestQueue:
    def handler(self, tmp_path: Path) -> QueuedHandler:
        handler = QueuedHandler([RotatingFile(tmp_path / "a.log", max_bytes=10**6, keep=2)])
        handler.setFormatter(Line("t", as_json=False))
        return handler

    def test_everything_queued_is_written_at_the_end(self, tmp_path: Path):
        handler = self.handler(tmp_path)
        for number in range(500):
            handler.handle(record("line %d", number))
        handler.close()
        assert len((tmp_path / "a.log").read_text().splitlines()) == 500

    def test_a_blocked_writer_delays_nobody_and_the_loss_is_told(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(logs, "QUEUE_LINES", 10)
        gate = threading.Event()
        inner = RotatingFile(tmp_path / "a.log", max_bytes=10**6, keep=2)

        class Blocked(RotatingFile):
            def write(self, data: bytes) -> bool:
                gate.wait(30)
                return inner.write(data)

        handler = QueuedHandler([Blocked(tmp_path / "b.log", max_bytes=1, keep=1)])
        handler.setFormatter(Line("t", as_json=False))
        begin = time.monotonic()
        for number in range(1000):
            handler.handle(record("line %d", number))
        assert time.monotonic() - begin < 8
        gate.set()
        handler.close()
        inner.close()
        assert "log lines were lost" in (tmp_path / "a.log").read_text()

    def test_a_bad_log_call_is_a_line_not_an_exception(self, tmp_path: Path):
        handler = self.handler(tmp_path)
        handler.emit(record("%d", "x"))
        handler.emit(record("lone surrogate \ud800"))
        handler.close()
        assert "unloggable record of x.y" in (tmp_path / "a.log").read_text()


def test_start_and_end(tmp_path: Path):
    root = logging.getLogger()
    handlers, level, hook = root.handlers[:], root.level, sys.excepthook
    try:
        end = logs.start("control", tmp_path, level="warning")
        logging.getLogger("a").warning("seen")
        logging.getLogger("a").info("not seen")
        end()
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        sys.excepthook = hook
        logging.captureWarnings(capture=False)
    said = (tmp_path / "control.log").read_text()
    assert "seen" in said
    assert "not seen" not in said
