"""Where log lines go: standard error and STATE/log/NAME.log with rotation. No line ever delays or stops the service.

A record is put on a bounded queue; one thread writes. A full disk, a blocked pipe or a flood costs lines, which are
counted and reported, never a request. Every line passes a filter that hides what looks like a secret, is cut at 8 KiB
and holds no raw line break, so a hostile host name cannot forge a second line.
"""

import json
import logging
import os
import queue
import re
import select
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

MAX_LINE = 8192
QUEUE_LINES = 10_000

_SECRETS = (
    (re.compile(r"\brwt_[A-Za-z0-9_-]{8,}"), "rwt_***"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}"), r"\1 ***"),
    (re.compile(r"(://[^\s:/@]{0,256}):[^\s/@]{1,256}@"), r"\1:***@"),
    (re.compile(r"(?i)\b([a-z_.-]{0,40}(?:password|passwd|secret|token|api_key|rackwright\.boot))(['\"]?\s*[=:]\s*)"
                r"(?:'[^']{0,512}'|\"[^\"]{0,512}\"|[^\s,;&)}]{1,512})"), r"\1\2***"),
    (re.compile(r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"), "***key***"),
)  # fmt: skip
_BREAKS = {"\n": "\\n", "\r": "\\r", "\x1b": "\\x1b", "\x7f": "\\x7f", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_CONTROLS = str.maketrans({**{chr(code): f"\\x{code:02x}" for code in range(32) if code != 9}, **_BREAKS})


def hide_secrets(text: str) -> str:
    """The text without what looks like a password, a token or a key."""
    for pattern, shown in _SECRETS:
        text = pattern.sub(shown, text)
    return text


class Line(logging.Formatter):
    """One record, one line: `2026-01-31T12:00:00.123Z INFO control appliance.flows.engine: step done …`.

    Only a traceback has lines of its own, each marked so that nothing in it passes for a record.
    """

    def __init__(self, process: str, *, as_json: bool) -> None:
        super().__init__()
        self._process = process
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"
        message = hide_secrets(record.getMessage()[: 2 * MAX_LINE])[:MAX_LINE]
        trace = hide_secrets(self.formatException(record.exc_info)[-MAX_LINE:]) if record.exc_info else ""
        if self._as_json:
            fields = {"at": stamp, "level": record.levelname, "process": self._process, "logger": record.name}
            return json.dumps({**fields, "message": message, **({"trace": trace} if trace else {})})
        line = f"{stamp} {record.levelname} {self._process} {record.name}: {message.translate(_CONTROLS)}"
        return "\n".join([line, *(f"    | {part.translate(_CONTROLS)}" for part in trace.splitlines())])


class RotatingFile:
    """A file that is set aside at a size. Faults of the disk cost lines, not exceptions."""

    def __init__(self, path: Path, *, max_bytes: int, keep: int) -> None:
        self._path, self._max_bytes, self._keep = path, max_bytes, keep
        self._descriptor = -1
        self._size = 0

    def write(self, data: bytes) -> bool:
        """False when the data could not be kept."""
        try:
            if self._descriptor < 0 or self._size + len(data) > self._max_bytes:
                self._open_next(len(data))
            written = os.write(self._descriptor, data)
            self._size += written
        except OSError:
            self.close()
            return False
        return written == len(data)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open_next(self, needed: int) -> None:
        self.close()
        if self._path.exists() and self._path.stat().st_size + needed > self._max_bytes:
            for number in range(self._keep - 1, 0, -1):
                older = self._path.with_name(f"{self._path.name}.{number}")
                if older.exists():
                    older.replace(self._path.with_name(f"{self._path.name}.{number + 1}"))
            self._path.replace(self._path.with_name(f"{self._path.name}.1"))
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._descriptor = os.open(self._path, flags, 0o600)
        self._size = os.fstat(self._descriptor).st_size


class StandardError:
    """Standard error, given up for a moment when nobody reads it."""

    def write(self, data: bytes) -> bool:
        try:
            _, ready, _ = select.select([], [2], [], 0.1)
            return bool(ready) and os.write(2, data) == len(data)
        except (OSError, ValueError):
            return False

    def close(self) -> None:
        """Not ours to close."""


class QueuedHandler(logging.Handler):
    """Hands formatted lines to one writing thread."""

    def __init__(self, sinks: list[RotatingFile | StandardError]) -> None:
        super().__init__()
        self._sinks = sinks
        self._lines: queue.Queue[bytes | None] = queue.Queue(QUEUE_LINES)
        self._dropped = 0
        self._thread = threading.Thread(target=self._write_all, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record).encode(errors="backslashreplace") + b"\n"
        except (TypeError, ValueError) as fault:
            line = f"unloggable record of {record.name}: {fault}\n".encode(errors="backslashreplace")
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._dropped += 1

    def close(self) -> None:
        """Write what waits, for at most two seconds."""
        if self._thread.is_alive():
            try:
                self._lines.put(None, timeout=1)
                self._thread.join(2)
            except queue.Full:
                pass
        super().close()

    def _write_all(self) -> None:
        while (line := self._lines.get()) is not None:
            if self._dropped:
                lost, self._dropped = self._dropped, 0
                line = f"{lost} log lines were lost: the disk or the reader is too slow or full\n".encode() + line
            for sink in self._sinks:
                if not sink.write(line):
                    self._dropped += isinstance(sink, RotatingFile)
        for sink in self._sinks:
            sink.close()


def start(
    process: str,
    directory: Path | None,
    *,
    level: str = "info",
    as_json: bool = False,
    max_mib: int = 16,
    keep: int = 4,
) -> Callable[[], None]:
    """Send all logging of this process to its places. Returns what flushes and ends it (call it last).

    process: `supervisor`, `control` or `netboot`; names the file. directory: None for standard error only.
    """
    sinks: list[RotatingFile | StandardError] = [StandardError()]
    if directory is not None:
        sinks.append(RotatingFile(directory / f"{process}.log", max_bytes=max_mib * 1024 * 1024, keep=keep))
    handler = QueuedHandler(sinks)
    handler.setFormatter(Line(process, as_json=as_json))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in ("alembic", "asyncio", "aiohttp.access", "urllib3", "sqlalchemy"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(capture=True)
    sys.excepthook = lambda kind, fault, trace: logging.getLogger(process).critical(
        "the process ends by an unexpected fault", exc_info=(kind, fault, trace)
    )

    def end() -> None:
        root.removeHandler(handler)
        handler.close()

    return end
