"""One accepted connection: bytes in with deadlines, bytes out, and request bodies that end where they must.

A body is read by the application, in a worker thread; it must arrive at MIN_BYTES_S after a grace, or the request ends
in 408. Trailers of a chunked body are read and dropped; the connection is closed after it.
"""

import select
import socket
import ssl
import time

from werkzeug.exceptions import BadRequest, ClientDisconnected, RequestEntityTooLarge, RequestTimeout

from appliance.http.head import MAX_HEAD_BYTES, Head, Refusal, gathered

READ_BYTES = 64 * 1024
BODY_GRACE_S = 20.0
MIN_BYTES_S = 4096
_CHUNK_LINE = 256
_JOIN_BYTES = 16 * 1024  # below this, copying is cheaper than another TLS record and another segment


class Connection:
    """stage: where it is: `handshake`, `head`, `idle`, `work`, `linger`. until: when the door gives it up.

    head: of a small request whose body is on its way; whole_bytes: of both together.
    """

    __slots__ = (
        "buffer",
        "head",
        "held",
        "is_holding",
        "peer",
        "received",
        "rfile",
        "socket",
        "stage",
        "started",
        "until",
        "wfile",
        "whole_bytes",
    )

    def __init__(self, sock: socket.socket, peer: tuple[str, int]) -> None:
        self.socket = sock
        self.peer = peer
        self.buffer = bytearray()
        self.head: Head | None = None
        self.whole_bytes = 0
        self.held = b""
        self.is_holding = False
        self.received = 0
        self.started = 0.0
        self.stage = "head"
        self.until = 0.0
        self.rfile = self
        self.wfile = self

    # What cheroot asks of a connection.
    ssl_env = None

    @property
    def remote_addr(self) -> str:
        return self.peer[0]

    @property
    def remote_port(self) -> int:
        return self.peer[1]

    def write(self, data: bytes) -> int:
        """is_holding: what is written goes out with what follows, so that an answer's head is no record of its own."""
        if self.is_holding:
            self.held += data
            return len(data)
        held, self.held = self.held, b""
        if held and len(data) > _JOIN_BYTES:
            self.socket.sendall(held)
            held = b""
        self.socket.sendall(held + data if held else data)
        return len(data)

    def flush(self) -> None:
        if self.held:
            self.write(b"")

    def request(self) -> Head | Refusal | None:
        """What the octets so far begin with; None while something of it is to be waited for: the head, a small body.

        A body that trickles in must not hold a worker; one that is large is not kept in memory. Nothing is taken away.
        """
        if self.head is None:
            found = gathered(self.buffer)
            if not isinstance(found, Head):
                return found
            self.head = found
            self.whole_bytes = self.buffer.index(b"\r\n\r\n") + 4 + ((found.length or 0) if found.is_small else 0)
        if len(self.buffer) < self.whole_bytes:
            return None
        head, self.head = self.head, None
        return head

    def next_head(self, within_s: float) -> Head | None:
        """The head of a small request that follows at once, body and all; None otherwise: the door sees to the rest.

        What was read stays in the buffer. The socket does not block afterwards.
        """
        ends = time.monotonic() + within_s
        poll = select.poll()
        try:
            self.socket.settimeout(0)
            poll.register(self.socket, select.POLLIN)
            while (found := self.request()) is None:
                if not self._is_decrypted() and not poll.poll(max(0.0, 1000 * (ends - time.monotonic()))):
                    return None
                data = self.socket.recv(READ_BYTES)
                if not data:
                    return None
                self.buffer += data
        except (OSError, ValueError):  # nothing to read after all, or lost: the door finds out which
            return None
        return found if isinstance(found, Head) and found.is_small else None

    def readline(self, size: int = MAX_HEAD_BYTES) -> bytes:
        """A line of at most `size` octets with its ending; what came so far when the limit is met."""
        while (end := self.buffer.find(b"\n", 0, size)) < 0 and len(self.buffer) < size:
            self.fill()
        return self._take(end + 1 if end >= 0 else size)

    def read(self, size: int) -> bytes:
        """At least one octet and at most `size`, whatever comes first."""
        if not self.buffer:
            self.fill()
        return self._take(size)

    def fill(self) -> None:
        """Wait for more octets; raises RequestTimeout for a peer below the rate, ClientDisconnected at the end."""
        allowance = BODY_GRACE_S + self.received / MIN_BYTES_S - (time.monotonic() - self.started)
        if allowance <= 0:
            raise RequestTimeout
        self.socket.settimeout(min(allowance, BODY_GRACE_S))
        try:
            data = self.socket.recv(READ_BYTES)
        except TimeoutError as cause:
            raise RequestTimeout from cause
        except OSError as cause:
            raise ClientDisconnected from cause
        if not data:
            raise ClientDisconnected
        self.received += len(data)
        self.buffer += data

    def skip(self, size: int) -> bool:
        """Take away so many octets, if they are here."""
        is_here = len(self.buffer) >= size
        if is_here:
            del self.buffer[:size]
        return is_here

    def has_pending(self) -> bool:
        """Octets that no selector will ever announce: read already, or decrypted already."""
        return bool(self.buffer) or self._is_decrypted()

    def _is_decrypted(self) -> bool:
        return isinstance(self.socket, ssl.SSLSocket) and self.socket.pending() > 0

    def _take(self, size: int) -> bytes:
        taken = bytes(self.buffer[:size])
        del self.buffer[:size]
        return taken


class SizedBody:
    """A body of known length, as wsgi.input."""

    def __init__(self, connection: Connection, length: int) -> None:
        self._connection = connection
        self.unread = length

    def read(self, size: int | None = -1) -> bytes:
        wanted = self.unread if size is None or size < 0 else min(size, self.unread)
        parts = []
        while wanted > 0:
            part = self._connection.read(wanted)
            self.unread -= len(part)
            wanted -= len(part)
            parts.append(part)
        return b"".join(parts)

    def readline(self, size: int | None = -1) -> bytes:
        limit = self.unread if size is None or size < 0 else min(size, self.unread)
        line = self._connection.readline(limit) if limit else b""
        self.unread -= len(line)
        return line

    def drop(self) -> bool:
        """Forget a body that nobody wants; False when it is not all here, so that what follows it is not known."""
        if not self._connection.skip(self.unread):
            return False
        self.unread = 0
        return True

    def close(self) -> None:
        """The connection outlives the body."""


class ChunkedBody:
    """A body in chunks, as wsgi.input, of at most `limit` octets. Spec: RFC 9112 §7.1."""

    def __init__(self, connection: Connection, limit: int) -> None:
        self._connection = connection
        self._left = limit
        self._chunk = 0
        self.unread = 1  # until the last chunk was seen; nobody can know more

    def read(self, size: int | None = -1) -> bytes:
        parts, wanted = [], self._left + 1 if size is None or size < 0 else size
        while wanted > 0 and self.unread:
            if not self._chunk and not self._next_chunk():
                break
            part = self._connection.read(min(wanted, self._chunk))
            parts.append(part)
            wanted -= len(part)
            self._chunk -= len(part)
            if not self._chunk and self._connection.readline(_CHUNK_LINE) != b"\r\n":
                raise BadRequest("a chunk is longer than it says")
        return b"".join(parts)

    def readline(self, size: int | None = -1) -> bytes:
        """One octet at a time: only form parsers of other faces ask for lines, on small bodies."""
        line = bytearray()
        while (size is None or size < 0 or len(line) < size) and (octet := self.read(1)):
            line += octet
            if octet == b"\n":
                break
        return bytes(line)

    def drop(self) -> bool:
        """Never: where a body in chunks ends is known when it was read."""
        return False

    def close(self) -> None:
        """The connection outlives the body."""

    def _next_chunk(self) -> bool:
        line = self._connection.readline(_CHUNK_LINE)
        digits = line.partition(b";")[0].rstrip(b"\r\n \t")
        if not line.endswith(b"\r\n") or not 1 <= len(digits) <= 15 or digits.strip(b"0123456789abcdefABCDEF"):
            raise BadRequest("a chunk size is malformed")
        self._chunk = int(digits, 16)
        if self._chunk > self._left:
            raise RequestEntityTooLarge
        self._left -= self._chunk
        if self._chunk == 0:
            self._skip_trailers()
            self.unread = 0
        return self._chunk > 0

    def _skip_trailers(self) -> None:
        for _ in range(100):
            if self._connection.readline(MAX_HEAD_BYTES) == b"\r\n":
                return
        raise BadRequest("too many trailers")
