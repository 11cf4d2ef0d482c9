"""HTTP/1.1 as a client needs it here: write a request, read a response. Bytes in, values out; no sockets.

The library's http.client brings the email package with it, 0.3 s on a slow processor before the first call.
Not here: redirects (never followed), proxies, cookies, compression. Specification: RFC 9112.
"""

from collections.abc import Mapping
from typing import NamedTuple

from agent.errors import BadAnswer

MAX_HEAD_BYTES = 64 * 1024


class Response(NamedTuple):
    """headers: lower-case names, the last of equal names. is_reusable: the connection may carry another request."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_reusable: bool


def request(method: str, path: str, *, host: str, headers: Mapping[str, str], body: bytes | None) -> bytes:
    """A whole request. Raises ValueError if a line break hides in a value."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in headers.items())]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("line break in a request line or header")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


class Reader:
    """Collects one response. Call `feed` with what arrives and `end` when the peer closes."""

    def __init__(self, *, max_body: int) -> None:
        self._max_body = max_body
        self._data = bytearray()
        self._head: tuple[int, dict[str, str], bool] | None = None
        self.has_begun = False

    def feed(self, data: bytes) -> Response | None:
        """None: more is needed. Raises BadAnswer."""
        self.has_begun = self.has_begun or bool(data)
        self._data += data
        while self._head is None:
            if not self._read_head():
                return None
        body = self._body()
        if body is None:
            # Chunked framing may add at most half as much again before it is nonsense.
            if len(self._data) > 2 * self._max_body + MAX_HEAD_BYTES:
                raise BadAnswer("the answer is too long")
            return None
        status, headers, keeps = self._head
        return Response(status, headers, body, keeps and _is_framed(status, headers))

    def end(self) -> Response:
        """The peer closed. Raises BadAnswer unless the body was meant to end so."""
        if self._head is None or _is_framed(self._head[0], self._head[1]):
            raise BadAnswer("the answer was cut off")
        return Response(self._head[0], self._head[1], bytes(self._data), is_reusable=False)

    def _read_head(self) -> bool:
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            if len(self._data) > MAX_HEAD_BYTES:
                raise BadAnswer("the head of the answer is too long")
            return False
        status, headers, keeps = _parse_head(bytes(self._data[:end]))
        del self._data[: end + 4]
        if not 100 <= status < 200:
            self._head = (status, headers, keeps)
        return True

    def _body(self) -> bytes | None:
        assert self._head is not None
        status, headers, _ = self._head
        if status in (204, 304):
            return b""
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return self._chunked()
        length = headers.get("content-length")
        if length is None:
            if len(self._data) > self._max_body:
                raise BadAnswer("the answer is too long")
            return None
        size = _number(length, 10)
        if size > self._max_body:
            raise BadAnswer("the answer is too long")
        return bytes(self._data[:size]) if len(self._data) >= size else None

    def _chunked(self) -> bytes | None:
        body, position = bytearray(), 0
        while True:
            end = self._data.find(b"\r\n", position)
            if end < 0:
                return None
            size = _number(self._data[position:end].split(b";")[0].decode("latin-1").strip(), 16)
            if size + len(body) > self._max_body:
                raise BadAnswer("the answer is too long")
            start = end + 2
            if size == 0:
                trailer = self._data.find(b"\r\n", start)
                return None if trailer < 0 else bytes(body)
            if len(self._data) < start + size + 2:
                return None
            if self._data[start + size : start + size + 2] != b"\r\n":
                raise BadAnswer("a chunk of the answer has a wrong length")
            body += self._data[start : start + size]
            position = start + size + 2


def _parse_head(head: bytes) -> tuple[int, dict[str, str], bool]:
    first, *lines = head.decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    code = rest[:3]
    if version not in ("HTTP/1.0", "HTTP/1.1") or not (code.isascii() and code.isdigit() and len(code) == 3):
        raise BadAnswer("the answer is not HTTP")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise BadAnswer("the answer has a malformed header")
        headers[name.lower()] = value.strip()
    connection = headers.get("connection", "").lower()
    keeps = connection != "close" if version == "HTTP/1.1" else connection == "keep-alive"
    return int(code), headers, keeps


def _is_framed(status: int, headers: Mapping[str, str]) -> bool:
    return status in (204, 304) or "content-length" in headers or "transfer-encoding" in headers


def _number(text: str, base: int) -> int:
    digits = "0123456789abcdef"[:base]
    if not 0 < len(text) <= 12 or set(text.lower()) - set(digits):
        raise BadAnswer("the answer has a malformed length")
    return int(text, base)
