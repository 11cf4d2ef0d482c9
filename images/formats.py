"""What an image file really is, decided by its bytes and never by its name, its label or qemu-img (Decision 42).

`detect` looks at magic numbers, `inspect` reads the header, `refusal` says why an image may not be used. All reading is
of bounded length, so a hostile file costs nothing. Sources: qcow2: docs/interop/qcow2.rst of QEMU; VMDK: VMware's
"Virtual Disk Format 5.0"; VDI: VirtualBox, VDICore.h; VHD: Microsoft's format specification; the others: file(1).
"""

import os
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import BinaryIO

from images.errors import ImageRefused, Truncated

GIB = 1024**3
TIB = 1024**4
MAX_VIRTUAL = 2 * TIB
HEAD_BYTES = 64 * 1024
TAIL_BYTES = 512
MAX_TEXT = 64 * 1024
SECTOR = 512


class Format(Enum):
    RAW = "raw"
    QCOW2 = "qcow2"
    QCOW = "qcow"
    QED = "qed"
    VMDK = "vmdk"
    VDI = "vdi"
    VHD = "vhd"
    VHDX = "vhdx"
    PARALLELS = "parallels"
    DMG = "dmg"
    ISO = "iso"
    LUKS = "luks"
    GZIP = "gzip"
    XZ = "xz"
    ZSTD = "zstd"
    BZIP2 = "bzip2"
    LZ4 = "lz4"
    ZIP = "zip"
    SEVEN_ZIP = "7z"
    TAR = "tar"
    ELF = "elf"
    EMPTY = "empty"


USABLE = frozenset({Format.RAW, Format.QCOW2})
COMPRESSED = frozenset({Format.GZIP, Format.XZ, Format.ZSTD, Format.BZIP2, Format.LZ4, Format.ZIP, Format.SEVEN_ZIP})

# (offset, bytes): every match counts, since a file that is two things at once is a trick.
MAGIC: tuple[tuple[Format, int, bytes], ...] = (
    (Format.VMDK, 0, b"KDMV"),
    (Format.VMDK, 0, b"COWD"),
    (Format.VMDK, 0, b"# Disk DescriptorFile"),
    (Format.VDI, 64, b"\x7f\x10\xda\xbe"),
    (Format.VHD, 0, b"conectix"),
    (Format.VHDX, 0, b"vhdxfile"),
    (Format.QED, 0, b"QED\0"),
    (Format.PARALLELS, 0, b"WithoutFreeSpace"),
    (Format.PARALLELS, 0, b"WithouFreSpacExt"),
    (Format.ISO, 32769, b"CD001"),
    (Format.LUKS, 0, b"LUKS\xba\xbe"),
    (Format.GZIP, 0, b"\x1f\x8b"),
    (Format.XZ, 0, b"\xfd7zXZ\0"),
    (Format.ZSTD, 0, b"\x28\xb5\x2f\xfd"),
    (Format.BZIP2, 0, b"BZh"),
    (Format.LZ4, 0, b"\x04\x22\x4d\x18"),
    (Format.ZIP, 0, b"PK\x03\x04"),
    (Format.SEVEN_ZIP, 0, b"7z\xbc\xaf\x27\x1c"),
    (Format.TAR, 257, b"ustar"),
    (Format.ELF, 0, b"\x7fELF"),
)
TAIL_MAGIC = ((Format.VHD, b"conectix"), (Format.DMG, b"koly"))
QCOW_MAGIC = b"QFI\xfb"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """virtual_size_bytes: None where the format does not say or we do not read it.

    outside: files that the image refers to (backing file, data file, extents), as written in it. problems: sentences.
    table: `gpt`, `mbr` or None, for raw only.
    """

    format: Format
    size_bytes: int
    virtual_size_bytes: int | None = None
    outside: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    table: str | None = None


def detect(source: Path | BinaryIO) -> Format:
    """Raises ImageRefused if the bytes are those of two formats at once."""
    with _opened(source) as file:
        head, tail, size = _ends(file)
    found = sorted(_signatures(head, tail, size), key=lambda item: item.value)
    if len(found) > 1:
        names = " and ".join(item.value for item in found)
        raise ImageRefused(f"the file is {names} at once")
    return found[0] if found else Format.RAW


def inspect(source: Path | BinaryIO) -> ImageFacts:
    """Raises ImageRefused as detect does, or Truncated if the header is not all there."""
    with _opened(source) as file:
        kind = detect(file)
        size = file.seek(0, os.SEEK_END)
        facts = ImageFacts(format=kind, size_bytes=size)
        reader = READERS.get(kind)
        try:
            return facts if reader is None else reader(file, facts)
        except struct.error as cause:
            raise Truncated(f"the {kind.value} header is not whole") from cause


def refusal(facts: ImageFacts, *, declared: str | None = None, max_virtual: int = MAX_VIRTUAL) -> str | None:
    """Why the image may not be used; None if it may. declared: what the uploader called it."""
    virtual, kind = facts.virtual_size_bytes or 0, facts.format
    checks = (
        (declared in (None, kind.value), f"format mismatch: called {declared}, but the file is {kind.value}"),
        (kind is not Format.EMPTY, "the file is empty"),
        (kind not in COMPRESSED, f"the file is compressed ({kind.value}); unpack it first"),
        (kind in USABLE, f"images of the format {kind.value} are not accepted; use raw or qcow2"),
        (not facts.outside, f"the image refers to another file: {', '.join(facts.outside)[:100]!r}"),
        (not facts.problems, ", ".join(facts.problems)),
        (virtual > 0 and virtual % SECTOR == 0, f"{virtual} bytes are not a whole number of {SECTOR}-byte sectors"),
        (virtual <= max_virtual, f"the disk would have {virtual} bytes; {max_virtual} are allowed"),
        (kind is not Format.RAW or facts.table, "the file is neither qcow2 nor a disk with a partition table"),
    )
    return next((sentence for is_well, sentence in checks if not is_well), None)


class _opened:  # noqa: N801  (used like a function)
    """A path or an open file as an open file; only what was opened here is closed."""

    def __init__(self, source: Path | BinaryIO) -> None:
        self._file: BinaryIO = source.open("rb") if isinstance(source, Path) else source
        self._is_ours = isinstance(source, Path)

    def __enter__(self) -> BinaryIO:
        return self._file

    def __exit__(self, *_: object) -> None:
        if self._is_ours:
            self._file.close()


def _ends(file: BinaryIO) -> tuple[bytes, bytes, int]:
    size = file.seek(0, os.SEEK_END)
    return _at(file, 0, HEAD_BYTES), _at(file, max(0, size - TAIL_BYTES), TAIL_BYTES), size


def _at(file: BinaryIO, offset: int, length: int) -> bytes:
    """Up to length bytes from an offset that a file may have invented: nothing, if it lies outside."""
    if not 0 <= offset < 2**63:
        return b""
    file.seek(offset)
    return file.read(length)


def _signatures(head: bytes, tail: bytes, size: int) -> set[Format]:
    if not size:
        return {Format.EMPTY}
    found = {kind for kind, offset, mark in MAGIC if head[offset:].startswith(mark)}
    if head.startswith(QCOW_MAGIC):
        found.add(Format.QCOW if head[4:8] == b"\0\0\0\1" else Format.QCOW2)
    if size >= TAIL_BYTES:
        found |= {kind for kind, mark in TAIL_MAGIC if tail.startswith(mark)}
    return found


QCOW2_HEADER = struct.Struct(">4sIQIIQIIQQIIQ")
QCOW2_MORE = struct.Struct(">QQQII")
DIRTY, CORRUPT, DATA_FILE, COMPRESSION, EXTENDED_L2 = 1, 2, 4, 8, 16
KNOWN_INCOMPATIBLE = DIRTY | CORRUPT | DATA_FILE | COMPRESSION | EXTENDED_L2
EXTENSION_END, EXTENSION_DATA_FILE = 0, 0x44415441


def _qcow2(file: BinaryIO, facts: ImageFacts) -> ImageFacts:
    head = _at(file, 0, HEAD_BYTES)
    (_, version, backing_at, backing_length, bits, size, crypt, l1_size, l1_at, refcounts_at, *_) = (
        QCOW2_HEADER.unpack_from(head)
    )
    incompatible, header_length = 0, QCOW2_HEADER.size
    if version >= 3:
        incompatible, _, _, _, header_length = QCOW2_MORE.unpack_from(head, QCOW2_HEADER.size)
    outside = []
    if backing_at or backing_length:
        outside.append(_at(file, backing_at, min(backing_length, 1024)).decode(errors="replace") or "backing file")
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


def _qcow2_extension(head: bytes, at: int, wanted: int) -> bytes | None:
    while at + 8 <= len(head):
        kind, length = struct.unpack_from(">II", head, at)
        if kind == EXTENSION_END:
            return None
        if kind == wanted:
            return head[at + 8 : at + 8 + min(length, 1024)]
        at += 8 + -(-length // 8) * 8
    return None


def _raw(file: BinaryIO, facts: ImageFacts) -> ImageFacts:
    head = _at(file, 0, 2 * SECTOR)
    table = None
    if head[SECTOR:].startswith(b"EFI PART"):
        table = "gpt"
    elif head[510:512] == b"\x55\xaa" and any(head[446:510]):
        table = "mbr"
    return replace(facts, virtual_size_bytes=facts.size_bytes, table=table)


EXTENT = re.compile(rb'^\s*(?:RW|RDONLY|NOACCESS)\s+\d+\s+\w+\s+"([^"]*)"', re.MULTILINE)
PARENT = re.compile(rb'^\s*parentFileNameHint\s*=\s*"([^"]*)"', re.MULTILINE)


def _vmdk(file: BinaryIO, facts: ImageFacts) -> ImageFacts:
    """Extents are files; in a monolithic image the one extent is the file itself, under whatever name it had."""
    head = _at(file, 0, HEAD_BYTES)
    if not head.startswith(b"KDMV"):
        names = [*EXTENT.findall(head), *PARENT.findall(head)]
        return replace(facts, outside=_texts(names) or ("extents",))
    _, _, _, capacity, _, text_at, text_length = struct.unpack_from("<4sIIQQQQ", head)
    text = _at(file, text_at * SECTOR, min(text_length * SECTOR, MAX_TEXT))
    names = [*EXTENT.findall(text)[1:], *PARENT.findall(text)]
    return replace(facts, virtual_size_bytes=capacity * SECTOR, outside=_texts(names))


def _vdi(file: BinaryIO, facts: ImageFacts) -> ImageFacts:
    return replace(facts, virtual_size_bytes=struct.unpack("<Q", _at(file, 0x170, 8))[0])


def _vhd(file: BinaryIO, facts: ImageFacts) -> ImageFacts:
    footer = _at(file, max(0, facts.size_bytes - TAIL_BYTES), TAIL_BYTES)
    size, kind = struct.unpack_from(">Q", footer, 48)[0], struct.unpack_from(">I", footer, 60)[0]
    return replace(facts, virtual_size_bytes=size, outside=("parent disk",) if kind == 4 else ())


def _texts(names: list[bytes]) -> tuple[str, ...]:
    return tuple(name[:200].decode(errors="replace") for name in names[:16])


READERS: dict[Format, Callable[[BinaryIO, ImageFacts], ImageFacts]] = {
    Format.QCOW2: _qcow2,
    Format.RAW: _raw,
    Format.VMDK: _vmdk,
    Format.VDI: _vdi,
    Format.VHD: _vhd,
}
