"""Which shared libraries an ELF program names: DT_NEEDED and the interpreter, 64-bit little-endian only.

Reading the file instead of asking `ldd` needs no chroot and runs nothing of the tree that is packed.
Specification: System V ABI, chapter 5 (dynamic linking).
"""

import struct

_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_DT_NULL, _DT_NEEDED, _DT_STRTAB = 0, 1, 5


class NotElf(Exception):
    """The file is no 64-bit little-endian ELF file, or it is cut off."""


def needed(data: bytes) -> list[str]:
    """Sonames in the order of the file, and the interpreter's path first if there is one. Raises NotElf."""
    if data[:6] != b"\x7fELF\x02\x01":
        raise NotElf
    try:
        return _needed(data)
    except (struct.error, ValueError, IndexError) as cause:
        raise NotElf from cause


def _needed(data: bytes) -> list[str]:
    (offset,) = struct.unpack_from("<Q", data, 32)
    entry_size, count = struct.unpack_from("<HH", data, 54)
    headers = [struct.unpack_from("<IIQQQQQQ", data, offset + index * entry_size) for index in range(count)]
    names: list[str] = []
    dynamic: list[tuple[int, int]] = []
    for kind, _flags, start, _virtual, _physical, size, _memory, _align in headers:
        if kind == _PT_INTERP:
            names.append(data[start : start + size].rstrip(b"\0").decode())
        if kind == _PT_DYNAMIC:
            for position in range(start, start + size, 16):
                tag, value = struct.unpack_from("<QQ", data, position)
                if tag == _DT_NULL:
                    break
                dynamic.append((tag, value))
    tables = [value for tag, value in dynamic if tag == _DT_STRTAB]
    if not tables:
        return names
    strings = _file_offset(headers, tables[0])
    for tag, value in dynamic:
        if tag == _DT_NEEDED:
            begin = strings + value
            names.append(data[begin : data.index(b"\0", begin)].decode())
    return names


def _file_offset(headers: list[tuple[int, ...]], address: int) -> int:
    for kind, _flags, start, virtual, _physical, size, _memory, _align in headers:
        if kind == _PT_LOAD and virtual <= address < virtual + size:
            return start + address - virtual
    raise ValueError(address)
