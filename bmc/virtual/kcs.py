"""The guest's own door to the virtual BMC: its KCS device talks, through QEMU, to the same BMC as the network does.

QEMU connects to our UNIX socket each time it starts:
    -chardev socket,id=ipmi0,path=PATH,reconnect=1
    -device ipmi-bmc-extern,id=bmc0,chardev=ipmi0 -device isa-ipmi-kcs,bmc=bmc0
`reconnect=1` is needed: without it QEMU 7.2 connects before its KCS device exists and dies of a null pointer at once.
"""

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from bmc.virtual.kcs_codec import Decoder, Message, Operation
from bmc.virtual.server import VirtualBmc

log = logging.getLogger(__name__)


def attach(path_or_socket: str | os.PathLike[str] | socket.socket, bmc: VirtualBmc) -> Callable[[], None]:
    """Serve the guest at a new UNIX socket of that path (or at a listening one); the result ends it."""
    door = _Door(path_or_socket, bmc)
    door.start()
    return door.close


class _Door:
    def __init__(self, path_or_socket: str | os.PathLike[str] | socket.socket, bmc: VirtualBmc) -> None:
        self._path: Path | None = None
        if isinstance(path_or_socket, socket.socket):
            self._listener = path_or_socket
        else:
            self._path = Path(path_or_socket)
            self._path.unlink(missing_ok=True)
            self._listener = socket.socket(socket.AF_UNIX)
            try:
                self._listener.bind(str(self._path))
                self._path.chmod(0o600)
                self._listener.listen(1)
            except OSError:
                self._listener.close()
                raise
        self._bmc = bmc
        self._guest: socket.socket | None = None
        self._lock = threading.Lock()
        self._is_closed = False
        self._thread = threading.Thread(target=self._serve, name="virtual-bmc-kcs", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            guest = self._guest
        for one in (self._listener, guest):
            if one is not None:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _serve(self) -> None:
        """One guest at a time; QEMU connects anew after each power cycle."""
        while not self._is_closed:
            try:
                guest, _ = self._listener.accept()
            except OSError:
                return
            with guest:
                with self._lock:
                    self._guest = guest
                with contextlib.suppress(OSError):
                    self._talk(guest)
                with self._lock:
                    self._guest = None

    def _talk(self, guest: socket.socket) -> None:
        decoder = Decoder()
        # OpenIPMI's BMC greets with its version; QEMU ignores that, and answers are all that it needs.
        while not self._is_closed:
            data = guest.recv(4096)
            if not data:
                return
            for read in decoder.feed(data):
                if isinstance(read, Message):
                    guest.sendall(read.answer(self._bmc.execute_for_guest(read.request())).encode())
                elif read.operation == Operation.RESET:
                    log.debug("guest reset its machine")
