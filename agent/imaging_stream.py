"""Reading an image stream: its description, its index, its pieces. The other side and the format: images.stream.

Unpacking is done by libzstd, called directly, into one page-aligned buffer that goes to the disk as it is: in a
processor emulated at a twentieth of its speed that is six times as fast as a pipe through `zstd -dc` and dd.
"""

import ctypes
import hashlib
import mmap
import struct
from typing import Any, NamedTuple

from agent.errors import BadAnswer, Refused

VERSION = 1
RECORD = struct.Struct("<QII32s")
BLOCK = 64 * 1024
HEAD = 1024 * 1024
MAX_PIECE = 4 * 1024 * 1024
MAX_PIECES = 1_000_000
SECTOR = 512


class Description(NamedTuple):
    data_name: str
    index_name: str
    index_sha256: str
    pieces: int
    data_bytes: int
    used_bytes: int
    virtual_size_bytes: int


class Piece(NamedTuple):
    offset: int
    length: int
    packed_length: int
    sha256: bytes


def parse_description(value: Any) -> Description:
    """Raises Refused, naming what is wrong."""
    if not isinstance(value, dict) or value.get("version") != VERSION or value.get("codec") != "zstd":
        raise Refused("the image stream is of a version that this agent does not know")
    texts = [value.get(name) for name in ("data", "index", "index_sha256")]
    numbers = [value.get(name) for name in ("pieces", "data_bytes", "used_bytes", "virtual_size_bytes")]
    if not all(isinstance(item, str) and item and "/" not in item for item in texts):
        raise Refused("the image stream lacks the name of a file or a checksum")
    if not all(type(item) is int and 0 <= item < 2**63 for item in numbers):
        raise Refused("the image stream lacks a size")
    description = Description(*texts, *numbers)  # type: ignore[arg-type]  # each was just looked at
    if description.pieces > MAX_PIECES or description.virtual_size_bytes % SECTOR:
        raise Refused("the image stream is not that of a disk")
    return description


def parse_index(data: bytes, description: Description) -> list[Piece]:
    """Pieces in order of their offsets. Raises BadAnswer unless it is the index that was described."""
    if hashlib.sha256(data).hexdigest() != description.index_sha256:
        raise BadAnswer("the index of the image does not have the checksum that the appliance named")
    pieces, end = [], 0
    for piece in map(Piece._make, RECORD.iter_unpack(data[: len(data) // RECORD.size * RECORD.size])):
        is_sound = 0 < piece.length <= MAX_PIECE and 0 < piece.packed_length <= piece.length
        is_placed = piece.offset >= end and piece.offset % BLOCK == 0
        if not is_sound or not is_placed or piece.offset < HEAD < piece.offset + piece.length:
            raise BadAnswer("the index of the image has a piece that cannot be")
        pieces.append(piece)
        end = piece.offset + piece.length
    whole = (len(pieces), sum(piece.packed_length for piece in pieces), sum(piece.length for piece in pieces))
    if whole != description[3:6] or end > description.virtual_size_bytes or len(data) % RECORD.size:
        raise BadAnswer("the index of the image is not the one that was described")
    return pieces


class Unpacker:
    """Holds the buffer; what `unpack` gives is good until the next call."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL("libzstd.so.1")
        size, pointer = ctypes.c_size_t, ctypes.c_void_p
        self._decompress = self._library.ZSTD_decompress
        self._decompress.restype, self._decompress.argtypes = size, [pointer, size, ctypes.c_char_p, size]
        self._buffer = mmap.mmap(-1, MAX_PIECE)  # begins at a page, as O_DIRECT wants
        self._address = ctypes.addressof(ctypes.c_char.from_buffer(self._buffer))

    def unpack(self, piece: Piece, packed: bytes) -> memoryview:
        """Raises BadAnswer if the packed bytes, whose checksum was right, do not unfold to the length."""
        if piece.packed_length == piece.length:
            self._buffer[: piece.length] = packed
        elif self._decompress(self._address, piece.length, packed, len(packed)) != piece.length:
            raise BadAnswer(f"the piece of the image at {piece.offset} cannot be unpacked")
        return memoryview(self._buffer)[: piece.length]


def holes(pieces: list[Piece], size: int) -> list[tuple[int, int]]:
    """(offset, length) of what lies between the pieces, up to size."""
    found, end = [], 0
    for piece in pieces:
        if piece.offset > end:
            found.append((end, piece.offset - end))
        end = piece.offset + piece.length
    if size > end:
        found.append((end, size - end))
    return found
