"""IPMI messages as a LAN payload carries them (§13.8), and the numbers of commands and completion codes."""

import enum
from dataclasses import dataclass

from bmc.rmcp.errors import MalformedPacket

BMC_ADDRESS = 0x20
CONSOLE_ADDRESS = 0x81
SHORTEST = 7


class NetFn(enum.IntEnum):
    """§5.1, requests; a response is one more."""

    CHASSIS = 0x00
    SENSOR = 0x04
    APP = 0x06
    STORAGE = 0x0A
    TRANSPORT = 0x0C


class Code(enum.IntEnum):
    """Completion codes of §5.2."""

    OK = 0x00
    BUSY = 0xC0
    INVALID_COMMAND = 0xC1
    INVALID_FOR_LUN = 0xC2
    TIMEOUT = 0xC3
    OUT_OF_SPACE = 0xC4
    RESERVATION_LOST = 0xC5
    DATA_TRUNCATED = 0xC6
    DATA_LENGTH_INVALID = 0xC7
    DATA_LENGTH_EXCEEDED = 0xC8
    PARAMETER_OUT_OF_RANGE = 0xC9
    TOO_MANY_BYTES = 0xCA
    NOT_PRESENT = 0xCB
    INVALID_FIELD = 0xCC
    ILLEGAL = 0xCD
    NO_RESPONSE = 0xCE
    INSUFFICIENT_PRIVILEGE = 0xD4
    NOT_IN_THIS_STATE = 0xD5
    DISABLED = 0xD6
    UNSPECIFIED = 0xFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    netfn: int
    command: int
    data: bytes = b""
    lun: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    code: int
    data: bytes = b""


def checksum(data: bytes) -> int:
    """Two's complement of the sum: data and checksum together give 0."""
    return -sum(data) & 0xFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """One message with its addresses. `sequence` (6 bits) pairs an answer with its request."""

    to_address: int
    netfn: int
    to_lun: int
    from_address: int
    sequence: int
    from_lun: int
    command: int
    data: bytes

    def encode(self) -> bytes:
        head = bytes([self.to_address, self.netfn << 2 | self.to_lun])
        body = bytes([self.from_address, self.sequence << 2 | self.from_lun, self.command]) + self.data
        return head + bytes([checksum(head)]) + body + bytes([checksum(body)])

    @classmethod
    def decode(cls, payload: bytes) -> "Envelope":
        if len(payload) < SHORTEST:
            raise MalformedPacket("IPMI message is too short")
        if sum(payload[:3]) & 0xFF or sum(payload[3:]) & 0xFF:
            raise MalformedPacket("IPMI message has a wrong checksum")
        return cls(
            to_address=payload[0],
            netfn=payload[1] >> 2,
            to_lun=payload[1] & 3,
            from_address=payload[3],
            sequence=payload[4] >> 2,
            from_lun=payload[4] & 3,
            command=payload[5],
            data=payload[6:-1],
        )

    def request(self) -> Request:
        return Request(netfn=self.netfn, command=self.command, data=self.data, lun=self.to_lun)

    def answer(self, response: Response) -> "Envelope":
        return Envelope(
            to_address=self.from_address,
            netfn=self.netfn | 1,
            to_lun=self.from_lun,
            from_address=self.to_address,
            sequence=self.sequence,
            from_lun=self.to_lun,
            command=self.command,
            data=bytes([response.code]) + response.data,
        )


def ask(request: Request, sequence: int) -> Envelope:
    """A request of a remote console to the BMC."""
    return Envelope(
        to_address=BMC_ADDRESS,
        netfn=request.netfn,
        to_lun=request.lun,
        from_address=CONSOLE_ADDRESS,
        sequence=sequence & 0x3F,
        from_lun=0,
        command=request.command,
        data=request.data,
    )
