"""QEMU's machine protocol over a connected socket: commands from any thread, events to one listener.

Specification: qemu/docs/interop/qmp-spec.txt. The listener runs on the reading thread, so it must not execute commands.
"""

import itertools
import json
import logging
import socket
import threading
from collections.abc import Callable, Mapping

log = logging.getLogger(__name__)

_REPLY_LIMIT_S = 10.0

Event = Callable[[str, Mapping[str, object]], None]


class QmpFailed(Exception):
    """QEMU refused a command, or is no longer there to answer."""


class Qmp:
    def __init__(self, connection: socket.socket, on_event: Event) -> None:
        """Does the handshake; raises QmpFailed when QEMU ends before it answers."""
        self._socket = connection
        self._on_event = on_event
        self._ids = itertools.count(1)
        self._arrived = threading.Condition()
        self._replies: dict[int, Mapping[str, object]] = {}
        self._is_open = True
        self._thread = threading.Thread(target=self._read, name="qmp", daemon=True)
        self._thread.start()
        self.execute("qmp_capabilities")

    def execute(self, command: str, **arguments: object) -> object:
        """What QEMU returned. Raises QmpFailed."""
        number = next(self._ids)
        line = json.dumps({"execute": command, "arguments": arguments, "id": number}).encode() + b"\n"
        with self._arrived:
            try:
                self._socket.sendall(line)
            except OSError as cause:
                raise QmpFailed(f"{command}: the machine is gone") from cause
            self._arrived.wait_for(lambda: number in self._replies or not self._is_open, _REPLY_LIMIT_S)
            reply = self._replies.pop(number, None)
        if reply is None:
            raise QmpFailed(f"{command}: no answer")
        if "error" in reply:
            raise QmpFailed(f"{command}: {reply['error']}")
        return reply.get("return")

    def close(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            log.debug("qmp closed already")
        self._socket.close()
        if threading.current_thread() is not self._thread:
            self._thread.join(_REPLY_LIMIT_S)

    def _read(self) -> None:
        buffer = b""
        while True:
            try:
                chunk = self._socket.recv(65536)
            except OSError:
                chunk = b""
            if not chunk:
                break
            *lines, buffer = (buffer + chunk).split(b"\n")
            for line in lines:
                self._take(line)
        with self._arrived:
            self._is_open = False
            self._arrived.notify_all()

    def _take(self, line: bytes) -> None:
        try:
            message = json.loads(line)
        except ValueError:
            log.warning("qmp line not understood length=%d", len(line))
            return
        if "event" in message:
            self._on_event(message["event"], message.get("data", {}))
        elif "id" in message:
            with self._arrived:
                self._replies[message["id"]] = message
                self._arrived.notify_all()
