"""Processes that the lab started and may end: each is known by its id *and* its start time.

A process id alone is reused by the kernel; the pair is not. So a rack that was recorded yesterday, or before a reboot,
can be torn down without ever hitting a process that belongs to somebody else.
"""

import os
import select
import signal
import site
import subprocess  # noqa: TID251  (the lab starts machines and the appliance)
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import appliance


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """started_ticks: field 22 of /proc/PID/stat, clock ticks since boot. role: a word for people and for look-ups."""

    role: str
    pid: int
    started_ticks: int

    def is_alive(self) -> bool:
        return _start_ticks(self.pid) == self.started_ticks


def identify(role: str, pid: int) -> Started | None:
    """The process as it is now, or None when it has ended already."""
    ticks = _start_ticks(pid)
    return None if ticks is None else Started(role=role, pid=pid, started_ticks=ticks)


def start(
    role: str, argv: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Started:
    """Start a program that outlives us, in its own session, output appended to log. Raises OSError."""
    with log.open("ab") as out:
        child = subprocess.Popen(  # noqa: S603  (argv list, no shell)
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            env=environment,
            cwd=cwd,
        )
    _reap()
    _children[child.pid] = child
    return Started(role=role, pid=child.pid, started_ticks=_start_ticks(child.pid) or 0)


def stop(process: Started, *, grace_s: float = 5.0) -> bool:
    """Ask by SIGTERM, insist by SIGKILL after grace_s; True when it is gone. A foreign process is left alone."""
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        _reap()
        return True
    try:
        # The handle pins the process; only now does comparing the start time prove anything.
        if not process.is_alive():
            return True
        return _end(handle, process, grace_s)
    finally:
        os.close(handle)
        _reap()


def kill(process: Started) -> None:
    """SIGKILL at once, if it is still that process."""
    stop(process, grace_s=0.0)


def module(name: str, *arguments: str) -> list[str]:
    """Argv for one of our own modules under this interpreter; -P because a local `images` folder must not win."""
    return [sys.executable, "-P", "-m", name, *arguments]


def environment() -> dict[str, str]:
    """Our own environment, with the folder our code came from put in front when it is not installed."""
    root = str(Path(appliance.__file__).resolve().parent.parent)
    if root in site.getsitepackages():
        return dict(os.environ)
    return {**os.environ, "PYTHONPATH": root, "PYTHONUNBUFFERED": "1"}


# Children of this process must be waited for, else they stay as zombies and look alive.
_children: dict[int, "subprocess.Popen[bytes]"] = {}


def _reap() -> None:
    """All that have ended: one that died by itself, and was replaced, is stopped by nobody."""
    for pid, child in list(_children.items()):
        if child.poll() is not None:
            _children.pop(pid, None)  # `down` stops several at once


def _end(handle: int, process: Started, grace_s: float) -> bool:
    deadline = time.monotonic() + grace_s
    for number, until in ((signal.SIGTERM, deadline), (signal.SIGKILL, deadline + 5.0)):
        if number == signal.SIGTERM and grace_s <= 0:
            continue
        try:
            signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            return True
        if select.select([handle], [], [], max(0.0, until - time.monotonic()))[0]:
            return True
    return not process.is_alive()


def _start_ticks(pid: int) -> int | None:
    """None when there is no such process, or only its zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    after_name = stat.rsplit(")", 1)[1].split()
    return None if after_name[0] in "ZX" else int(after_name[19])


def session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None
