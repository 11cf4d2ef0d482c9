"""Partition tables as bytes: fit an image's table to the real disk and find room for the config drive. Pure.

The first MiB of a disk (the head) goes in and comes out changed, together with what belongs to the end of the disk.
GPT: UEFI specification 2.10, section 5.3. MBR: only the four primary entries, as images have them.
"""

import struct
import zlib
from typing import NamedTuple

from agent.errors import Refused

SECTOR = 512
MIB = 1024 * 1024
HEADER = struct.Struct("<8sIIIIQQQQ16sQIII")
ENTRY = struct.Struct("<16s16sQQQ72s")
SIGNATURE = b"EFI PART"
LINUX_DATA = bytes.fromhex("af3dc60f838472478e793d69d8477de4")  # 0FC63DAF-8483-4772-8E79-3D69D8477DE4 as stored
CONFIG_NAME = "config-2"


class Partition(NamedTuple):
    """number: from 1, as in /dev/vda1. start and length in bytes. name: empty in an MBR."""

    number: int
    start: int
    length: int
    name: str


class Fitted(NamedTuple):
    """head and tail are to be written at 0 and at tail_offset. drive: where the config drive goes, if one was asked."""

    head: bytes
    tail: bytes
    tail_offset: int
    drive: Partition | None


class Gpt(NamedTuple):
    revision: int
    header_size: int
    backup_lba: int
    first_usable: int
    last_usable: int
    disk_guid: bytes
    entries_lba: int
    entry_size: int
    entries: tuple[bytes, ...]


def read(head: bytes) -> list[Partition]:
    """Partitions in the table of a head; none if there is no table. Raises Refused for a broken GPT."""
    gpt = parse_gpt(head)
    if gpt is not None:
        return [_named(number, entry) for number, entry in enumerate(gpt.entries, 1) if any(entry[:16])]
    return [
        Partition(number, start * SECTOR, count * SECTOR, "")
        for number, kind, start, count in _mbr_entries(head)
        if kind and count
    ]


def fit(head: bytes, disk_size: int, drive_length: int, guid: bytes) -> Fitted:
    """The table for a disk of this size, with a partition of drive_length bytes (0: none) at its end.

    guid: 16 random octets, the new partition's identity. Raises Refused if there is no room, no free entry or no table.
    """
    drive_size = -(-drive_length // MIB) * MIB
    gpt = parse_gpt(head)
    if gpt is not None:
        return _fit_gpt(head, gpt, disk_size, drive_size, guid)
    if not drive_length:
        return Fitted(head, b"", disk_size, None)
    return _fit_mbr(head, disk_size, drive_size)


def parse_gpt(head: bytes) -> Gpt | None:
    """None if there is no signature. Raises Refused if there is one and the rest is not as it must be."""
    raw = head[SECTOR : 2 * SECTOR]
    if raw[:8] != SIGNATURE:
        return None
    (_, revision, size, crc, _, mine, backup, first, last, guid, entries_lba, count, entry_size, entries_crc) = (
        HEADER.unpack_from(raw)
    )
    if not HEADER.size <= size <= SECTOR or mine != 1:
        raise Refused("the image has a broken GPT header")
    if zlib.crc32(raw[:16] + bytes(4) + raw[20:size]) != crc:
        raise Refused("the image has a GPT header with a wrong checksum")
    if entry_size not in (128, 256, 512) or not 0 < count <= 1024:
        raise Refused("the image has a GPT of an unusual shape")
    start, length = entries_lba * SECTOR, count * entry_size
    if entries_lba < 2 or start + length > len(head) or zlib.crc32(head[start : start + length]) != entries_crc:
        raise Refused("the image has GPT entries that are broken or far from their header")
    entries = tuple(head[at : at + entry_size] for at in range(start, start + length, entry_size))
    return Gpt(revision, size, backup, first, last, guid, entries_lba, entry_size, entries)


def _named(number: int, entry: bytes) -> Partition:
    _, _, first, last, _, name = ENTRY.unpack_from(entry)
    text = name.decode("utf-16-le", errors="replace").partition("\0")[0]
    return Partition(number, first * SECTOR, max(0, last + 1 - first) * SECTOR, text)


def _fit_gpt(head: bytes, gpt: Gpt, disk_size: int, drive_size: int, guid: bytes) -> Fitted:
    sectors = disk_size // SECTOR
    entry_sectors = -(-len(gpt.entries) * gpt.entry_size // SECTOR)
    last_usable = sectors - 2 - entry_sectors
    used = [_named(number, entry) for number, entry in enumerate(gpt.entries, 1) if any(entry[:16])]
    end = max((part.start + part.length for part in used), default=gpt.first_usable * SECTOR)
    drive, entries = None, list(gpt.entries)
    if drive_size:
        start = ((last_usable + 1) * SECTOR - drive_size) // MIB * MIB
        free = [number for number, entry in enumerate(entries, 1) if not any(entry[:16])]
        if start < end or not free:
            raise Refused("there is no room on the disk for the config drive")
        # The first number after those in use, so that the image's own keep theirs.
        number = next((item for item in free if item > max((part.number for part in used), default=0)), free[0])
        drive = Partition(number, start, drive_size, CONFIG_NAME)
        entries[number - 1] = _entry(drive, guid).ljust(gpt.entry_size, b"\0")
    elif (last_usable + 1) * SECTOR < end:
        raise Refused("the image is bigger than the disk")
    table = b"".join(entries).ljust(entry_sectors * SECTOR, b"\0")
    fitted = gpt._replace(backup_lba=sectors - 1, last_usable=last_usable, entries=tuple(entries))
    backup_entries = sectors - 1 - entry_sectors
    primary = _header(fitted, mine=1, other=sectors - 1, entries_lba=gpt.entries_lba)
    backup = _header(fitted, mine=sectors - 1, other=1, entries_lba=backup_entries)
    at = gpt.entries_lba * SECTOR
    changed = bytearray(head)
    changed[:SECTOR] = _protective(head[:SECTOR], sectors)
    changed[SECTOR : 2 * SECTOR] = primary
    changed[at : at + len(table)] = table
    return Fitted(bytes(changed), table + backup, backup_entries * SECTOR, drive)


def _entry(drive: Partition, guid: bytes) -> bytes:
    first, last = drive.start // SECTOR, (drive.start + drive.length) // SECTOR - 1
    return ENTRY.pack(LINUX_DATA, guid, first, last, 0, drive.name.encode("utf-16-le"))


def _header(gpt: Gpt, *, mine: int, other: int, entries_lba: int) -> bytes:
    crc = zlib.crc32(b"".join(gpt.entries))
    fields = (mine, other, gpt.first_usable, gpt.last_usable, gpt.disk_guid, entries_lba)
    shape = (len(gpt.entries), gpt.entry_size, crc)
    blank = HEADER.pack(SIGNATURE, gpt.revision, gpt.header_size, 0, 0, *fields, *shape).ljust(gpt.header_size, b"\0")
    checked = HEADER.pack(SIGNATURE, gpt.revision, gpt.header_size, zlib.crc32(blank), 0, *fields, *shape)
    return checked.ljust(SECTOR, b"\0")


def _protective(mbr: bytes, sectors: int) -> bytes:
    """The protective MBR's entry covers the disk; other entries (hybrid images) stay as they are."""
    changed = bytearray(mbr)
    for at in range(446, 510, 16):
        if changed[at + 4] == 0xEE:
            start = struct.unpack_from("<I", changed, at + 8)[0]
            struct.pack_into("<I", changed, at + 12, min(sectors - start, 0xFFFFFFFF))
    return bytes(changed)


def _mbr_entries(head: bytes) -> list[tuple[int, int, int, int]]:
    """(number, type, first sector, sectors) of the primary entries; none without the signature."""
    if head[510:512] != b"\x55\xaa":
        return []
    found = []
    for number, at in enumerate(range(446, 510, 16), 1):
        start, count = struct.unpack_from("<II", head, at + 8)
        found.append((number, head[at + 4], start, count))
    return found


def _fit_mbr(head: bytes, disk_size: int, drive_size: int) -> Fitted:
    entries = _mbr_entries(head)
    if not any(kind and count for _, kind, _, count in entries):
        raise Refused("the image has no partition table, so there is no place for the config drive")
    # Addresses end at 2 TiB; beyond it is nothing that this table could name.
    start = (min(disk_size, 2**32 * SECTOR) - drive_size) // MIB * MIB
    end = max((first + count) * SECTOR for _, _, first, count in entries)
    free = [number for number, kind, _, _ in entries if not kind]
    if not free or start < end:
        raise Refused("there is no room in the image's partition table for the config drive")
    changed = bytearray(head)
    at = 446 + 16 * (free[0] - 1)
    chs = b"\xfe\xff\xff"  # "use the sector numbers"
    changed[at : at + 16] = struct.pack("<B3sB3sII", 0, chs, 0x83, chs, start // SECTOR, drive_size // SECTOR)
    return Fitted(bytes(changed), b"", disk_size, Partition(free[0], start, drive_size, ""))
