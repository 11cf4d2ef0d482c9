"""The headers of disk images, read by us and by no program: how large the disk is, and what else the image refers to.

All reading is of bounded length. A header that is cut off gives struct.error. Sources: qcow2: docs/interop/qcow2.rst of
QEMU; VMDK: VMware's "Virtual Disk Format 5.0"; VDI: VirtualBox, VDICore.h; VHD: Microsoft's format specification; VHDX:
[MS-VHDX].
"""

import re
import struct
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import BinaryIO

from images.kinds import HEAD_BYTES, MAX_TEXT, SECTOR, TAIL_BYTES, Format, ImageFacts, at

QCOW2_HEADER = struct.Struct(">4sIQIIQIIQQIIQ")
QCOW2_MORE = struct.Struct(">QQQII")
DIRTY, CORRUPT, DATA_FILE, COMPRESSION, EXTENDED_L2 = 1, 2, 4, 8, 16
KNOWN_INCOMPATIBLE = DIRTY | CORRUPT | DATA_FILE | COMPRESSION | EXTENDED_L2
EXTENSION_END, EXTENSION_DATA_FILE = 0, 0x44415441


def _qcow2(file: BinaryIO, facts: ImageFacts) -> ImageFacts:
    head = at(file, 0, HEAD_BYTES)
    (_, version, backing_at, backing_length, bits, size, crypt, l1_size, l1_at, refcounts_at, *_) = (
        QCOW2_HEADER.unpack_from(head)
    )
    incompatible, header_length = 0, QCOW2_HEADER.size
    if version >= 3:
        incompatible, _, _, _, header_length = QCOW2_MORE.unpack_from(head, QCOW2_HEADER.size)
    outside = []
    if backing_at or backing_length:
        outside.append(at(file, backing_at, min(backing_length, 1024)).decode(errors="replace") or "backing file")
    data_file = _qcow2_extension(head, header_length, EXTENSION_DATA_FILE)
    if incompatible & DATA_FILE or data_file is not None:
        outside.append((data_file or b"").decode(errors="replace") or "data file")
    checks = (
        (version in (2, 3), f"qcow2 version {version} is not known"),
        (not crypt, "the image is encrypted"),
        (9 <= bits <= 21, f"clusters of 2^{bits} bytes are not allowed"),
        (not incompatible & CORRUPT, "the image is marked as corrupt"),
        (not incompatible & ~KNOWN_INCOMPATIBLE, "the image uses features that are not known"),
        (header_length >= QCOW2_HEADER.size and header_length % 8 == 0, "the header has a broken length"),
        (l1_at < facts.size_bytes and refcounts_at < facts.size_bytes, "its tables lie outside of the file"),
        # What an L1 entry covers: a cluster of 8-byte L2 entries, each one cluster.
        (not 9 <= bits <= 21 or l1_size * 2 ** (2 * bits - 3) >= size, "its tables are too small for its size"),
    )
    problems = tuple(sentence for is_well, sentence in checks if not is_well)
    return replace(facts, virtual_size_bytes=size, outside=tuple(outside), problems=problems)


def _qcow2_extension(head: bytes, position: int, wanted: int) -> bytes | None:
    while position + 8 <= len(head):
        kind, length = struct.unpack_from(">II", head, position)
        if kind == EXTENSION_END:
            return None
        if kind == wanted:
            return head[position + 8 : position + 8 + min(length, 1024)]
        position += 8 + -(-length // 8) * 8
    return None


def _raw(file: BinaryIO, facts: ImageFacts) -> ImageFacts:
    head = at(file, 0, 2 * SECTOR)
    table = None
    if head[SECTOR:].startswith(b"EFI PART"):
        table = "gpt"
    elif head[510:512] == b"\x55\xaa" and any(head[446:510]):
        table = "mbr"
    return replace(facts, virtual_size_bytes=facts.size_bytes, table=table)


# What qemu and others read is looser than the format: they honour a parent anywhere in a line, an extent without its
# last quotation mark, or over two lines. So whatever may be taken for an extent, and is not one line of the one kind
# that is known, lies outside. The patterns are possessive: 64 KiB of spaces are not looked at from each of them anew.
EXTENT = re.compile(rb"(?m)^[^\S\n]*+((?:RW|RDONLY|NOACCESS)\s[^\n]*+)")
OWN_EXTENT = re.compile(rb'(?:RW|RDONLY) [0-9]++ SPARSE "[^"/\r\n]++"\s*+\Z')
NAME = re.compile(rb'"([^"]*+)')
PARENT = re.compile(rb'parentFileNameHint[^"\n]*+"?([^"\n]*+)')
CREATE_TYPE = re.compile(rb'createType="([^"\n]{0,64}+)"')
ONE_FILE = (b"monolithicSparse", b"streamOptimized")


def _vmdk(file: BinaryIO, facts: ImageFacts) -> ImageFacts:
    """Extents are files; in a monolithic image the one extent is the file itself, under whatever name it had."""
    head = at(file, 0, HEAD_BYTES)
    if not head.startswith(b"KDMV"):
        names = [_named(extent) for extent in EXTENT.findall(head)] + PARENT.findall(head)
        return replace(facts, outside=_texts(names) or ("extents",))
    _, _, _, capacity, _, text_at, text_length = struct.unpack_from("<4sIIQQQQ", head)
    text = at(file, text_at * SECTOR, min(text_length * SECTOR, MAX_TEXT))
    extents = EXTENT.findall(text)
    is_own = [number == 0 and OWN_EXTENT.match(extent) is not None for number, extent in enumerate(extents)]
    names = [_named(extent) for own, extent in zip(is_own, extents, strict=True) if not own] + PARENT.findall(text)
    created = CREATE_TYPE.findall(text)
    is_one_file = (
        capacity > 0  # of 0, qemu takes the text for the whole image
        and text.count(b"createType") == 1
        and len(created) == 1
        and created[0] in ONE_FILE
        and text_length * SECTOR <= MAX_TEXT
    )
    problems = () if is_one_file else ("the image is not of the kind monolithicSparse or streamOptimized",)
    return replace(facts, virtual_size_bytes=capacity * SECTOR, outside=_texts(names), problems=problems)


def _named(extent: bytes) -> bytes:
    name = NAME.search(extent)
    return name[1] if name else extent


def _vdi(file: BinaryIO, facts: ImageFacts) -> ImageFacts:
    """Kinds: 1 dynamic, 2 static, 3 undo, 4 differencing."""
    kind, size = struct.unpack("<I", at(file, 0x4C, 4))[0], struct.unpack("<Q", at(file, 0x170, 8))[0]
    return replace(facts, virtual_size_bytes=size, outside=() if kind in (1, 2) else ("parent disk",))


def _vhd(file: BinaryIO, facts: ImageFacts) -> ImageFacts:
    """Kinds: 2 fixed, 3 dynamic, 4 differencing."""
    footer = at(file, max(0, facts.size_bytes - TAIL_BYTES), TAIL_BYTES)
    size, kind = struct.unpack_from(">Q", footer, 48)[0], struct.unpack_from(">I", footer, 60)[0]
    return replace(facts, virtual_size_bytes=size, outside=() if kind in (2, 3) else ("parent disk",))


VHDX_REGIONS, VHDX_ENTRIES = 192 * 1024, 64
VHDX_METADATA = uuid.UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e").bytes_le
VHDX_PARAMETERS = uuid.UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b").bytes_le
VHDX_SIZE = uuid.UUID("2fa54224-cd1b-4876-b211-5dbed83bf4b8").bytes_le
VHDX_PARENT = uuid.UUID("a8d35f2d-b30b-454d-abf7-d3d84834ab0c").bytes_le


def _vhdx(file: BinaryIO, facts: ImageFacts) -> ImageFacts:
    """Region table, in it the metadata region, in it the items. Source: [MS-VHDX] §2.2.3 and §2.6."""
    regions = at(file, VHDX_REGIONS, 16 + 32 * VHDX_ENTRIES)
    found = {guid: at for guid, at, _, _ in _entries(regions, b"regi", 8, 16, "<16sQII")}
    base = found.get(VHDX_METADATA, 0)
    items = at(file, base, 32 + 32 * VHDX_ENTRIES)
    where = {guid: at for guid, at, _, _ in _entries(items, b"metadata", 10, 32, "<16sIIQ")}
    if not {VHDX_PARAMETERS, VHDX_SIZE} <= set(where):
        return replace(facts, problems=("the VHDX metadata are broken",))
    flags = struct.unpack("<II", at(file, base + where[VHDX_PARAMETERS], 8))[1]
    size = struct.unpack("<Q", at(file, base + where[VHDX_SIZE], 8))[0]
    has_parent = flags & 2 or VHDX_PARENT in where
    return replace(facts, virtual_size_bytes=size, outside=("parent disk",) if has_parent else ())


def _entries(table: bytes, mark: bytes, count_at: int, first: int, layout: str) -> list[tuple[bytes, int, int, int]]:
    """(GUID, offset, …) of a table that begins with its mark; none if it does not."""
    if not table.startswith(mark):
        return []
    count = min(struct.unpack_from("<H", table, count_at)[0], VHDX_ENTRIES)
    return [struct.unpack_from(layout, table, first + 32 * number) for number in range(count)]


def _texts(names: list[bytes]) -> tuple[str, ...]:
    return tuple(name[:200].decode(errors="replace") for name in names[:16])


READERS: dict[Format, Callable[[BinaryIO, ImageFacts], ImageFacts]] = {
    Format.QCOW2: _qcow2,
    Format.RAW: _raw,
    Format.VMDK: _vmdk,
    Format.VDI: _vdi,
    Format.VHD: _vhd,
    Format.VHDX: _vhdx,
}
