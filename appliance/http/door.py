"""Who may come in: one thread accepts, shakes hands and gathers request heads, so that no slow peer holds a worker.

cheroot's own loop does the TLS handshake while nobody else is accepted, and gives every silent connection a worker
thread (Decision 80). Here a connection reaches a worker only with a complete head that `http.head` found unambiguous,
and with its body when that is small (Decision 246); until then it costs a few kilobytes and has a deadline. Not here:
requests (http.server) and large bodies (http.connection).
"""

import errno
import logging
import selectors
import socket
import ssl
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import orjson

from appliance.http.connection import READ_BYTES, Connection
from appliance.http.head import Head, Refusal

log = logging.getLogger(__name__)

HEAD_DEADLINE_S = 10.0  # handshake and head together
IDLE_S = 75.0
LINGER_S = 2.0
_OUT_OF_DESCRIPTORS = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_WANTS = (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError)

ContextFor = Callable[[str], ssl.SSLContext]
Admit = Callable[[Connection, Head], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """per_peer: connections of one address that are not being worked on; connections: of all, whatever they do."""

    connections: int = 2048
    per_peer: int = 1024


def refusal_bytes(refusal: Refusal, *, retry_after_s: int | None = None) -> bytes:
    """A whole response in the API's form, after which the connection closes."""
    code = "unavailable" if refusal.status.startswith("503") else "invalid"
    error = {"code": code, "message": refusal.message, "why": "", "next": "", "request_id": ""}
    body = orjson.dumps({"error": error})
    retry = f"Retry-After: {retry_after_s}\r\n" if retry_after_s is not None else ""
    head = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nCache-Control: no-store\r\n{retry}"
    return f"HTTP/1.1 {refusal.status}\r\n{head}Connection: close\r\n\r\n".encode() + body


class Door:
    """admit: takes a connection and its head to the workers; False when they are all busy and the queue is full."""

    def __init__(self, listener: socket.socket, admit: Admit, limits: Limits, context_for: ContextFor | None) -> None:
        self._listener = listener
        self._admit = admit
        self._limits = limits
        self._context_for = context_for
        self._selector = selectors.DefaultSelector()
        self._returned: deque[Connection] = deque()
        self._wake_end, self._wake = socket.socketpair()
        self._wake_end.setblocking(False)
        self._wake.setblocking(False)
        self._waiting: dict[Connection, None] = {}
        self._per_peer: Counter[str] = Counter()
        self._working = 0
        self._accept_again_at: float | None = None
        self._is_stopping = threading.Event()
        listener.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ)
        self._selector.register(self._wake_end, selectors.EVENT_READ)

    def run(self) -> None:
        """Until `stop`. A fault of one connection never ends the loop."""
        while not self._is_stopping.is_set():
            events = self._selector.select(self._pause_s())
            now = time.monotonic()
            try:
                self._turn(events, now)
            except Exception:  # a loop top: one connection must not close the door
                log.exception("the door goes on")
        self._close_all()

    def _turn(self, events: list[tuple[selectors.SelectorKey, int]], now: float) -> None:
        for key, _ in events:
            if key.fileobj is self._listener:
                self._accept_all(now)
            elif key.fileobj is self._wake_end:
                with suppress(OSError):
                    self._wake_end.recv(4096)
            else:
                self._advance(key.data, now)
        while self._returned:
            self._take_back(self._returned.popleft(), now)
        self._expire(now)

    def give_back(self, connection: Connection, *, is_open: bool) -> None:
        """From a worker: the response is sent. is_open: another request may follow; else close politely."""
        if self._is_stopping.is_set():
            connection.socket.close()
            return
        connection.stage = "idle" if is_open else "linger"
        self._returned.append(connection)
        self.wake()

    def wake(self) -> None:
        with suppress(OSError):
            self._wake.send(b"!")

    def stop(self) -> None:
        self._is_stopping.set()
        self.wake()

    def _pause_s(self) -> float:
        return 0.2 if self._accept_again_at is not None else 1.0

    def _accept_all(self, now: float) -> None:
        for _ in range(64):
            if len(self._waiting) + self._working >= self._limits.connections and not self._drop_an_idle_one():
                self._pause_accepting(now, 0.2)
                return
            try:
                sock, address = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as fault:
                if fault.errno in _OUT_OF_DESCRIPTORS:
                    log.warning("no new connections for a moment: %s", fault.strerror)
                    self._pause_accepting(now, 1.0)
                    return
                continue  # the peer left between its SYN and our accept
            self._welcome(sock, address, now)

    def _welcome(self, sock: socket.socket, address: object, now: float) -> None:
        peer = (str(address[0]), int(address[1])) if isinstance(address, tuple) else ("", 0)
        if peer[0] and self._per_peer[peer[0]] >= self._limits.per_peer:
            sock.close()
            return
        try:
            sock.setblocking(False)
            if peer[0]:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(sock, peer)
            if self._context_for is not None:
                context = self._context_for(sock.getsockname()[0].removeprefix("::ffff:").partition("%")[0])
                connection.socket = context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
                connection.stage = "handshake"
        except (OSError, ValueError) as fault:
            log.info("connection refused peer=%s: %s", peer[0], fault)
            sock.close()
            return
        connection.until = now + HEAD_DEADLINE_S
        self._wait_for(connection, selectors.EVENT_READ)

    def _advance(self, connection: Connection, now: float) -> None:
        try:
            if connection.stage == "handshake":
                self._shake_hands(connection)
            if connection.stage == "idle":
                connection.stage, connection.until = "head", now + HEAD_DEADLINE_S
            if connection.stage == "head":
                self._gather(connection, now)
            elif connection.stage == "linger" and not connection.socket.recv(READ_BYTES):
                self._forget(connection)
        except ssl.SSLWantWriteError:
            self._selector.modify(connection.socket, selectors.EVENT_WRITE, connection)
        except _WANTS:
            self._selector.modify(connection.socket, selectors.EVENT_READ, connection)
        except (OSError, ValueError) as fault:
            log.debug("connection lost peer=%s stage=%s: %s", connection.peer[0], connection.stage, fault)
            self._forget(connection)

    def _shake_hands(self, connection: Connection) -> None:
        assert isinstance(connection.socket, ssl.SSLSocket)
        try:
            connection.socket.do_handshake()
        except ssl.SSLError as fault:
            if fault.reason == "HTTP_REQUEST":
                self._answer_in_the_clear(connection)
            raise
        connection.stage = "head"

    def _gather(self, connection: Connection, now: float) -> None:
        """Read until the head is complete, and a small body, then hand over or refuse."""
        while (found := connection.request()) is None:
            data = connection.socket.recv(READ_BYTES)
            if not data:
                self._forget(connection)
                return
            connection.buffer += data
        if isinstance(found, Refusal):
            self._refuse(connection, found, now)
            return
        connection.socket.settimeout(HEAD_DEADLINE_S)
        self._stop_waiting(connection)
        connection.stage, connection.started, connection.received = "work", now, 0
        self._working += 1
        if not self._admit(connection, found):
            self._working -= 1
            connection.socket.settimeout(0)
            self._wait_for(connection, selectors.EVENT_READ)
            self._refuse(connection, Refusal("503 Service Unavailable", "every worker is busy"), now, retry_after_s=2)

    def _refuse(self, connection: Connection, refusal: Refusal, now: float, retry_after_s: int | None = None) -> None:
        log.info("request refused peer=%s status=%s: %s", connection.peer[0], refusal.status, refusal.message)
        with suppress(*_WANTS):  # a fresh send buffer holds these few octets; a full one means nobody reads
            connection.socket.send(refusal_bytes(refusal, retry_after_s=retry_after_s))
        self._linger(connection, now)

    def _answer_in_the_clear(self, connection: Connection) -> None:
        raw = socket.socket(fileno=socket.dup(connection.socket.fileno()))
        with raw, suppress(OSError):
            raw.send(refusal_bytes(Refusal("400 Bad Request", "this port speaks HTTPS only")))

    def _linger(self, connection: Connection, now: float) -> None:
        """Say that we are done, then read on for a moment: closing over unread octets would destroy the answer."""
        connection.buffer.clear()
        connection.stage, connection.until = "linger", now + LINGER_S
        with suppress(OSError):
            connection.socket.shutdown(socket.SHUT_WR)

    def _take_back(self, connection: Connection, now: float) -> None:
        self._working -= 1
        try:
            connection.socket.settimeout(0)
            self._wait_for(connection, selectors.EVENT_READ)
        except (OSError, ValueError):
            connection.socket.close()
            return
        if connection.stage == "linger":
            self._linger(connection, now)
        else:
            connection.until = now + IDLE_S
            if connection.has_pending():
                self._advance(connection, now)

    def _expire(self, now: float) -> None:
        for connection in [one for one in self._waiting if now >= one.until]:
            if connection.stage == "head" and connection.buffer:
                self._refuse(connection, Refusal("408 Request Timeout", "the request took too long"), now)
            self._forget(connection)
        if self._accept_again_at is not None and now >= self._accept_again_at:
            self._accept_again_at = None
            self._selector.register(self._listener, selectors.EVENT_READ)

    def _pause_accepting(self, now: float, seconds: float) -> None:
        self._selector.unregister(self._listener)
        self._accept_again_at = now + seconds

    def _drop_an_idle_one(self) -> bool:
        idle = min((one for one in self._waiting if one.stage == "idle"), key=lambda one: one.until, default=None)
        if idle is not None:
            self._forget(idle)
        return idle is not None

    def _wait_for(self, connection: Connection, events: int) -> None:
        self._selector.register(connection.socket, events, connection)
        self._waiting[connection] = None
        self._per_peer[connection.peer[0]] += 1

    def _stop_waiting(self, connection: Connection) -> None:
        if connection in self._waiting:
            del self._waiting[connection]
            self._per_peer[connection.peer[0]] -= 1
            if not self._per_peer[connection.peer[0]]:
                del self._per_peer[connection.peer[0]]
            self._selector.unregister(connection.socket)

    def _forget(self, connection: Connection) -> None:
        self._stop_waiting(connection)
        connection.socket.close()

    def _close_all(self) -> None:
        self._listener.close()
        for connection in list(self._all()):
            self._forget(connection)
        self._selector.close()
        self._wake.close()
        self._wake_end.close()

    def _all(self) -> Iterator[Connection]:
        yield from self._waiting
        yield from self._returned
