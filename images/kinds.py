"""The words for what an image file can be, and what is known of one after a look at its header. Nothing is read here
but single pieces of a file.
"""

from dataclasses import dataclass
from enum import Enum
from typing import BinaryIO

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


def at(file: BinaryIO, offset: int, length: int) -> bytes:
    """Up to length bytes from an offset that a file may have invented: nothing, if it lies outside."""
    if not 0 <= offset < 2**63:
        return b""
    file.seek(offset)
    return file.read(length)
