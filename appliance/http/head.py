"""Is this request head unambiguous? Decided on the bytes, before anything parses or routes them. Pure.

The rules are those whose absence lets two programs see two different requests in one stream (request smuggling), or
two names for one header. What passes here is then parsed by cheroot. Spec: RFC 9112 §2.2, §3, §5, §6; RFC 9110 §5.1.
"""

import re
from dataclasses import dataclass

MAX_HEAD_BYTES = 32 * 1024
MAX_HEADERS = 100
SMALL_BODY = 32 * 1024

_REQUEST_LINE = re.compile(rb"([A-Z]{1,16}) (/[\x21-\x22\x24-\x7e]{0,8190}|\*) HTTP/1\.([01])\Z")
# Possessive, so that a field that fails is looked at once and not from each of its 30,000 spaces anew.
_FIELDS = re.compile(rb"(?:[!#$%&'*+.^`|~0-9A-Za-z-]{1,128}+:[\x20-\x7e\x80-\xff\t]*+\r\n)*+\Z")
_FRAMING = re.compile(rb"(?im)^(host|content-length|transfer-encoding|authorization|expect):([^\r]*+)")
_DIGITS = re.compile(rb"[0-9]{1,15}\Z")


@dataclass(frozen=True, slots=True)
class Refusal:
    """status: code and reason phrase. message: one sentence for the caller."""

    status: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What the server itself needs to know. length: of the body; None when it comes in chunks.

    is_expecting: the peer sends no body before it is told to.
    """

    method: str
    target: str
    is_http_1_0: bool
    length: int | None
    is_expecting: bool = False

    @property
    def is_small(self) -> bool:
        """Can the request be waited for as a whole, before anybody works on it?"""
        return self.length is not None and self.length <= SMALL_BODY and not self.is_expecting


def gathered(buffer: bytearray) -> Head | Refusal | None:
    """What the octets so far begin with; None while the head is not complete. Nothing of it is taken away.

    One empty line before a request is allowed, and dropped here (RFC 9112 §2.2).
    """
    if buffer.startswith(b"\r\n"):
        del buffer[:2]
    end = buffer.find(b"\r\n\r\n", 0, MAX_HEAD_BYTES)
    if end >= 0:
        return examine(bytes(buffer[: end + 4]))
    if len(buffer) >= MAX_HEAD_BYTES:
        return Refusal("431 Request Header Fields Too Large", "the head exceeds 32 KiB")
    return None


def examine(head: bytes) -> Head | Refusal:
    """head: from the first octet of the request line up to and including the empty line."""
    end = head.index(b"\r\n")
    first = _REQUEST_LINE.match(head[:end])
    if first is None:
        if end > 8192:
            return Refusal("414 URI Too Long", "the request line is longer than 8192 octets")
        return _bad("the request line is malformed")
    lines = head[end + 2 : -2]
    if lines.count(b"\r\n") > MAX_HEADERS:
        return Refusal("431 Request Header Fields Too Large", f"more than {MAX_HEADERS} header fields")
    if _FIELDS.match(lines) is None:
        # a folded line, a space before the colon, an underscore, a control character, a bare CR or LF
        return _bad("a header field is malformed")
    fields: dict[bytes, list[bytes]] = {}
    for name, value in _FRAMING.findall(lines):
        fields.setdefault(name.lower(), []).append(value.strip(b" \t"))
    return _framed(first[1].decode(), first[2].decode(), fields, is_http_1_0=first[3] == b"0")


def _framed(method: str, target: str, fields: dict[bytes, list[bytes]], *, is_http_1_0: bool) -> Head | Refusal:
    """Where the body ends: by length or in chunks, never both, never twice."""
    lengths, codings = fields.get(b"content-length", []), fields.get(b"transfer-encoding", [])
    if len(fields.get(b"host", [])) != 1 and not (is_http_1_0 and b"host" not in fields):
        return _bad("exactly one Host field is needed")
    if len(fields.get(b"authorization", [])) > 1:
        return _bad("more than one Authorization field")
    if codings:
        if lengths or is_http_1_0 or [coding.lower() for coding in codings] != [b"chunked"]:
            return _bad("Transfer-Encoding must be 'chunked', alone, without Content-Length")
        return Head(method=method, target=target, is_http_1_0=is_http_1_0, length=None)
    if len(lengths) > 1 or (lengths and not _DIGITS.match(lengths[0])):
        return _bad("Content-Length must be one decimal number")
    length = int(lengths[0]) if lengths else 0
    is_expecting = b"expect" in fields
    return Head(method=method, target=target, is_http_1_0=is_http_1_0, length=length, is_expecting=is_expecting)


def _bad(message: str) -> Refusal:
    return Refusal("400 Bad Request", message)
