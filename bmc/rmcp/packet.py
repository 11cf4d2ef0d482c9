"""RMCP and session headers around a payload: IPMI 1.5 without session, IPMI 2.0 (RMCP+), ASF presence ping.

`parse` reads what can be read without keys; `Sealed.open` checks and decrypts what needs them. A packet inside a
session that is not both signed and encrypted is refused: neither of our suites allows it.
"""

import enum
import struct
from dataclasses import dataclass

from bmc.rmcp.errors import BadIntegrity, MalformedPacket
from bmc.rmcp.suites import Keys, same

RMCP_IPMI = b"\x06\x00\xff\x07"
RMCP_ASF = b"\x06\x00\xff\x06"
ASF_IANA = 0x11BE
ASF_PING = 0x80
ASF_PONG = 0x40
AUTH_NONE = 0x00
AUTH_RMCP_PLUS = 0x06
ENCRYPTED = 0x80
AUTHENTICATED = 0x40
MAX_DATAGRAM = 2048


class PayloadType(enum.IntEnum):
    """§13.27.3, table 13-16."""

    IPMI = 0x00
    SOL = 0x01
    OPEN_SESSION_REQUEST = 0x10
    OPEN_SESSION_RESPONSE = 0x11
    RAKP_1 = 0x12
    RAKP_2 = 0x13
    RAKP_3 = 0x14
    RAKP_4 = 0x15


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    """ASF presence ping (§13.2.3)."""

    tag: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bare:
    """An IPMI 1.5 packet outside of any session, the only 1.5 packet that we speak."""

    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Clear:
    """A 2.0 packet in the clear: session set-up, or a message outside of any session (ipmitool asks for suites so)."""

    kind: PayloadType
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A 2.0 packet of a session, still signed and encrypted."""

    kind: PayloadType
    session_id: int
    sequence: int
    sealed: bytes
    signed: bytes
    code: bytes

    def open(self, keys: Keys) -> bytes:
        size = keys.suite.integrity_bytes
        trailer = self.code
        if len(trailer) < size + 2:
            raise MalformedPacket("integrity trailer is too short")
        if not same(keys.sign(self.signed + trailer[:-size]), trailer[-size:]):
            raise BadIntegrity
        return keys.decrypt(self.sealed)


Packet = Ping | Bare | Clear | Sealed


def parse(datagram: bytes) -> Packet:
    if len(datagram) > MAX_DATAGRAM:
        raise MalformedPacket("datagram is too long")
    if datagram[:4] == RMCP_ASF:
        return _parse_asf(datagram)
    if datagram[:4] != RMCP_IPMI or len(datagram) < 14:
        raise MalformedPacket("not RMCP")
    if datagram[4] == AUTH_NONE:
        return _parse_bare(datagram)
    if datagram[4] == AUTH_RMCP_PLUS and len(datagram) >= 16:
        return _parse_plus(datagram)
    raise MalformedPacket("authentication type is not ours")


def _parse_asf(datagram: bytes) -> Ping:
    if len(datagram) < 12 or int.from_bytes(datagram[4:8], "big") != ASF_IANA or datagram[8] != ASF_PING:
        raise MalformedPacket("not a presence ping")
    return Ping(tag=datagram[9])


def _parse_bare(datagram: bytes) -> Bare:
    sequence, session_id, size = struct.unpack_from("<IIB", datagram, 5)
    payload = datagram[14 : 14 + size]
    if sequence or session_id or len(payload) != size:
        raise MalformedPacket("IPMI 1.5 packet of a session, or cut short")
    return Bare(payload=payload)


def _parse_plus(datagram: bytes) -> Clear | Sealed:
    octet, session_id, sequence, size = struct.unpack_from("<BIIH", datagram, 5)
    payload = datagram[16 : 16 + size]
    if len(payload) != size:
        raise MalformedPacket("payload is cut short")
    try:
        kind = PayloadType(octet & 0x3F)
    except ValueError as error:
        raise MalformedPacket("payload type is not ours") from error
    protection = octet & (ENCRYPTED | AUTHENTICATED)
    is_setup = kind >= PayloadType.OPEN_SESSION_REQUEST
    if kind is not PayloadType.SOL and protection == 0 and session_id == 0:
        return Clear(kind=kind, payload=payload)
    if is_setup or protection != ENCRYPTED | AUTHENTICATED or session_id == 0:
        raise MalformedPacket("packet of a session must be signed and encrypted")
    return Sealed(
        kind=kind,
        session_id=session_id,
        sequence=sequence,
        sealed=payload,
        signed=datagram[4 : 16 + size],
        code=datagram[16 + size :],
    )


def ping(tag: int) -> bytes:
    return RMCP_ASF + struct.pack(">IBBBB", ASF_IANA, ASF_PING, tag, 0, 0)


def pong(tag: int) -> bytes:
    """IPMI supported, ASF version 1 (§13.2.4)."""
    return RMCP_ASF + struct.pack(">IBBBBIIBB6x", ASF_IANA, ASF_PONG, tag, 0, 16, ASF_IANA, 0, 0x81, 0)


def bare(payload: bytes) -> bytes:
    return RMCP_IPMI + bytes([AUTH_NONE]) + bytes(8) + bytes([len(payload)]) + payload


def clear(kind: PayloadType, payload: bytes) -> bytes:
    return RMCP_IPMI + struct.pack("<BBIIH", AUTH_RMCP_PLUS, kind, 0, 0, len(payload)) + payload


def sealed(kind: PayloadType, payload: bytes, *, session_id: int, sequence: int, keys: Keys) -> bytes:
    """Encrypt, then sign. The pad makes the signed part a multiple of four octets (§13.28.4)."""
    inside = keys.encrypt(payload)
    octet = kind | ENCRYPTED | AUTHENTICATED
    signed = struct.pack("<BBIIH", AUTH_RMCP_PLUS, octet, session_id, sequence, len(inside)) + inside
    pad = -(len(signed) + 2) % 4
    signed += b"\xff" * pad + bytes([pad, 0x07])
    return RMCP_IPMI + signed + keys.sign(signed)
