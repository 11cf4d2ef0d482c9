"""`rackwright serve`: one light parent that starts `control` and `netboot`, restarts what dies, and stops them cleanly.

    guard (the process that was started)  ->  supervisor  ->  control, netboot

The guard only waits. Should the supervisor be killed, its children end with it and the guard starts all anew; should
the guard be killed, the supervisor serves on. So no single kill ends the service. All of them share the lock on
STATE/run/lock: a second `serve` is refused until the last one is gone; only a supervisor without a guard is relieved.

Heavy modules (database, web) are imported in the children only. Not here: what a child does (appliance.main.child).
"""

import fcntl
import json
import logging
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, NoReturn

from appliance.config import Config, Places, refuse_debug
from appliance.domain.errors import Conflict, Invalid, RackwrightError
from appliance.domain.values import BadValue, endpoint
from appliance.main import logs
from appliance.main.children import STOP_S, WATCHED, Family, StartFailed

log = logging.getLogger(__name__)

ROLES = frozenset({"api", "worker", "netboot"})
_GUARD_BACK_OFF_S = 1.0


class AlreadyServing(Conflict):
    """Another process serves this state directory."""

    code: ClassVar[str] = "already-serving"


def serve(state: Path, *, listen: str | None = None, only: frozenset[str] = frozenset()) -> int:
    """Serve until SIGTERM or SIGINT, then give the exit code. Raises whatever forbids the start, as RackwrightError.

    listen: overrides [api] listen. only: a part of ROLES; empty for all.
    """
    refuse_debug()
    config = Config.load(state)
    _check_request(listen, only)
    lock = _take_lock(config.places)
    try:
        return _guard(config, lock, listen, only or ROLES)
    finally:
        os.close(lock)


def _check_request(listen: str | None, only: frozenset[str]) -> None:
    if unknown := only - ROLES:
        raise Invalid(f"there is no role {', '.join(sorted(unknown))}", next_step="choose from api, worker, netboot")
    try:
        if listen is not None:
            endpoint(listen)
    except BadValue as cause:
        raise Invalid(f"--listen: {cause}") from cause


def _take_lock(places: Places) -> int:
    """The lock's descriptor. A supervisor whose guard is gone is told to stop, and succeeded."""
    try:
        places.run.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(places.lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as cause:
        raise RackwrightError(
            f"{places.lock}: {cause.strerror}", next_step="run as the user who owns the state directory"
        ) from cause
    if _try_lock(descriptor):
        return descriptor
    holders = _read_holders(places.lock)
    supervisor = holders.get("supervisor", 0)
    if not _is_alive(holders.get("guard", 0)) and _has_open(supervisor, places.lock):
        sys.stderr.write(f"relieving supervisor {supervisor}, whose guard is gone\n")
        os.kill(supervisor, signal.SIGTERM)
        ends = time.monotonic() + STOP_S + 5
        while time.monotonic() < ends:
            time.sleep(0.05)
            if _try_lock(descriptor):
                return descriptor
    os.close(descriptor)
    holder = holders.get("guard") if _is_alive(holders.get("guard", 0)) else supervisor
    raise AlreadyServing(
        f"{places.state} is served by process {holder} already",
        why="two control processes on one database would undo each other's work",
        next_step=f"stop it with `kill {holder}`, or use another state directory",
    )


def _guard(config: Config, lock: int, listen: str | None, roles: frozenset[str]) -> int:
    """Wait for the supervisor; start another one when it was killed."""
    stopping: list[int] = []
    supervisor = 0

    def pass_on(number: int, _frame: object) -> None:
        stopping.append(number)
        if supervisor:
            with suppress(ProcessLookupError):
                os.kill(supervisor, signal.SIGTERM)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, pass_on)
    while True:
        verdict_end, told = os.pipe()
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
        supervisor = os.fork()
        if supervisor == 0:
            os.close(verdict_end)
            _become_supervisor(config, lock, told, listen, roles)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.close(told)
        _write_holders(lock, {"guard": os.getpid(), "supervisor": supervisor})
        if stopping:  # the signal came while there was nobody to pass it on to
            os.kill(supervisor, signal.SIGTERM)
        code = os.waitstatus_to_exitcode(_wait(supervisor))
        verdict = _read_all(verdict_end)
        if verdict:
            raise StartFailed.from_json(verdict)
        if stopping or code >= 0:
            return code if code >= 0 else 1
        sys.stderr.write(f"the supervisor was ended by signal {-code}; starting another\n")
        supervisor = 0
        time.sleep(_GUARD_BACK_OFF_S)


def _become_supervisor(config: Config, lock: int, told: int, listen: str | None, roles: frozenset[str]) -> NoReturn:
    code = 1
    options = config.log
    end_logs = logs.start(
        "supervisor",
        config.places.log,
        level=options.level,
        as_json=options.format == "json",
        max_mib=options.max_mib,
        keep=options.keep,
    )
    try:
        code = Family(config, lock, listen, roles).run()
    except StartFailed as fault:
        log.critical("start failed: %s", fault.message)
        os.write(told, fault.to_json())
        code = 78
    except Exception:  # the process's loop top: say why before it ends
        log.exception("the supervisor ends by an unexpected fault")
    finally:
        end_logs()
        os._exit(code)  # a forked process must not run what its parent registered for its own end


def _wait(process: int) -> int:
    while True:
        with suppress(InterruptedError):
            return os.waitpid(process, 0)[1]


def _read_all(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as pipe:
        return pipe.read(65536)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _write_holders(descriptor: int, holders: dict[str, int]) -> None:
    """Who serves; only for messages and for `_take_lock`, so a full disk is no reason not to serve."""
    with suppress(OSError):
        os.pwrite(descriptor, json.dumps(holders).encode().ljust(64) + b"\n", 0)


def _read_holders(path: Path) -> dict[str, int]:
    with suppress(OSError, ValueError):
        found: Any = json.loads(path.read_text(encoding="ascii"))
        if isinstance(found, dict):
            return {str(key): value for key, value in found.items() if isinstance(value, int)}
    return {}


def _is_alive(process: int) -> bool:
    return process > 0 and Path(f"/proc/{process}").exists()


def _has_open(process: int, path: Path) -> bool:
    """Does this process hold the file open? A number that was given to a stranger does not."""
    with suppress(OSError):
        return (
            any(one.resolve() == path.resolve() for one in Path(f"/proc/{process}/fd").iterdir())
            if process > 0
            else False
        )
    return False


__all__ = ["ROLES", "AlreadyServing", "StartFailed", "serve"]
