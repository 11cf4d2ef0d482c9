"""TFTP messages: bytes to values and back (RFC 1350 §5, options RFC 2347). Anything else raises MalformedPacket."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from pxe.errors import MalformedPacket

LARGEST_REQUEST = 512  # RFC 2347 §2
_MOST_OPTIONS = 8
_PAIR = struct.Struct("!HH")


class ErrorCode(IntEnum):
    """RFC 1350 §5, RFC 2347 §4."""

    UNDEFINED = 0
    NOT_FOUND = 1
    ACCESS = 2
    DISK_FULL = 3
    ILLEGAL = 4
    UNKNOWN_TRANSFER = 5
    OPTIONS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRequest:
    """name: as sent, not yet trusted. mode and option names in lower case."""

    name: str
    mode: str
    options: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """Parsed only to be refused in words."""


@dataclass(frozen=True, slots=True)
class Ack:
    block: int


@dataclass(frozen=True, slots=True)
class Failure:
    code: int
    message: str


Message = ReadRequest | WriteRequest | Ack | Failure


def parse(data: bytes) -> Message:
    """A message that a client may send."""
    if len(data) < 4:
        raise MalformedPacket("shorter than a TFTP message")
    opcode, number = _PAIR.unpack_from(data)
    if opcode == 4:
        return Ack(number)
    if opcode == 5:
        return Failure(number, data[4:260].split(b"\0", 1)[0].decode("ascii", "replace"))
    if opcode == 2:
        return WriteRequest()
    if opcode != 1:
        raise MalformedPacket(f"opcode {opcode} is not for a server")
    return _read_request(data)


def _read_request(data: bytes) -> ReadRequest:
    if len(data) > LARGEST_REQUEST or data[-1]:
        raise MalformedPacket("a request that is too long or does not end")
    try:
        words = [word.decode("ascii") for word in data[2:-1].split(b"\0")]
    except UnicodeDecodeError as cause:
        raise MalformedPacket("a request that is not ASCII") from cause
    if len(words) < 2 or not words[0]:
        raise MalformedPacket("a request without name or mode")
    pairs = list(zip(words[2::2], words[3::2], strict=False))[:_MOST_OPTIONS]
    options: dict[str, str] = {}
    for name, value in pairs:
        options.setdefault(name.lower(), value)
    return ReadRequest(name=words[0], mode=words[1].lower(), options=options)


def read_request(request: ReadRequest) -> bytes:
    """The request as bytes; what a client does."""
    words = [request.name, request.mode]
    for name, value in request.options.items():
        words += [name, value]
    return b"\0\1" + b"".join(word.encode("ascii") + b"\0" for word in words)


def data(block: int, content: bytes) -> bytes:
    """block: wraps to 0 after 65535, as every boot client expects."""
    return _PAIR.pack(3, block & 0xFFFF) + content


def ack(block: int) -> bytes:
    return _PAIR.pack(4, block & 0xFFFF)


def error(code: ErrorCode, message: str) -> bytes:
    return _PAIR.pack(5, code) + message.encode("ascii", "replace") + b"\0"


def option_ack(options: Mapping[str, str]) -> bytes:
    return b"\0\6" + b"".join(f"{name}\0{value}\0".encode("ascii") for name, value in options.items())
