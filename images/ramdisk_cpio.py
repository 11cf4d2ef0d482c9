"""The `newc` cpio format, written so that equal input gives equal bytes: no times, no owners, inode numbers by order.

Specification: Linux Documentation/driver-api/early-userspace/buffer-format.rst. A ramdisk may be several archives one
after the other, compressed or not, each beginning at a multiple of 4 bytes; `padded` cares for that.
"""

import stat
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """path: relative, no leading slash. mode: with the type bits. device: (major, minor) for device nodes."""

    path: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def directory(path: str) -> Entry:
    return Entry(path=path, mode=stat.S_IFDIR | 0o755)


def file(path: str, data: bytes, *, executable: bool = False) -> Entry:
    return Entry(path=path, mode=stat.S_IFREG | (0o755 if executable else 0o644), data=data)


def symlink(path: str, target: str) -> Entry:
    return Entry(path=path, mode=stat.S_IFLNK | 0o777, data=target.encode())


def character_device(path: str, major: int, minor: int) -> Entry:
    return Entry(path=path, mode=stat.S_IFCHR | 0o600, device=(major, minor))


def archive(entries: Iterable[Entry]) -> bytes:
    """One archive, sorted by path; missing parent folders are added, because the kernel creates none by itself.

    A path given twice is kept once, the last one wins.
    """
    by_path = {entry.path: entry for entry in entries}
    for path in list(by_path):
        parts = path.split("/")[:-1]
        for depth in range(len(parts)):
            parent = "/".join(parts[: depth + 1])
            by_path.setdefault(parent, directory(parent))
    chunks = [_record(by_path[path], inode) for inode, path in enumerate(sorted(by_path), start=1)]
    chunks.append(_record(Entry(path="TRAILER!!!", mode=0), 0))
    return padded(b"".join(chunks))


def padded(data: bytes) -> bytes:
    """Zero bytes up to a multiple of 4, which the kernel skips between archives."""
    return data + b"\0" * (-len(data) % 4)


def _record(entry: Entry, inode: int) -> bytes:
    name = entry.path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    fields = (inode, entry.mode, 0, 0, links, 0, len(entry.data), 0, 0, *entry.device, len(name), 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    return padded(header + name) + padded(entry.data)
