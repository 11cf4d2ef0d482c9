"""The hand that touches a machine: power button and plug, over a Unix socket in the machine's directory.

One request is one JSON line `{"do": ACTION}`; the answer is one JSON line, `{"ok": true, …}` or `{"error": "…"}`.
This is what a person in front of the rack can do; everything else goes over IPMI.
"""

import enum
import json
import logging
import os
import socket
import socketserver
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

SOCKET = "control.sock"
_MAX_LINE = 4096


class Action(enum.Enum):
    STATUS = "status"
    PRESS_BUTTON = "press-button"  # off: power on; on: ask the operating system to stop
    POWER_CUT = "power-cut"  # the machine loses power for an instant: QEMU is killed; its BMC starts again at once
    PULL_PLUG = "pull-plug"  # the machine and its BMC are dark until the plug is back
    PLUG_IN = "plug-in"  # the BMC comes back; the machine stays off


class ControlFailed(Exception):
    """The machine's supervisor did not do it."""


Handler = Callable[[Action], Mapping[str, object]]


class ControlServer:
    """Serves a directory's control socket on a thread. The caller's working directory must be that directory."""

    def __init__(self, handler: Handler) -> None:
        Path(SOCKET).unlink(missing_ok=True)
        self._server = _Server(SOCKET, _Request)
        self._server.handler = handler
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="control", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        Path(SOCKET).unlink(missing_ok=True)


def ask(directory: Path, action: Action, *, limit_s: float = 15.0) -> dict[str, Any]:
    """Raises ControlFailed when the supervisor refuses or is not there."""
    # A Unix socket's path holds 108 bytes; going through the open directory keeps deep run directories usable.
    try:
        handle = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    except FileNotFoundError as cause:
        raise ControlFailed(f"no machine in {directory}") from cause
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(limit_s)
            connection.connect(f"/proc/self/fd/{handle}/{SOCKET}")
            connection.sendall(json.dumps({"do": action.value}).encode() + b"\n")
            line = connection.makefile("rb").readline(_MAX_LINE)
    except OSError as cause:
        raise ControlFailed(f"{directory.name}: its supervisor does not answer: {cause}") from cause
    finally:
        os.close(handle)
    return _answer(directory.name, line)


def _answer(name: str, line: bytes) -> dict[str, Any]:
    try:
        reply = json.loads(line)
    except ValueError as cause:
        raise ControlFailed(f"{name}: its supervisor ended while answering") from cause
    if not isinstance(reply, dict) or "error" in reply:
        raise ControlFailed(f"{name}: {reply.get('error') if isinstance(reply, dict) else reply}")
    return reply


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    handler: Handler


class _Request(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        line = self.rfile.readline(_MAX_LINE)
        self.wfile.write(json.dumps(self._reply(line)).encode() + b"\n")

    def _reply(self, line: bytes) -> dict[str, object]:
        try:
            action = Action(json.loads(line)["do"])
        except (ValueError, KeyError, TypeError):
            return {"error": 'ask with {"do": ACTION}; actions: ' + ", ".join(a.value for a in Action)}
        try:
            return {"ok": True, **self.server.handler(action)}
        except Exception as fault:  # a loop top: the supervisor outlives any request
            log.warning("control failed action=%s", action.value, exc_info=True)
            return {"error": f"{type(fault).__name__}: {fault}"}
