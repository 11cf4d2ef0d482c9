"""A web server that says to each request, byte for byte, what a test wants; or what a server of ranges would say."""

import re
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

PLAIN = {"Accept-Ranges": "bytes"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    path: str
    headers: Mapping[str, str]

    @property
    def start(self) -> int | None:
        """Where the rest begins that is asked for; None: all is asked for."""
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("range", ""))
        return int(found[1]) if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """What lies at an address. more: headers of each answer."""

    body: bytes
    etag: str = '"one"'
    more: Mapping[str, str] = field(default_factory=lambda: PLAIN)

    def head(self, asked: Asked) -> tuple[int, dict[str, str], bytes]:
        """As RFC 9110 has it: the rest, if the file is still the one that the request means; else all of it."""
        size, start = len(self.body), asked.start
        headers = {"ETag": self.etag, **self.more}
        if start is None or asked.headers.get("if-range", self.etag) != self.etag:
            return 200, headers | {"Content-Length": str(size)}, self.body
        if start >= size:
            return 416, headers | {"Content-Range": f"bytes */{size}", "Content-Length": "0"}, b""
        part = {"Content-Range": f"bytes {start}-{size - 1}/{size}", "Content-Length": str(size - start)}
        return 206, headers | part, self.body[start:]

    def answer(
        self,
        asked: Asked,
        *,
        cut: int | None = None,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        """cut: so many bytes of the body are sent. headers: instead of the right ones; an empty text takes one away."""
        right, given, body = self.head(asked)
        return raw(status or right, given | dict(headers or {}), body if cut is None else body[:cut])


def raw(status: int, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in headers.items() if value)]
    return "\r\n".join([*lines, "", ""]).encode() + body


Script = Callable[[Asked], bytes]


class RangeServer:
    """Answers the first request by the first script, and so on; the last script answers all that come after.

    asked: all requests. resets: end connections by a reset, which throws away what was not read yet.
    """

    def __init__(self, *scripts: Script, resets: bool = False) -> None:
        self.scripts, self.resets = list(scripts), resets
        self.asked: list[Asked] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            with peer:
                self._answer(peer)

    def _answer(self, peer: socket.socket) -> None:
        peer.settimeout(5)
        try:
            head = b""
            while b"\r\n\r\n" not in head and (data := peer.recv(4096)):
                head += data
            first, *lines = head.decode("latin-1").split("\r\n\r\n", maxsplit=1)[0].split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            asked = Asked(path=first.split(" ")[1], headers=headers)
            script = self.scripts[min(len(self.asked), len(self.scripts) - 1)]
            self.asked.append(asked)
            peer.sendall(script(asked))
            if self.resets:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except (OSError, IndexError):  # the peer went away: it may do that
            return
