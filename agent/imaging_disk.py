"""The disk that an image goes to: which one, and how bytes get onto it cheaply.

Pieces are written with O_DIRECT from a page-aligned buffer, which in an emulated processor is ten times as fast as
through the page cache. On a plain file (tests) the same calls are made without O_DIRECT and without device requests.
"""

import errno
import fcntl
import logging
import os
import stat
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from agent.errors import Refused
from agent.wire import Disk

log = logging.getLogger(__name__)

MIB = 1024 * 1024
ZERO_STEP = 256 * MIB
ALIGNMENT = 4096
_BLKRRPART = 0x125F
_BLKFLSBUF = 0x1261
_BLKSSZGET = 0x1268
_BLKDISCARD = 0x1277
_BLKZEROOUT = 0x127F
_ZEROES = bytes(MIB)
HINTS = ("name", "serial", "wwn", "model", "by_path", "bus", "is_rotational", "size_bytes", "min_size_bytes")
_FIXED_BUSES = ("virtio", "nvme", "sata", "sas", "scsi")


def choose(found: list[Disk], hints: Mapping[str, Any], *, need_bytes: int) -> Disk:
    """The root disk: the one that the hints name, else the smallest that is big enough.

    hints: any of HINTS, all of which must hold; USB disks only when a hint names one. Raises Refused, saying which
    disks there are.
    """
    unknown = sorted(set(hints) - set(HINTS))
    if unknown:
        raise Refused(f"unknown hint for the root disk: {unknown[0]}")
    matching = [disk for disk in found if _matches(disk, hints)]
    if not matching:
        raise Refused(f"no disk matches the hints for the root disk; there are: {_names(found)}")
    big = [disk for disk in matching if disk["size_bytes"] >= need_bytes]
    if not big:
        raise Refused(f"the image needs {need_bytes} bytes; too small: {_names(matching)}")
    return min(big, key=lambda disk: (disk["size_bytes"], disk["name"]))


def _matches(disk: Disk, hints: Mapping[str, Any]) -> bool:
    if not ({"name", "serial", "wwn", "by_path", "bus"} & set(hints)) and disk["bus"] not in _FIXED_BUSES:
        return False
    known: Mapping[str, Any] = disk
    for hint, wanted in hints.items():
        if hint == "min_size_bytes":
            if disk["size_bytes"] < int(wanted):
                return False
        elif hint == "name":
            if Path(disk["name"]).name != Path(str(wanted)).name:
                return False
        elif known.get(hint) != wanted:
            return False
    return True


def _names(found: list[Disk]) -> str:
    return ", ".join(f"{disk['name']} ({disk['size_bytes']} bytes)" for disk in found[:16]) or "none"


def partition_name(disk: str, number: int) -> str:
    """/dev/vda4, /dev/nvme0n1p4."""
    return f"{disk}p{number}" if disk[-1].isdigit() else f"{disk}{number}"


class Target:
    """A disk opened for writing. O_EXCL fails while a file system on it is mounted. Raises Refused if it cannot be."""

    def __init__(self, path: Path, size: int) -> None:
        self.size = size
        try:
            self._file = os.open(path, os.O_RDWR | os.O_EXCL | os.O_CLOEXEC)
        except OSError as failure:
            raise Refused(f"{path.name} cannot be opened: {os.strerror(failure.errno or 0)}") from failure
        self._is_device = stat.S_ISBLK(os.fstat(self._file).st_mode)
        self._direct = self._file
        if self._is_device:
            self._direct = os.open(path, os.O_WRONLY | os.O_DIRECT | os.O_CLOEXEC)
            sector = struct.unpack("I", fcntl.ioctl(self._file, _BLKSSZGET, bytes(4)))[0]
            if sector != 512:
                self.close()
                raise Refused(f"{path.name} has sectors of {sector} bytes; images are partitioned for 512")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for file in {self._file, self._direct}:
            os.close(file)

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """All of it. Bytes that come in whole pages, page-aligned in memory, go past the page cache."""
        is_aligned = isinstance(data, memoryview) and not (len(data) % ALIGNMENT or offset % ALIGNMENT)
        file = self._direct if is_aligned else self._file
        view = memoryview(data)
        while view:
            written = os.pwrite(file, view, offset)
            view, offset = view[written:], offset + written
            if written % ALIGNMENT:
                file = self._file

    def discard(self) -> None:
        """Tell the disk that nothing on it is wanted. What it then reads as is the disk's affair."""
        if self._is_device:
            try:
                fcntl.ioctl(self._file, _BLKDISCARD, struct.pack("QQ", 0, self.size))
            except OSError as failure:
                log.info("disk was not discarded: %s", failure)

    def zero(self, offset: int, length: int, between: Callable[[], None] = lambda: None) -> None:
        """Make a range read as zeros, by the disk's own command where it has one. between: called every 256 MiB."""
        while length:
            step = min(length, ZERO_STEP)
            between()
            self._zero(offset, step)
            offset, length = offset + step, length - step

    def _zero(self, offset: int, length: int) -> None:
        if self._is_device:
            try:
                fcntl.ioctl(self._file, _BLKZEROOUT, struct.pack("QQ", offset, length))
            except OSError as failure:
                if failure.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOTTY):
                    raise
            else:
                return
        for at in range(offset, offset + length, MIB):
            self.write(at, _ZEROES[: min(MIB, offset + length - at)])

    def flush(self) -> None:
        os.fsync(self._file)
        if self._is_device:
            fcntl.ioctl(self._file, _BLKFLSBUF)

    def read_partitions(self) -> None:
        """Have the kernel read the partition table. Failing is harmless: the next boot reads it."""
        if self._is_device:
            try:
                fcntl.ioctl(self._file, _BLKRRPART)
            except OSError as failure:
                log.info("partition table not read again: %s", failure)
