"""The commands write_image and boot_disk: put an image on the root disk of this machine, and start it.

write_image takes
    stream         images.stream.Stream as JSON
    base_url       http://SERVER:8080/image/UUID, below which the two files of the stream are
    token          (secret) lets this machine fetch them
    root_device    hints that name the root disk, see agent.imaging_disk.HINTS; {} for the smallest that fits
    config_drive   (secret) base64 of the file system labelled config-2, or null
    config_drive_gzip  (secret) the same, gzipped before: whoever gives one takes the other's place

Nothing is written before it is known to fit, and no byte whose checksum is not the one that the appliance named. The
first MiB, which holds the boot code and the partition table, is zeroed first and written last: whatever ends the
command in between (an error, a cancel, the mains) leaves a disk that does not boot. Nothing of the image is executed.
"""

import binascii
import logging
import os
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from agent import imaging_fetch, imaging_stream, imaging_table
from agent.errors import AgentError, Cancelled, Refused
from agent.imaging_disk import Target, choose, partition_name
from agent.imaging_fetch import Url, parse_url
from agent.imaging_kexec import load_kexec, remember
from agent.imaging_stream import HEAD, Description, Piece, Unpacker
from agent.inventory import disks
from agent.wire import Progress

__all__ = ["ImageNotWritten", "load_kexec", "write_image"]

log = logging.getLogger(__name__)

MIB = 1024 * 1024
MAX_DRIVE = 64 * MIB
TAIL = 4 * MIB  # zeroed at the end of the disk: backup GPT and RAID superblocks of what was there before
PROGRESS_S = 1.0
PHASE = "write image"
Report = Callable[[Progress], None]


class ImageNotWritten(AgentError):
    """The image was not written to the end; the disk holds nothing that boots."""


class Job(NamedTuple):
    """The parameters of write_image, parsed. Does not show itself: the URLs and the drive hold secrets."""

    description: Description
    data_url: Url
    index_url: Url
    hints: Mapping[str, Any]
    drive: bytes

    def __repr__(self) -> str:
        return "<write_image>"


def write_image(
    params: dict[str, Any], report: Report, is_cancelled: Callable[[], bool], *, root: Path = Path("/")
) -> dict[str, Any]:
    """-> {"disk", "serial", "config_drive", "bytes_received", "bytes_written", "bytes_zeroed", "seconds", "rate"}

    rate: bytes of the image on disk per second. Raises Refused (nothing was touched), ImageNotWritten, Cancelled.
    """
    began = time.monotonic()
    job = parse(params)
    description = job.description
    drive_room = -(-len(job.drive) // MIB) * MIB
    need = description.virtual_size_bytes + (drive_room + 2 * MIB if job.drive else 0)
    disk = choose(disks.collect(root), job.hints, need_bytes=need)
    stop = threading.Event()
    index_length = description.pieces * imaging_stream.RECORD.size
    pieces = imaging_stream.parse_index(imaging_fetch.whole(job.index_url, index_length, stop), description)
    log.info("image write begins disk=%s bytes=%d", disk["name"], description.used_bytes)
    with Target(root / disk["name"].lstrip("/"), disk["size_bytes"]) as target:
        writer = _Writer(target, job, pieces, report, is_cancelled)
        drive = writer.run(stop)
    remember(root, disk["name"])
    seconds = time.monotonic() - began
    log.info("image written disk=%s seconds=%.1f", disk["name"], seconds)
    return {
        "disk": disk["name"],
        "serial": disk["serial"],
        "config_drive": partition_name(disk["name"], drive.number) if drive else None,
        "bytes_received": description.data_bytes + index_length,
        "bytes_written": description.used_bytes + len(job.drive),
        "bytes_zeroed": writer.zeroed,
        "seconds": round(seconds, 2),
        "rate": int(description.used_bytes / max(seconds, 0.001)),
    }


def parse(params: Mapping[str, Any]) -> Job:
    """Raises Refused, naming the parameter."""
    description = imaging_stream.parse_description(params.get("stream"))
    base, token, hints = params.get("base_url"), params.get("token"), params.get("root_device") or {}
    if not isinstance(base, str) or not isinstance(token, str) or not isinstance(hints, dict):
        raise Refused("write_image needs base_url, token and root_device")
    drive = _drive(params)
    urls = [
        parse_url(f"{base.rstrip('/')}/{name}?token={token}")
        for name in (description.data_name, description.index_name)
    ]
    return Job(description, urls[0], urls[1], hints, drive)


def _drive(params: Mapping[str, Any]) -> bytes:
    packed = params.get("config_drive_gzip")
    try:
        drive = binascii.a2b_base64(packed or params.get("config_drive") or "", strict_mode=True)
    except (ValueError, TypeError):  # binascii.Error is a ValueError
        raise Refused("config_drive is not base64") from None
    if packed:
        unfold = zlib.decompressobj(wbits=31)
        try:
            drive = unfold.decompress(drive, MAX_DRIVE + 1)
        except zlib.error:
            raise Refused("config_drive_gzip is not gzipped") from None
    if len(drive) > MAX_DRIVE:
        raise Refused(f"the config drive is longer than {MAX_DRIVE} bytes")
    return drive


class _Writer:
    """One run of write_image on one disk."""

    def __init__(
        self, target: Target, job: Job, pieces: list[Piece], report: Report, is_cancelled: Callable[[], bool]
    ) -> None:
        self._target, self._job, self._pieces = target, job, pieces
        self._report, self._is_cancelled = report, is_cancelled
        self._total = job.description.used_bytes
        self._done, self._told_at = 0, 0.0
        self._is_touched = False
        self.zeroed = 0

    def run(self, stop: threading.Event) -> imaging_table.Partition | None:
        """Where the config drive is. Raises what write_image says, with the percentage reached."""
        try:
            return self._run(stop)
        except (AgentError, OSError) as failure:
            if self._is_touched:
                self._make_unbootable()
            if isinstance(failure, Cancelled) or (isinstance(failure, AgentError) and not self._is_touched):
                raise
            percent = 100 * self._done // max(self._total, 1)
            raise ImageNotWritten(f"the image broke off at {percent} %; the disk does not boot: {failure}") from failure

    def _make_unbootable(self) -> None:
        """It does not boot already, unless the very last writes failed half-way."""
        try:
            self._target.zero(0, min(HEAD, self._target.size))
            self._target.flush()
        except OSError as failure:
            log.warning("the head of the disk could not be zeroed: %s", failure)

    def _run(self, stop: threading.Event) -> imaging_table.Partition | None:
        unpacker = Unpacker()
        arriving = imaging_fetch.pieces_ahead(self._job.data_url, self._pieces, stop)
        in_head = sum(piece.offset < HEAD for piece in self._pieces)
        head = bytearray(min(HEAD, self._job.description.virtual_size_bytes))
        try:
            for _ in range(in_head):
                piece, packed = next(arriving)
                head[piece.offset : piece.offset + piece.length] = unpacker.unpack(piece, packed)
                self._done += piece.length
            fitted = imaging_table.fit(bytes(head), self._target.size, len(self._job.drive), os.urandom(16))
            self._clear()
            for piece, packed in arriving:
                self._target.write(piece.offset, unpacker.unpack(piece, packed))
                self._done += piece.length
                self._tell()
        finally:
            arriving.close()  # type: ignore[attr-defined]  # a generator, whose thread must end with us
        self._finish(fitted)
        return fitted.drive

    def _clear(self) -> None:
        """From here on the disk does not boot. No old data shows through the image's holes afterwards."""
        self._tell()
        self._is_touched = True
        size = self._target.size
        self._target.discard()
        self._zero(0, min(HEAD, size))
        self._target.flush()
        for offset, length in imaging_stream.holes(self._pieces, self._job.description.virtual_size_bytes):
            self._zero(offset, length)
        end = max(size - TAIL - -(-len(self._job.drive) // MIB) * MIB, self._job.description.virtual_size_bytes)
        if end < size:
            self._zero(end, size - end)

    def _zero(self, offset: int, length: int) -> None:
        self._target.zero(offset, length, self._tell)
        self.zeroed += length

    def _finish(self, fitted: imaging_table.Fitted) -> None:
        if fitted.drive is not None:
            self._target.write(fitted.drive.start, self._job.drive)
        self._target.write(fitted.tail_offset, fitted.tail)
        self._target.flush()
        self._target.write(0, fitted.head)
        self._target.flush()
        self._target.read_partitions()
        self._show()

    def _tell(self) -> None:
        if self._is_cancelled():
            raise Cancelled
        now = time.monotonic()
        if now - self._told_at >= PROGRESS_S:
            self._told_at = now
            self._show()

    def _show(self) -> None:
        message = f"{self._done // MIB} of {self._total // MIB} MiB"
        self._report({"phase": PHASE, "done": self._done, "total": self._total, "unit": "bytes", "message": message})
