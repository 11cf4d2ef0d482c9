"""The form in which an image is kept and sent to machines: its data without its holes, in pieces that are each checked.

An image is two files. `image.data` holds the pieces one after another: a piece is a run of the disk without long
holes, packed with Zstandard, or stored when that does not help. `image.index` says for each piece where it belongs and
what the SHA-256 of its packed bytes is:

    offset u64 | length u32 | packed_length u32 | sha256 of the packed bytes, 32 octets   (little-endian, 48 octets)

packed_length == length means stored. Pieces are in order of offset, do not overlap, begin at multiples of 64 KiB, and
none crosses 1 MiB: what lies below is the head (boot code, partition table), which the agent writes last, so that a
machine never boots a half-written disk. Stream is the small description that travels over the authenticated channel; it
holds the SHA-256 of the index, the index those of the pieces; so nothing unchecked ever reaches a disk (Decision 40).
The agent's side of this codec is agent.imaging_stream.
"""

import hashlib
import os
import struct
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from images import zstd
from images.errors import ImageRefused, no_space
from images.space import refuse_scarce

VERSION = 1
RECORD = struct.Struct("<QII32s")
BLOCK = 64 * 1024
HEAD = 1024 * 1024
MAX_PIECE = 4 * 1024 * 1024
LEVEL = 9
SECTOR = 512
DATA, INDEX = "image.data", "image.index"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """image_sha256: of the file as imported. used_bytes: what is written to a disk. data_bytes: what is sent."""

    version: int
    codec: str
    data: str
    index: str
    index_sha256: str
    pieces: int
    data_bytes: int
    used_bytes: int
    virtual_size_bytes: int
    image_sha256: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Stream":
        """Raises ImageRefused if a field is missing or is of the wrong type, or the version is not ours."""
        try:
            stream = cls(**value)
        except TypeError as cause:
            raise ImageRefused("the description of the stream lacks a field or has a foreign one") from cause
        kinds = {name: kind for name, kind in cls.__annotations__.items() if type(value[name]) is not kind}
        if kinds or stream.version != VERSION or stream.codec != "zstd":
            raise ImageRefused("the description of the stream is not of this version")
        return stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    offset: int
    length: int
    packed_length: int
    sha256: bytes

    def to_bytes(self) -> bytes:
        return RECORD.pack(self.offset, self.length, self.packed_length, self.sha256)


def parse_index(data: bytes) -> list[Piece]:
    """Raises ImageRefused unless the records keep the promises of the module's docstring."""
    if len(data) % RECORD.size:
        raise ImageRefused("the index has a broken length")
    pieces, end = [], 0
    for offset, length, packed_length, sha256 in RECORD.iter_unpack(data):
        if not (0 < length <= MAX_PIECE and 0 < packed_length <= length and offset >= end and offset % BLOCK == 0):
            raise ImageRefused("the index has a piece that cannot be")
        if offset < HEAD < offset + length:
            raise ImageRefused("the index has a piece across the end of the head")
        pieces.append(Piece(offset=offset, length=length, packed_length=packed_length, sha256=sha256))
        end = offset + length
    return pieces


def pack(raw_path: Path, out_dir: Path, *, image_sha256: str, level: int = LEVEL) -> Stream:
    """Write `image.data` and `image.index` of a raw disk into out_dir, which must exist.

    image_sha256: of the file that was imported, which need not be this raw one. Raises ImageRefused if the size is not
    one of a disk, NoSpace.
    """
    size = raw_path.stat().st_size
    if size == 0 or size % SECTOR:
        raise ImageRefused(f"a disk of {size} bytes is not a whole number of {SECTOR}-byte sectors")
    index, data_bytes, used_bytes = bytearray(), 0, 0
    with no_space(), raw_path.open("rb") as raw, (out_dir / DATA).open("wb") as out:
        for piece, packed in _packed(raw, size, level):
            refuse_scarce(out.fileno())
            out.write(packed)
            index += piece.to_bytes()
            data_bytes += piece.packed_length
            used_bytes += piece.length
        _flush(out)
        with (out_dir / INDEX).open("wb") as file:
            file.write(index)
            _flush(file)
    return Stream(
        version=VERSION,
        codec="zstd",
        data=DATA,
        index=INDEX,
        index_sha256=hashlib.sha256(index).hexdigest(),
        pieces=len(index) // RECORD.size,
        data_bytes=data_bytes,
        used_bytes=used_bytes,
        virtual_size_bytes=size,
        image_sha256=image_sha256,
    )


def _packed(raw: BinaryIO, size: int, level: int) -> Iterator[tuple[Piece, bytes]]:
    """Pieces in order, packed by all processors, with no more than a few in memory."""
    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[tuple[Piece, bytes]]] = deque()
        for offset, data in _runs(raw, size):
            waiting.append(pool.submit(_pack_one, offset, data, level))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _pack_one(offset: int, data: bytes, level: int) -> tuple[Piece, bytes]:
    packed = zstd.compress(data, level)
    if len(packed) >= len(data):
        packed = data
    digest = hashlib.sha256(packed).digest()
    return Piece(offset=offset, length=len(data), packed_length=len(packed), sha256=digest), packed


def _runs(raw: BinaryIO, size: int) -> Iterator[tuple[int, bytes]]:
    """(offset, data) of each run of blocks that are not zero, cut at HEAD and at MAX_PIECE."""
    run, start = bytearray(), 0
    for offset, block in _blocks(raw, size):
        is_next = offset == start + len(run) and offset != HEAD and len(run) < MAX_PIECE
        if run and not is_next:
            yield start, bytes(run)
            run.clear()
        if not run:
            start = offset
        run += block
    if run:
        yield start, bytes(run)


def _blocks(raw: BinaryIO, size: int) -> Iterator[tuple[int, bytes]]:
    zeros, position, handle = bytes(BLOCK), 0, raw.fileno()
    while position < size:
        try:
            position = os.lseek(handle, position, os.SEEK_DATA) // BLOCK * BLOCK
        except OSError:  # ENXIO: nothing but a hole is left
            return
        window = os.pread(handle, MAX_PIECE, position)
        for at in range(0, len(window), BLOCK):
            block = window[at : at + BLOCK]
            if block != zeros[: len(block)]:
                yield position + at, block
        position += len(window)


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
