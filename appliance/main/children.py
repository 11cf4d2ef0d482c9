"""The supervisor's loop: children are started, watched, restarted with back-off, and stopped.

A child holds one end of a socket pair. When the supervisor is gone, however it went, that end reads end-of-file and the
child stops itself. The other way, a child that cannot start says why in one JSON object; on the very first start of
`control` that ends the whole `serve` with the same sentence. STATE/run/status.json tells `doctor` what happened.
"""

import json
import logging
import os
import signal
import socket
import subprocess  # noqa: TID251  (the supervisor starts the appliance's own processes)
import sys
import sysconfig
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import appliance
from appliance.config import BadConfiguration, Config
from appliance.domain.errors import RackwrightError

log = logging.getLogger(__name__)

STOP_S = 9.0
BACK_OFF_S = (0.2, 1.0, 2.0, 5.0, 10.0, 30.0)
STEADY_S = 60.0  # who lived so long is restarted at once again
READY_POLL_S = 0.1
EX_CONFIG = 78
ENTRY = "appliance.main.child"
WATCHED = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD})
"""Blocked in every thread of the supervisor from its first moment: whichever does not block a signal may be given it,
and then the one that waits for it here never hears of it."""


class StartFailed(RackwrightError):
    """The appliance could not start."""

    code: ClassVar[str] = "start-failed"

    def to_json(self) -> bytes:
        return json.dumps({"message": self.message, "why": self.why, "next": self.next_step}).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        try:
            said: Any = json.loads(text)
            return cls(str(said["message"]), why=str(said["why"]), next_step=str(said["next"]))
        except (ValueError, KeyError, TypeError):
            return cls(text.decode(errors="replace")[:2000])


@dataclass(slots=True)
class Child:
    """next_at: when it may start again (monotonic). quick_deaths: in a row, each sooner than STEADY_S."""

    name: str
    options: tuple[str, ...]
    process: "subprocess.Popen[bytes] | None" = None
    link: socket.socket | None = None
    started_at: float = 0.0
    next_at: float = 0.0
    restarts: int = 0
    quick_deaths: int = 0
    last_end: str = ""


@dataclass(slots=True)
class Family:
    config: Config
    lock: int
    listen: str | None
    roles: frozenset[str]
    children: list[Child] = field(init=False)
    is_ready: bool = False
    is_stopping: bool = False

    def __post_init__(self) -> None:
        common = ("--state", str(self.config.state), "--lock", str(self.lock))
        self.children = []
        if own := self.roles & {"api", "worker"}:
            listen = ("--listen", self.listen) if self.listen else ()
            self.children.append(Child("control", (*common, "--roles", ",".join(sorted(own)), *listen)))
        if "netboot" in self.roles:
            self.children.append(Child("netboot", common))

    def run(self) -> int:
        """Until told to stop; 0 then. Raises StartFailed when `control` refuses its first start."""
        signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
        log.info("serving state=%s roles=%s", self.config.state, ",".join(sorted(self.roles)))
        try:
            while not self.is_stopping:
                self._start_due()
                self._note_readiness()
                self._handle(signal.sigtimedwait(WATCHED, self._pause_s()))
        finally:
            self._stop_all()
        log.info("stopped")
        return 0

    def _handle(self, event: signal.struct_siginfo | None) -> None:
        number = event.si_signo if event else None
        if number in {signal.SIGTERM, signal.SIGINT}:
            self.is_stopping = True
        elif number == signal.SIGHUP:
            self._look_at_configuration()
        for child in self.children:
            if child.process is not None and child.process.poll() is not None:
                self._bury(child)

    def _start_due(self) -> None:
        now = time.monotonic()
        for child in self.children:
            if child.process is None and now >= child.next_at:
                self._start(child, now)

    def _start(self, child: Child, now: float) -> None:
        ours, theirs = socket.socketpair()
        argv = [sys.executable, "-P", "-m", ENTRY, child.name, "--link", str(theirs.fileno())]
        try:
            child.process = subprocess.Popen(  # noqa: S603  (our own module, an argument list)
                [*argv, *child.options],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), self.lock),
                process_group=0,  # Ctrl-C reaches us alone; we decide the order
                env=_environment(),
            )
        except OSError as fault:  # no memory, no process slots: later perhaps
            log.error("process not started name=%s: %s", child.name, fault)  # noqa: TRY400  (the reason is the message)
            ours.close()
            child.next_at = now + BACK_OFF_S[-1]
            return
        finally:
            theirs.close()
        child.link, child.started_at = ours, now
        log.info("process started name=%s pid=%d restarts=%d", child.name, child.process.pid, child.restarts)
        self._write_status()

    def _bury(self, child: Child) -> None:
        """Note how it ended, and when it may come back."""
        assert child.process is not None
        assert child.link is not None
        code, lived_s = child.process.returncode, time.monotonic() - child.started_at
        verdict = _read_now(child.link)
        child.link.close()
        child.process, child.link = None, None
        if self.is_stopping:
            return
        if child.name == "control" and code == EX_CONFIG and verdict and not self.is_ready:
            raise StartFailed.from_json(verdict)
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        child.last_end = f"{how} after {lived_s:.1f} s" + (f": {StartFailed.from_json(verdict)}" if verdict else "")
        child.quick_deaths = 0 if lived_s >= STEADY_S else child.quick_deaths + 1
        pause_s = BACK_OFF_S[min(child.quick_deaths, len(BACK_OFF_S) - 1)]
        child.restarts += 1
        child.next_at = time.monotonic() + pause_s
        level = logging.ERROR if child.quick_deaths > 2 else logging.WARNING
        log.log(level, "process ended name=%s %s; restart in %.1f s", child.name, child.last_end, pause_s)
        self._write_status()

    def _stop_all(self) -> None:
        self.is_stopping = True
        _notify_systemd("STOPPING=1")
        alive = [child.process for child in self.children if child.process is not None]
        for process in alive:
            process.terminate()
        ends = time.monotonic() + STOP_S
        for process in alive:
            try:
                process.wait(max(0.0, ends - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("process pid=%d did not stop in %.0f s and is killed", process.pid, STOP_S)
                process.kill()
                process.wait()
        with suppress(OSError):
            self._status_path().unlink()

    def _note_readiness(self) -> None:
        if self.is_ready or not all(child.process is not None for child in self.children):
            return
        if "api" in self.roles and not _answers(self.config.places.control_socket):
            return
        self.is_ready = True
        log.info("ready")
        _notify_systemd("READY=1")
        self._write_status()

    def _pause_s(self) -> float:
        now = time.monotonic()
        waits = [child.next_at - now for child in self.children if child.process is None]
        waits += [READY_POLL_S] if not self.is_ready else []
        return max(0.0, min(waits, default=3600.0))

    def _look_at_configuration(self) -> None:
        """SIGHUP: nothing is changed while serving, but a mistake is told before the next start meets it."""
        try:
            Config.load(self.config.state)
        except BadConfiguration as fault:
            log.error("the configuration on disk is bad; serving on with the old one: %s", fault)  # noqa: TRY400
        else:
            log.info("the configuration on disk is good; it counts from the next start on")

    def _status_path(self) -> Path:
        return self.config.places.run / "status.json"

    def _write_status(self) -> None:
        children = {
            child.name: {
                "pid": child.process.pid if child.process else None,
                "restarts": child.restarts,
                "is_crash_looping": child.quick_deaths > 2,
                "last_end": child.last_end,
            }
            for child in self.children
        }
        status = {"supervisor": os.getpid(), "is_ready": self.is_ready, "children": children}
        with suppress(OSError):  # a full disk is no reason not to serve
            beside = self._status_path().with_suffix(".new")
            beside.write_text(json.dumps(status) + "\n", encoding="utf-8")
            beside.replace(self._status_path())


MEMORY = {
    "MALLOC_ARENA_MAX": "2", "MALLOC_MMAP_THRESHOLD_": str(1 << 20), "MALLOC_TRIM_THRESHOLD_": str(16 << 20),
}  # fmt: skip
"""For glibc: else each of many threads keeps memory of its own, and the first page of nodes, or the first password
that Argon2 takes 64 MiB for, makes it keep 20 MB more for good (its thresholds grow with what was freed)."""


def _environment() -> dict[str, str]:
    """The children run the code that we run: `python -P` finds an installed package, a checkout needs its path."""
    root = str(Path(appliance.__file__).parent.parent)
    environment = {**MEMORY, **os.environ}
    if root not in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (root, environment.get("PYTHONPATH"))))
    return environment


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        return probe.connect_ex(str(path)) == 0


def _read_now(link: socket.socket) -> bytes:
    link.setblocking(False)
    with suppress(OSError):
        return link.recv(65536)
    return b""


def _notify_systemd(message: str) -> None:
    """Spec: sd_notify(3). Silent where systemd does not listen."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if path:
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.sendto(message.encode(), "\0" + path[1:] if path.startswith("@") else path)
