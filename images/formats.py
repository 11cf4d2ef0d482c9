"""What an image file really is, decided by its bytes and never by its name, its label or qemu-img (Decision 42).

`detect` looks at magic numbers, `inspect` reads the header, `refusal` says why an image may not be used. All reading is
of bounded length, so a hostile file costs nothing. Source of the magic numbers: file(1), and images.headers.
"""

import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from images.errors import ImageRefused, Truncated
from images.headers import READERS
from images.kinds import HEAD_BYTES, SECTOR, TAIL_BYTES, Format, ImageFacts, at

GIB = 1024**3
TIB = 1024**4
MAX_VIRTUAL = 2 * TIB


USABLE = frozenset({Format.RAW, Format.QCOW2})
COMPRESSED = frozenset({Format.GZIP, Format.XZ, Format.ZSTD, Format.BZIP2, Format.LZ4, Format.ZIP, Format.SEVEN_ZIP})
PLAIN = COMPRESSED | {Format.RAW, Format.TAR, Format.ELF, Format.EMPTY}
"""Bytes that no program takes for a disk of another format: kernels and ramdisks are such, and nothing at all, which
the stock command line sends when it is given no file.
"""

CONTENT: Mapping[str, frozenset[Format]] = {
    "raw": PLAIN,
    "gpt": frozenset({Format.RAW}),
    "qcow2": frozenset({Format.QCOW2}),
    "vmdk": frozenset({Format.VMDK}),
    "vhd": frozenset({Format.VHD}),
    "vhdx": frozenset({Format.VHDX}),
    "vdi": frozenset({Format.VDI}),
    "ploop": frozenset({Format.PARALLELS}),
    "iso": frozenset({Format.ISO}),
    "ami": PLAIN,
    "ari": PLAIN,
    "aki": PLAIN,
}
"""What the bytes may be, by the disk format that the uploader names."""

CONTAINERS: Mapping[str, frozenset[Format] | None] = {
    "bare": None,
    "ovf": None,
    "ami": None,
    "ari": None,
    "aki": None,
    "ova": frozenset({Format.TAR}),
    "docker": frozenset({Format.TAR}),
    "compressed": COMPRESSED,
}
"""What the bytes may be, by the container format; None: as the disk format says."""

DEPLOYABLE = frozenset({"raw", "gpt", "qcow2"})

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


def keep_refusal(
    facts: ImageFacts, *, disk_format: str, container_format: str = "bare", max_virtual: int = MAX_VIRTUAL
) -> str | None:
    """Why the file may not even be kept and handed out as what the uploader calls it; None if it may."""
    kind, content = facts.format, CONTENT.get(disk_format, frozenset[Format]())
    inside = CONTAINERS.get(container_format, frozenset[Format]()) or content
    what = disk_format if inside is content else container_format
    checks = (
        (kind in inside, f"format mismatch: called {what}, but the file is {kind.value}"),
        (disk_format != "gpt" or facts.table == "gpt", "format mismatch: called gpt, but the file has no GPT"),
        (not facts.outside, f"the image refers to another file: {', '.join(facts.outside)[:100]!r}"),
        (not facts.problems, ", ".join(facts.problems)),
        ((facts.virtual_size_bytes or 0) <= max_virtual, f"the disk would have more than {max_virtual} bytes"),
    )
    return next((sentence for is_well, sentence in checks if not is_well), None)


def refusal(facts: ImageFacts, *, declared: str | None = None, max_virtual: int = MAX_VIRTUAL) -> str | None:
    """Why the image may not be deployed; None if it may. declared: what the uploader called it."""
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
    return at(file, 0, HEAD_BYTES), at(file, max(0, size - TAIL_BYTES), TAIL_BYTES), size


def _signatures(head: bytes, tail: bytes, size: int) -> set[Format]:
    if not size:
        return {Format.EMPTY}
    found = {kind for kind, offset, mark in MAGIC if head[offset:].startswith(mark)}
    if head.startswith(QCOW_MAGIC):
        found.add(Format.QCOW if head[4:8] == b"\0\0\0\1" else Format.QCOW2)
    if size >= TAIL_BYTES:
        found |= {kind for kind, mark in TAIL_MAGIC if tail.startswith(mark)}
    return found


__all__ = ["Format", "ImageFacts", "detect", "inspect", "keep_refusal", "refusal"]
