"""SMBIOS structures: system (type 1) and memory devices (type 17). Bytes in, values out.

The table is what /sys/firmware/dmi/tables/DMI holds. Vendors write it by hand: lengths lie, strings are missing, so
everything out of place is left out and nothing raises. Specification: DMTF DSP0134 3.6, sections 6.1, 7.2 and 7.18.
"""

import struct
import uuid
from typing import NamedTuple

from agent.inventory.clean import named
from agent.wire import Dimm

_END = 127
_MAX_STRUCTURES = 4096
_MAX_DIMMS = 256
_KINDS = {0x12: "DDR", 0x13: "DDR2", 0x18: "DDR3", 0x1A: "DDR4", 0x22: "DDR5", 0x1E: "LPDDR4", 0x23: "LPDDR5", 7: "RAM"}


class Structure(NamedTuple):
    """data: the formatted area, with its four octets of header. strings: numbered from 1 in the specification."""

    kind: int
    data: bytes
    strings: list[bytes]

    def byte(self, offset: int) -> int | None:
        return self.data[offset] if offset < len(self.data) else None

    def word(self, offset: int) -> int | None:
        return None if offset + 2 > len(self.data) else int.from_bytes(self.data[offset : offset + 2], "little")

    def long(self, offset: int) -> int | None:
        return None if offset + 4 > len(self.data) else int.from_bytes(self.data[offset : offset + 4], "little")

    def string(self, offset: int) -> str | None:
        index = self.byte(offset)
        if not index or index > len(self.strings):
            return None
        return named(self.strings[index - 1])


class System(NamedTuple):
    manufacturer: str | None
    product: str | None
    serial: str | None
    uuid: str | None


def structures(table: bytes) -> list[Structure]:
    """All structures up to the end marker or the first one that is cut off."""
    found: list[Structure] = []
    position = 0
    while position + 4 <= len(table) and len(found) < _MAX_STRUCTURES:
        kind, length = table[position], table[position + 1]
        if length < 4 or position + length > len(table):
            break
        data = table[position : position + length]
        end = table.find(b"\0\0", position + length)
        if end < 0:
            break
        area = table[position + length : end]
        found.append(Structure(kind, data, area.split(b"\0") if area else []))
        if kind == _END:
            break
        position = end + 2
    return found


def version(entry_point: bytes) -> tuple[int, int]:
    """Version of the specification from smbios_entry_point; (0, 0) if it is neither form."""
    if entry_point[:5] == b"_SM3_" and len(entry_point) >= 9:
        return entry_point[7], entry_point[8]
    if entry_point[:4] == b"_SM_" and len(entry_point) >= 8:
        return entry_point[6], entry_point[7]
    return 0, 0


def system(found: list[Structure], spec: tuple[int, int]) -> System:
    """Type 1, or nothing known. Before 2.6 the UUID was written in network order, since then half of it is swapped."""
    for item in found:
        if item.kind == 1:
            raw = item.data[8:24]
            is_usable = len(raw) == 16 and raw not in (b"\0" * 16, b"\xff" * 16)
            number = None
            if is_usable:
                number = str(uuid.UUID(bytes_le=raw) if spec >= (2, 6) else uuid.UUID(bytes=raw))
            return System(item.string(4), item.string(5), item.string(7), number)
    return System(None, None, None, None)


def dimms(found: list[Structure]) -> list[Dimm]:
    """Fitted memory devices only."""
    fitted = [_dimm(item) for item in found if item.kind == 17]
    return [dimm for dimm in fitted if dimm is not None][:_MAX_DIMMS]


def _dimm(item: Structure) -> Dimm | None:
    size_mib = _size_mib(item)
    if not size_mib:
        return None
    speed = item.word(0x15) or item.word(0x20)
    if speed == 0xFFFF:
        speed = item.long(0x54)
    return {
        "slot": item.string(0x10) or item.string(0x11) or "unknown",
        "size_mib": size_mib,
        "kind": _KINDS.get(item.byte(0x12) or 0, "unknown"),
        "speed_mts": speed if speed and speed < 100_000 else None,
        "serial": item.string(0x18),
    }


def _size_mib(item: Structure) -> int:
    """0: empty or unknown. Section 7.18.5: bit 15 means kibibytes, 0x7FFF means the extended field."""
    size = item.word(0x0C)
    if size is None or size in (0, 0xFFFF):
        return 0
    if size == 0x7FFF:
        return (item.long(0x1C) or 0) & 0x7FFFFFFF
    return (size & 0x7FFF) // 1024 if size & 0x8000 else size


def pack(kind: int, handle: int, body: bytes, strings: list[bytes]) -> bytes:
    """The other direction, for the tests and the lab: one structure as bytes."""
    head = struct.pack("<BBH", kind, 4 + len(body), handle)
    return head + body + (b"".join(text + b"\0" for text in strings) or b"\0") + b"\0"
