"""Reads a DNS query: header, the one question, and EDNS (RFC 1035 §4.1, RFC 6891). Pure.

Only what a question needs is parsed, so no compression pointer is ever followed: a name in the first question has
nothing in front of it to point to. Replies are built with dnslib in `responder`.
"""

import struct
from dataclasses import dataclass

from pxe.errors import MalformedPacket

_HEADER = struct.Struct("!HHHHHH")
_MOST_RECORDS = 8
OPT = 41


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """name: labels in the case as sent, for the echo. question: its bytes. edns_size: `None` without EDNS."""

    ident: int
    flags: int
    labels: tuple[bytes, ...]
    qtype: int
    qclass: int
    question: bytes
    edns_size: int | None
    edns_version: int

    @property
    def opcode(self) -> int:
        return (self.flags >> 11) & 0xF

    @property
    def name(self) -> str | None:
        """Lower case, without the final dot; `None` for labels that no name of ours has: not ASCII, or with a dot."""
        if any(b"." in label for label in self.labels):
            return None
        try:
            return b".".join(self.labels).decode("ascii").lower()
        except UnicodeDecodeError:
            return None


def is_answerable(data: bytes) -> bool:
    """False for what must be dropped in silence: no header, or itself a response (which would be a loop)."""
    return len(data) >= _HEADER.size and not data[2] & 0x80


def parse(data: bytes) -> Query:
    """Raises MalformedPacket; the caller may answer FORMERR when `is_answerable`."""
    if len(data) < _HEADER.size:
        raise MalformedPacket("shorter than a DNS header")
    ident, flags, questions, answers, authorities, additionals = _HEADER.unpack_from(data)
    if questions != 1 or answers or authorities > _MOST_RECORDS or additionals > _MOST_RECORDS:
        raise MalformedPacket("not exactly one question")
    labels, at = _name(data, _HEADER.size)
    if at + 4 > len(data):
        raise MalformedPacket("the question is cut off")
    qtype, qclass = struct.unpack_from("!HH", data, at)
    question = data[_HEADER.size : at + 4]
    size, version = None, 0
    at += 4
    for _ in range(authorities + additionals):
        rtype, rclass, ttl, at = _record(data, at)
        if rtype == OPT:
            if size is not None:
                raise MalformedPacket("more than one OPT record")
            size, version = rclass, (ttl >> 16) & 0xFF
    return Query(
        ident=ident,
        flags=flags,
        labels=labels,
        qtype=qtype,
        qclass=qclass,
        question=question,
        edns_size=size,
        edns_version=version,
    )


def _name(data: bytes, at: int) -> tuple[tuple[bytes, ...], int]:
    labels: list[bytes] = []
    start = at
    while True:
        if at >= len(data) or at - start > 255:
            raise MalformedPacket("a name without end")
        length = data[at]
        at += 1
        if length == 0:
            return tuple(labels), at
        if length > 63 or at + length > len(data):
            raise MalformedPacket("a label without end, or a pointer")
        labels.append(data[at : at + length])
        at += length


def _record(data: bytes, at: int) -> tuple[int, int, int, int]:
    """Type, class, TTL and end of a record behind the question; pointers in its name are stepped over."""
    while at < len(data) and data[at] and data[at] < 64:
        at += 1 + data[at]
    if at >= len(data):
        raise MalformedPacket("a record is cut off")
    at += 2 if data[at] >= 0xC0 else 1
    if at + 10 > len(data):
        raise MalformedPacket("a record is cut off")
    rtype, rclass, ttl, length = struct.unpack_from("!HHIH", data, at)
    at += 10 + length
    if at > len(data):
        raise MalformedPacket("a record is cut off")
    return rtype, rclass, ttl, at
