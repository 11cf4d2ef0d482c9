"""Erase disks: `metadata` (what a boot loader or another system would recognise) or `shred` (all of it), and verify.

What is erased is decided by `choose` (pure); the rest writes. Device requests are ioctls on the block device, so no
program is needed but hdparm for ATA secure erase. Nothing here asks twice: the appliance decides, `skip` always wins.
"""

import fcntl
import logging
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

from agent import secure_erase
from agent.errors import Cancelled, Refused
from agent.host import Host
from agent.inventory import disks, sysfs
from agent.wire import Disk, Progress

log = logging.getLogger(__name__)

MIB = 1024 * 1024
Method = Literal["metadata", "shred"]

_BLKDISCARD = 0x1277
_BLKFLSBUF = 0x1261
_BLKRRPART = 0x125F
_ZEROES = bytes(4 * MIB)


class Choice(NamedTuple):
    """skip: why a disk is not erased, None to erase it."""

    disk: Disk
    skip: str | None


def choose(found: list[Disk], *, wanted: frozenset[str] | None, skip: frozenset[str]) -> list[Choice]:
    """wanted: serial numbers, None for all disks. Raises Refused if one of them is not in this machine."""
    known = {disk["serial"] for disk in found}
    absent = sorted((wanted or frozenset()) - known)
    if absent:
        raise Refused(f"no disk with serial number {', '.join(absent)[:200]}")
    return [Choice(disk, _why_not(disk, wanted, skip)) for disk in found]


def _why_not(disk: Disk, wanted: frozenset[str] | None, skip: frozenset[str]) -> str | None:
    if disk["serial"] in skip or disk["name"] in skip or disk["wwn"] in skip:
        return "named to be skipped"
    if wanted is not None and disk["serial"] not in wanted:
        return "not asked for"
    return None


def extents(size: int, partitions: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Offset and length of what `metadata` zeroes: the first and last MiB of the disk and of each partition.

    That covers both copies of the GPT, MBR, and the superblocks of ext4, xfs, btrfs, LVM, ZFS, LUKS and Linux RAID of
    every version.
    """
    found = set()
    for start, length in [(0, size), *partitions]:
        end = min(start + length, size)
        if start < end:
            found.add((start, min(MIB, end - start)))
            last = max(start, end - MIB)
            found.add((last, end - last))
    return sorted(found)


def run(
    host: Host,
    *,
    method: Method,
    wanted: frozenset[str] | None,
    skip: frozenset[str],
    report: Callable[[Progress], None],
    is_cancelled: Callable[[], bool],
) -> list[dict[str, Any]]:
    """One result for each disk: name, serial, size_bytes, status `erased|skipped|failed`, how, error.

    A disk that fails does not stop the others. Raises Refused or Cancelled.
    """
    chosen = choose(disks.collect(host.root), wanted=wanted, skip=skip)
    results = []
    for number, (disk, why) in enumerate(chosen):
        if is_cancelled():
            raise Cancelled
        result: dict[str, Any] = {"name": disk["name"], "serial": disk["serial"], "size_bytes": disk["size_bytes"]}
        result |= {"status": "skipped", "how": why or "", "error": None}
        if why is None:
            log.info("erase begins method=%s disk=%s serial=%s", method, disk["name"], disk["serial"])
            eraser = _Eraser(host, disk, report, is_cancelled, f"disk {number + 1} of {len(chosen)}")
            result |= _erase(eraser, method)
        results.append(result)
    return results


def _erase(eraser: "_Eraser", method: Method) -> dict[str, Any]:
    try:
        return {"status": "erased", "how": eraser.metadata() if method == "metadata" else eraser.shred()}
    except (OSError, NotErased) as failure:
        log.warning("erase failed disk=%s: %s", eraser.disk["name"], failure)
        return {"status": "failed", "error": str(failure) or type(failure).__name__}


class NotErased(Exception):
    """What was read back is not what was written."""


class _Eraser:
    """One disk."""

    def __init__(
        self,
        host: Host,
        disk: Disk,
        report: Callable[[Progress], None],
        is_cancelled: Callable[[], bool],
        which: str,
    ) -> None:
        self.disk = disk
        self._host = host
        self._report = report
        self._is_cancelled = is_cancelled
        self._which = which
        self._path = host.path(disk["name"])
        self._size = disk["size_bytes"]
        self._sysfs = host.root / "sys/block" / Path(disk["name"]).name

    def metadata(self) -> str:
        """Discard first, because what a discarded block reads as is the device's affair; then zero, then look."""
        with self._opened() as device:
            pieces = extents(self._size, disks.partitions(self._host.root, self._sysfs.name))
            how = "discard, zero" if self._discard(device) else "zero"
            for offset, length in pieces:
                self._zero(device, offset, length)
            os.fsync(device)
            self._flush(device)
            for offset, length in pieces:
                self._verify(device, offset, length)
            self._forget_partitions(device)
        return how

    def shred(self) -> str:
        """The device's own secure erase where it has one, else zeroes all over; in both cases read back."""
        how = secure_erase.attempt(self._host, self.disk, self._path)
        with self._opened() as device:
            if how is None:
                how = "zero"
                for offset in self._steps("writing zeroes"):
                    self._zero(device, offset, min(len(_ZEROES), self._size - offset))
                os.fsync(device)
            else:
                # A secure erase may leave any pattern, but not the old signatures; zeroed ends can be verified.
                for offset, length in extents(self._size, []):
                    self._zero(device, offset, length)
                os.fsync(device)
            self._flush(device)
            if how == "zero":
                for offset in self._steps("reading back"):
                    self._verify(device, offset, min(len(_ZEROES), self._size - offset))
            else:
                for offset, length in extents(self._size, []):
                    self._verify(device, offset, length)
            self._forget_partitions(device)
        return how

    def _opened(self) -> "_Device":
        if sysfs.line(self._sysfs / "ro") == "1":
            raise NotErased("the disk is read-only")
        return _Device(self._path)

    def _steps(self, phase: str) -> Iterator[int]:
        for offset in range(0, self._size, len(_ZEROES)):
            if self._is_cancelled():
                raise Cancelled
            self._report(
                {
                    "phase": phase,
                    "done": offset,
                    "total": self._size,
                    "unit": "bytes",
                    "message": f"{self.disk['name']}, {self._which}",
                }
            )
            yield offset

    def _discard(self, device: int) -> bool:
        try:
            fcntl.ioctl(device, _BLKDISCARD, struct.pack("QQ", 0, self._size))
        except OSError:
            return False
        return True

    def _zero(self, device: int, offset: int, length: int) -> None:
        view = memoryview(_ZEROES)
        while length:
            written = os.pwrite(device, view[: min(length, len(view))], offset)
            offset, length = offset + written, length - written

    def _flush(self, device: int) -> None:
        """So that reading back asks the disk and not our own cache; a plain file (tests) has no such request."""
        try:
            fcntl.ioctl(device, _BLKFLSBUF, 0)
        except OSError:
            os.posix_fadvise(device, 0, 0, os.POSIX_FADV_DONTNEED)

    def _verify(self, device: int, offset: int, length: int) -> None:
        while length:
            read = os.pread(device, min(length, len(_ZEROES)), offset)
            if not read or read != _ZEROES[: len(read)]:
                raise NotErased(f"not zero when read back, near byte {offset}")
            offset, length = offset + len(read), length - len(read)

    def _forget_partitions(self, device: int) -> None:
        try:
            fcntl.ioctl(device, _BLKRRPART, 0)
        except OSError as failure:
            log.info("partition table not read again disk=%s: %s", self.disk["name"], failure)


class _Device:
    """A file descriptor that closes itself. O_EXCL on a block device fails while somebody has it mounted."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_EXCL | os.O_CLOEXEC)

    def __enter__(self) -> int:
        return self._file

    def __exit__(self, *_: object) -> None:
        os.close(self._file)
