"""The protocol between QEMU's `ipmi-bmc-extern` device and a BMC outside QEMU: bytes in, messages out.

As in QEMU's hw/ipmi/ipmi_bmc_extern.c and OpenIPMI's `VM` codec. A message is
    sequence, network function << 2 | LUN, command, [completion code,] data, checksum, A0h
and its octets sum to 0. A hardware operation is
    operation, [argument,] A1h
without checksum. The octets A0h, A1h and AAh inside either are sent as AAh and the octet with bit 4 set.
"""

import enum
from dataclasses import dataclass

from bmc.rmcp.message import Request, Response, checksum

END_OF_MESSAGE, END_OF_OPERATION, ESCAPE = 0xA0, 0xA1, 0xAA
SPECIAL = frozenset({END_OF_MESSAGE, END_OF_OPERATION, ESCAPE})
ESCAPED_BIT = 0x10
LONGEST = 512


class Operation(enum.IntEnum):
    """To the machine: 0-9; from it: VERSION, CAPABILITIES, RESET."""

    NO_ATTENTION = 0x00
    ATTENTION = 0x01
    ATTENTION_IRQ = 0x02
    POWER_OFF = 0x03
    RESET = 0x04
    ENABLE_IRQ = 0x05
    DISABLE_IRQ = 0x06
    SEND_NMI = 0x07
    CAPABILITIES = 0x08
    GRACEFUL_SHUTDOWN = 0x09
    VERSION = 0xFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A request of the guest, or (`code` not None) the answer to it."""

    sequence: int
    netfn: int
    lun: int
    command: int
    data: bytes = b""
    code: int | None = None

    def request(self) -> Request:
        return Request(netfn=self.netfn, command=self.command, data=self.data, lun=self.lun)

    def answer(self, response: Response) -> "Message":
        return Message(
            sequence=self.sequence,
            netfn=self.netfn | 1,
            lun=self.lun,
            command=self.command,
            data=response.data,
            code=response.code,
        )

    def encode(self) -> bytes:
        code = b"" if self.code is None else bytes([self.code])
        raw = bytes([self.sequence, self.netfn << 2 | self.lun, self.command]) + code + self.data
        return _escape(raw + bytes([checksum(raw)])) + bytes([END_OF_MESSAGE])


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareOperation:
    operation: int
    argument: bytes = b""

    def encode(self) -> bytes:
        return _escape(bytes([self.operation]) + self.argument) + bytes([END_OF_OPERATION])


def _escape(raw: bytes) -> bytes:
    return b"".join(bytes([ESCAPE, octet | ESCAPED_BIT]) if octet in SPECIAL else bytes([octet]) for octet in raw)


class Decoder:
    """Takes bytes in any portions. What is too long, too short or has a wrong checksum is dropped and counted."""

    def __init__(self, *, is_answering_side: bool = True) -> None:
        self._is_answering_side = is_answering_side
        self._buffer = bytearray()
        self._is_escaped = False
        self._is_overlong = False
        self.dropped = 0

    def feed(self, data: bytes) -> list[Message | HardwareOperation]:
        out: list[Message | HardwareOperation] = []
        for octet in data:
            if octet == ESCAPE:
                self._is_escaped = True
            elif octet in (END_OF_MESSAGE, END_OF_OPERATION):
                read = self._end(octet)
                if read is None:
                    self.dropped += 1
                else:
                    out.append(read)
            elif len(self._buffer) >= LONGEST:
                self._is_overlong = True
            else:
                self._buffer.append(octet & ~ESCAPED_BIT if self._is_escaped else octet)
                self._is_escaped = False
        return out

    def _end(self, mark: int) -> Message | HardwareOperation | None:
        raw, is_bad = bytes(self._buffer), self._is_escaped or self._is_overlong
        self._buffer.clear()
        self._is_escaped = self._is_overlong = False
        if is_bad or not raw:
            return None
        if mark == END_OF_OPERATION:
            return HardwareOperation(operation=raw[0], argument=raw[1:])
        shortest = 4 if self._is_answering_side else 5
        if len(raw) < shortest or sum(raw) & 0xFF:
            return None
        body = raw[3:-1]
        return Message(
            sequence=raw[0],
            netfn=raw[1] >> 2,
            lun=raw[1] & 3,
            command=raw[2],
            data=body if self._is_answering_side else body[1:],
            code=None if self._is_answering_side else body[0],
        )
