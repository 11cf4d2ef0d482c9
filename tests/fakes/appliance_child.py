"""A child process whose work is pretended: `control` answers on its socket, `netboot` waits. Behaviour by files.

STATE/fake-control holds one word: `crash` (exit 3 at once), `refuse` (CannotListen), `stubborn` (ignores SIGTERM).
"""

import signal
import socket
import sys
import threading
import types
from pathlib import Path

from appliance.domain.errors import Unavailable
from appliance.main import child


def _wait(state: Path, *, is_stubborn: bool = False, **_ports: int) -> int:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, (lambda *_: None) if is_stubborn else (lambda *_: stop.set()))
    stop.wait()
    return 0


def _run_control(state: Path, *, listen: str | None, roles: frozenset[str]) -> int:
    word = (state / "fake-control").read_text().strip() if (state / "fake-control").exists() else ""
    (state / "fake-control.seen").write_text(f"{listen} {','.join(sorted(roles))}")
    if word == "crash":
        return 3
    if word == "refuse":
        raise Unavailable("port 1 is in use", why="because", next_step="do this")
    path = state / "run" / "control.sock"
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        return _wait(state, is_stubborn=word == "stubborn")


def _module(name: str, run: object) -> None:
    module = types.ModuleType(name)
    module.run = run  # type: ignore[attr-defined]  # a pretended module
    sys.modules[name] = module


if __name__ == "__main__":
    _module("appliance.main.control", _run_control)
    _module("appliance.netboot", _wait)
    sys.exit(child.main(sys.argv[1:]))
