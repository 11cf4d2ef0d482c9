"""HTTPS and unix-socket servers for WSGI applications: the door in front, cheroot for requests and responses.

    server = TlsServer(app, Endpoint("127.0.0.1", 8443), contexts.context_for)
    server.start(); ...; server.stop(grace_s=5)

Binding happens in the constructor, so a taken port is known before anything else starts. `body_limit(method, path)`
gives the largest body in octets that the application will ever read there (413 above).
"""

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self
from wsgiref.types import WSGIApplication

from cheroot.server import HTTPRequest
from cheroot.wsgi import Gateway_10

from appliance.domain.values import Endpoint
from appliance.http.connection import ChunkedBody, Connection, SizedBody
from appliance.http.door import HEAD_DEADLINE_S, ContextFor, Door, Limits, refusal_bytes
from appliance.http.head import MAX_HEAD_BYTES, Head, Refusal
from appliance.http.listen import listen_tcp, listen_unix
from appliance.http.turn import Turn
from appliance.http.workers import Workers

log = logging.getLogger(__name__)

BODY_BYTES = 1024 * 1024
WRITE_TIMEOUT_S = 30.0
NEXT_WITHIN_S = 0.003
"""How long a worker stays with a connection that it has answered. A busy client asks again within a millisecond; to
hand its connection to the door and back costs more than its TLS does (Decision 155)."""

_READS = frozenset({"GET", "HEAD"})

BodyLimit = Callable[[str, str], int]


def small_bodies(_method: str, _path: str) -> int:
    """1 MiB everywhere (as Ironic, OSSN-0099)."""
    return BODY_BYTES


class _Gateway(Gateway_10):
    """WSGI with a count of what was sent: a response shorter than it said must not be followed by another."""

    def __init__(self, request: HTTPRequest) -> None:
        super().__init__(request)
        self.env.pop("HTTP_PROXY", None)  # CVE-2016-5385: some clients take it for an environment variable

    def write(self, chunk: bytes) -> None:
        super().write(chunk)
        if self.remaining_bytes_out is not None:
            self.remaining_bytes_out -= len(chunk)

    def respond(self) -> None:
        super().respond()
        if self.remaining_bytes_out and self.req.method != b"HEAD":
            self.req.close_connection = True


class _Request(HTTPRequest):
    """One request whose head the door has found unambiguous."""

    head: Head
    limit: int

    def respond(self) -> None:
        if self.head.length is not None and self.head.length > self.limit:
            self.simple_response("413 Content Too Large", f"the body exceeds {self.limit} octets")
            return
        if self.head.length is None:
            self.chunked_read = True
            self.close_connection = True  # whatever follows the last chunk is not read as a request
            self.rfile = ChunkedBody(self.conn, self.limit)
        else:
            self.rfile = SizedBody(self.conn, self.head.length)
        _Gateway(self).respond()
        self.ensure_headers_sent()
        if self.chunked_write:
            self.conn.write(b"0\r\n\r\n")
        self.conn.flush()

    def send_headers(self) -> None:
        # cheroot would read the whole rest of an unwanted body into memory here; what is not here yet, we close on.
        if self.rfile.unread and not self.rfile.drop():
            self.close_connection = True
        self.conn.socket.settimeout(WRITE_TIMEOUT_S)
        self.conn.is_holding = True
        try:
            super().send_headers()
        finally:
            self.conn.is_holding = False

    def simple_response(self, status: str, msg: str = "") -> None:
        self.close_connection = True
        self.sent_headers = True
        with contextlib.suppress(OSError):
            self.conn.write(refusal_bytes(Refusal(status, msg or status)))


class Server:
    """What both kinds share. `address`: where it listens, with the real port. Also a context manager."""

    # What cheroot's request asks of a server.
    protocol = "HTTP/1.1"
    server_name = "rackwright"
    software = "rackwright"
    max_request_header_size = MAX_HEAD_BYTES
    max_request_body_size = 0  # decided by body_limit
    can_add_keepalive_connection = True
    timeout = 75
    ssl_adapter: object | None = None

    def __init__(
        self,
        app: WSGIApplication,
        listener: socket.socket,
        context_for: ContextFor | None,
        *,
        name: str,
        threads: int,
        body_limit: BodyLimit,
        limits: Limits,
        turn: Turn | None = None,
    ) -> None:
        self.wsgi_app = app
        self.ssl_adapter = context_for
        self._name = name
        self._body_limit = body_limit
        self._workers = Workers(name, least=min(4, threads), most=threads)
        self._turn = turn
        self._large = threading.BoundedSemaphore(max(1, threads - threads // 4))
        self._busy: dict[Connection, None] = {}
        self._is_stopping = False
        self._door = Door(listener, self._admit, limits, context_for)
        self._thread = threading.Thread(target=self._door.run, name=f"{name}-door", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, grace_s: float = 5.0) -> None:
        """Accept no more, close idle connections, let requests end for `grace_s`, then cut them."""
        ends = time.monotonic() + grace_s
        self._is_stopping = True
        self._door.stop()
        if self._thread.is_alive():
            self._thread.join(2)
        while self._busy and time.monotonic() < ends:
            time.sleep(0.02)
        for connection in list(self._busy):
            with contextlib.suppress(OSError):
                connection.socket.shutdown(socket.SHUT_RDWR)
        self._workers.stop(0.5)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _admit(self, connection: Connection, head: Head) -> bool:
        """A body that is still on its way may come slowly: the last quarter of the workers is for what is all there."""
        if not head.is_small and not self._large.acquire(blocking=False):
            return False
        self._busy[connection] = None
        is_admitted = self._workers.submit(
            lambda: self._serve(connection, head),
            after=lambda is_open: self._door.give_back(connection, is_open=is_open),
        )
        if not is_admitted:
            self._release(connection, head)
        return is_admitted

    def _release(self, connection: Connection, head: Head) -> None:
        self._busy.pop(connection, None)
        if not head.is_small:
            self._large.release()

    def _serve(self, connection: Connection, head: Head) -> bool:
        """Whether the connection stays open."""
        try:
            return self._answer_all(connection, head)
        except OSError as fault:  # the peer went away, or does not read
            log.debug("response not delivered peer=%s: %s", connection.peer[0], fault)
        except Exception:  # the worker's loop top: the fault of one request must not end its thread
            log.exception("request failed server=%s method=%s", self._name, head.method)
        finally:
            self._release(connection, head)
        return False

    def _answer_all(self, connection: Connection, head: Head) -> bool:
        """One request, and those that follow at once while nobody else wants this thread. False: close it."""
        while self._answer_in_turn(connection, head):
            if self._is_stopping or self._workers.is_wanted():
                return True
            following = connection.next_head(NEXT_WITHIN_S)
            if following is None:
                return True
            connection.started, connection.received = time.monotonic(), 0
            connection.socket.settimeout(HEAD_DEADLINE_S)
            head = following
        return False

    def _answer_in_turn(self, connection: Connection, head: Head) -> bool:
        if self._turn is None or head.method not in _READS:
            return self._answer(connection, head)
        with self._turn.taken():
            return self._answer(connection, head)

    def _answer(self, connection: Connection, head: Head) -> bool:
        request = _Request(self, connection)
        request.head = head
        request.rfile = SizedBody(connection, 0)
        request.limit = self._body_limit(head.method, head.target.partition("?")[0])
        request.parse_request()
        if not request.ready:
            return False
        try:
            request.respond()
        except OSError:
            raise
        except Exception:  # answered here, raised again below for the log
            if not request.sent_headers:
                request.simple_response("500 Internal Server Error", "the request failed; the log has the reason")
            raise
        return not request.close_connection


class TlsServer(Server):
    """HTTPS, TLS 1.2 or above. context_for: the context for the local address that a peer came to.

    turn: where reads are answered one at a time; not where they wait by purpose, as those of agents do.
    """

    def __init__(
        self,
        app: WSGIApplication,
        listen: Endpoint,
        context_for: ContextFor,
        *,
        name: str = "api",
        threads: int = 64,
        body_limit: BodyLimit = small_bodies,
        limits: Limits | None = None,
        turn: Turn | None = None,
    ) -> None:
        listener = listen_tcp(listen)
        host, port = listener.getsockname()[:2]
        self.address = Endpoint(host, port)
        self.bind_addr = (host, port)
        limits = limits or Limits(connections=2048 + threads)
        super().__init__(
            app, listener, context_for, name=name, threads=threads, body_limit=body_limit, limits=limits, turn=turn
        )


class UnixServer(Server):
    """HTTP on a unix socket that only its owner may open."""

    def __init__(
        self,
        app: WSGIApplication,
        path: Path,
        *,
        mode: int = 0o600,
        name: str = "internal",
        threads: int = 32,
        body_limit: BodyLimit = small_bodies,
    ) -> None:
        self.path = path
        self.bind_addr = (self.server_name, 0)
        limits = Limits(connections=512 + threads, per_peer=512 + threads)
        super().__init__(
            app, listen_unix(path, mode), None, name=name, threads=threads, body_limit=body_limit, limits=limits
        )

    def stop(self, grace_s: float = 5.0) -> None:
        super().stop(grace_s)
        self.path.unlink(missing_ok=True)
