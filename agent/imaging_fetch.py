"""Fetch one file over plain HTTP, front to back, going on with a Range request where the connection broke.

What arrives is checked by the caller piece by piece, so neither TLS nor trust in the server is needed here. Not used:
http.client, which brings the email package. Specification: RFC 9112, RFC 9110 section 14.
"""

import contextlib
import hashlib
import logging
import queue
import socket
import threading
from collections.abc import Iterator
from typing import NamedTuple, Self

from agent.errors import AgentError, BadAnswer, Cancelled, NoAnswer, Refused
from agent.imaging_stream import Piece

log = logging.getLogger(__name__)

TIMEOUT_S = 30.0
TRIES = 8
PAUSE_S = 0.5
MAX_HEAD = 16 * 1024
AHEAD = 3  # pieces fetched while another is being written


class Url(NamedTuple):
    """http only. path: with the query, which holds the token; so a Url does not show itself."""

    host: str
    tcp_port: int
    path: str

    def __repr__(self) -> str:
        return f"<http://{self.host}:{self.tcp_port}>"


def parse_url(text: str) -> Url:
    scheme, _, rest = text.partition("://")
    place, slash, path = rest.partition("/")
    host, _, port = place.rpartition(":") if ":" in place.rpartition("]")[2] else (place, "", "80")
    if scheme != "http" or not host or not port.isdecimal() or any(mark in text for mark in " \r\n"):
        raise Refused("the address of the image is not plain HTTP")
    return Url(host.strip("[]"), int(port), slash + path or "/")


class Download:
    """One file of a known size. stop: set by somebody else to make every wait here end soon, with Cancelled."""

    def __init__(self, url: Url, size: int, stop: threading.Event) -> None:
        self._url, self._size, self._stop = url, size, stop
        self._socket: socket.socket | None = None
        self._early = b""
        self.position = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket, self._early = None, b""

    def read(self, length: int) -> bytearray:
        """The next bytes, all of them. Raises NoAnswer after TRIES attempts without a single byte, or Refused."""
        data = bytearray(length)
        view, failures = memoryview(data), 0
        while view:
            if self._stop.is_set():
                raise Cancelled
            try:
                got = self._receive(view)
            except (OSError, NoAnswer, BadAnswer) as failure:
                self.close()
                failures += 1
                if failures >= TRIES:
                    raise NoAnswer(f"the image broke off at {self.position} of {self._size} bytes: {failure}") from None
                log.info("image download broke off position=%d: %s", self.position, failure)
                self._stop.wait(min(PAUSE_S * 2**failures, 10.0))
                continue
            failures = 0
            self.position += got
            view = view[got:]
        return data

    def back_to(self, position: int) -> None:
        self.close()
        self.position = position

    def _receive(self, view: memoryview) -> int:
        if self._socket is None:
            self._socket = self._open()
        if self._early:
            got = min(len(self._early), len(view))
            view[:got] = self._early[:got]
            self._early = self._early[got:]
            return got
        got = self._socket.recv_into(view)
        if not got:
            raise NoAnswer("the server closed the connection")
        return got

    def _open(self) -> socket.socket:
        connection = socket.create_connection((self._url.host, self._url.tcp_port), TIMEOUT_S)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            host = f"[{self._url.host}]" if ":" in self._url.host else self._url.host
            lines = [f"GET {self._url.path} HTTP/1.1", f"Host: {host}:{self._url.tcp_port}", "Connection: close"]
            if self.position:
                lines.append(f"Range: bytes={self.position}-")
            connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
            self._early = self._head(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _head(self, connection: socket.socket) -> bytes:
        """Read the head of the answer; gives the bytes of the body that came with it."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = connection.recv(65536)
            data += more
            if not more or len(data) > MAX_HEAD + 65536:
                raise NoAnswer("the server gave no answer")
        head, _, body = data.partition(b"\r\n\r\n")
        words = head.split(b"\r\n", 1)[0].split(b" ")
        status = int(words[1]) if len(words) > 1 and words[0].startswith(b"HTTP/1.") and words[1].isdigit() else 0
        if 400 <= status < 500 and status not in (408, 425, 429):
            raise Refused(f"the appliance does not hand out the image any more (status {status})")
        if status != (206 if self.position else 200):
            raise BadAnswer(f"the server answered the request for the image with status {status}")
        return body


def whole(url: Url, length: int, stop: threading.Event) -> bytes:
    with Download(url, length, stop) as download:
        return bytes(download.read(length))


def pieces_ahead(url: Url, wanted: list[Piece], stop: threading.Event) -> Iterator[tuple[Piece, bytes]]:
    """Each piece with its packed bytes, whose checksum is right; fetched by a thread while the caller works.

    Raises what the thread raised. The caller sets `stop`, or closes the generator, to end it early.
    """
    ready: queue.Queue[tuple[Piece, bytes] | AgentError | None] = queue.Queue(AHEAD)
    thread = threading.Thread(target=_fetch, args=(url, wanted, stop, ready), name="fetch", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, AgentError):
                raise item
            yield item
    finally:
        stop.set()
        while thread.is_alive():
            with contextlib.suppress(queue.Empty):
                ready.get(timeout=0.1)


def _fetch(
    url: Url,
    wanted: list[Piece],
    stop: threading.Event,
    ready: "queue.Queue[tuple[Piece, bytes] | AgentError | None]",
) -> None:
    try:
        with Download(url, sum(piece.packed_length for piece in wanted), stop) as download:
            for piece in wanted:
                ready.put((piece, _checked(download, piece)))
        ready.put(None)
    except AgentError as failure:
        ready.put(failure)


def _checked(download: Download, piece: Piece) -> bytes:
    start = download.position
    for _ in range(3):
        data = bytes(download.read(piece.packed_length))
        if hashlib.sha256(data).digest() == piece.sha256:
            return data
        log.warning("image piece has a wrong checksum offset=%d", piece.offset)
        download.back_to(start)
    raise BadAnswer(f"the piece of the image at {piece.offset} came with a wrong checksum three times")
