"""Zstandard by way of the system's libzstd, which every Debian has since dpkg needs it; one frame at a time."""

import ctypes
import functools

from images.tools import ToolMissing

LIBRARY = "libzstd.so.1"


class ZstdFailed(Exception):
    """The Zstandard library refused to work."""


def compress(data: bytes, level: int) -> bytes:
    """One complete frame. Other threads run meanwhile."""
    library = _library()
    room = ctypes.create_string_buffer(library.ZSTD_compressBound(len(data)))
    size = library.ZSTD_compress(room, len(room), data, len(data), level)
    if library.ZSTD_isError(size):
        raise ZstdFailed(library.ZSTD_getErrorName(size).decode())
    return ctypes.string_at(room, size)


@functools.cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError as cause:
        raise ToolMissing(LIBRARY) from cause
    size, pointer = ctypes.c_size_t, ctypes.c_char_p
    library.ZSTD_compressBound.restype, library.ZSTD_compressBound.argtypes = size, [size]
    library.ZSTD_compress.restype = size
    library.ZSTD_compress.argtypes = [pointer, size, pointer, size, ctypes.c_int]
    library.ZSTD_isError.restype, library.ZSTD_isError.argtypes = ctypes.c_uint, [size]
    library.ZSTD_getErrorName.restype, library.ZSTD_getErrorName.argtypes = pointer, [size]
    return library
