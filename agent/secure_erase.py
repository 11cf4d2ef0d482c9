"""A disk's own way to forget everything: NVMe Format and ATA Security Erase.

Tried only where the disk says that it can; None means that it cannot, and the caller writes zeroes instead.
Specifications: NVM Express Base 2.0, section 5.14 (Format NVM); ACS-4, section 7.42 (SECURITY ERASE UNIT).
"""

import fcntl
import logging
import os
import re
import struct
from pathlib import Path

from agent.errors import ProgramFailed
from agent.host import Host
from agent.wire import Disk

log = logging.getLogger(__name__)

_NVME_ADMIN = 0xC0484E41  # _IOWR('N', 0x41, struct nvme_admin_cmd)
_NVME_ID = 0x4E40  # _IO('N', 0x40)
_NVME_COMMAND = struct.Struct("<BBHIIIQQIIIIIIIIII")
_IDENTIFY, _FORMAT_NVM = 0x06, 0x80
_USER_DATA_ERASE = 1
_FORMAT_LIMIT_MS = 6 * 3600 * 1000
_ATA_PROBE_S = 60.0
_ATA_SLACK = 2.0
_DEFAULT_MINUTES = 480
# Only for the minutes that the erase takes, after which the disk drops it; it protects nothing.
_ATA_PASSWORD = "rackwright"  # noqa: S105


def attempt(host: Host, disk: Disk, path: Path) -> str | None:
    """What was done, or None if this disk has no such thing or refused it without harm."""
    if disk["bus"] == "nvme":
        return _nvme_format(path)
    if disk["bus"] == "sata":
        return _ata_erase(host, path)
    return None


def _nvme_format(path: Path) -> str | None:
    """Format with its present block size: Secure Erase Setting 1 in bits 11:9, LBA format in bits 3:0 of dword 10."""
    device = os.open(path, os.O_RDWR | os.O_EXCL | os.O_CLOEXEC)
    try:
        namespace = fcntl.ioctl(device, _NVME_ID)
        setting = _USER_DATA_ERASE << 9 | _lba_format(device, namespace)
        command = _nvme_command(_FORMAT_NVM, namespace, dword10=setting, limit_ms=_FORMAT_LIMIT_MS)
        status = fcntl.ioctl(device, _NVME_ADMIN, command)
    except OSError as failure:
        log.info("NVMe format not possible disk=%s: %s", path.name, failure)
        return None
    finally:
        os.close(device)
    if status != 0:
        log.info("NVMe format refused disk=%s status=%#x", path.name, status)
        return None
    return "NVMe format"


def _lba_format(device: int, namespace: int) -> int:
    """The format in use: bits 3:0 of FLBAS, octet 26 of Identify Namespace."""
    import array  # noqa: PLC0415  (for its address; only here)

    data = array.array("B", bytes(4096))
    address, length = data.buffer_info()
    fcntl.ioctl(device, _NVME_ADMIN, _nvme_command(_IDENTIFY, namespace, data=(address, length), limit_ms=10_000))
    return data[26] & 0x0F


def _nvme_command(
    opcode: int, namespace: int, *, dword10: int = 0, data: tuple[int, int] = (0, 0), limit_ms: int
) -> bytearray:
    """One struct nvme_admin_cmd of Linux include/uapi/linux/nvme_ioctl.h, 72 octets."""
    address, length = data
    words = (dword10, 0, 0, 0, 0, 0)
    return bytearray(_NVME_COMMAND.pack(opcode, 0, 0, namespace, 0, 0, 0, address, 0, length, *words, limit_ms, 0))


class AtaSecurity:
    """The security part of `hdparm -I`, parsed. minutes: what the disk says that an erase takes."""

    def __init__(self, text: str) -> None:
        section = text.partition("Security:")[2]
        lines = {" ".join(line.split()) for line in section.splitlines()}
        self.is_supported = "supported" in lines
        self.is_frozen = "frozen" in lines
        self.is_locked = "locked" in lines
        self.is_enabled = "enabled" in lines
        self.is_enhanced = "supported: enhanced erase" in lines
        minutes = [int(found) for found in re.findall(r"(\d+)min for", section)]
        self.minutes = max(minutes, default=_DEFAULT_MINUTES)


def _ata_erase(host: Host, path: Path) -> str | None:
    """A frozen disk (most firmware freezes them) refuses until its next power cycle; that is not a failure."""
    try:
        state = AtaSecurity(host.run(["/usr/sbin/hdparm", "-I", str(path)], timeout_s=_ATA_PROBE_S))
    except ProgramFailed as failure:
        log.info("no ATA identity disk=%s: %s", path.name, failure)
        return None
    if not state.is_supported or state.is_frozen or state.is_locked or state.is_enabled:
        log.info("no ATA secure erase disk=%s frozen=%s", path.name, state.is_frozen)
        return None
    common = ["/usr/sbin/hdparm", "--user-master", "u"]
    option = "--security-erase-enhanced" if state.is_enhanced else "--security-erase"
    try:
        host.run([*common, "--security-set-pass", _ATA_PASSWORD, str(path)], timeout_s=_ATA_PROBE_S)
        host.run([*common, option, _ATA_PASSWORD, str(path)], timeout_s=state.minutes * 60 * _ATA_SLACK)
    except ProgramFailed as failure:
        log.info("ATA secure erase failed disk=%s: %s", path.name, failure)
        _remove_password(host, common, path)
        return None
    return "ATA secure erase"


def _remove_password(host: Host, common: list[str], path: Path) -> None:
    """A disk that keeps a password is lost to everybody at its next power cycle."""
    try:
        host.run([*common, "--security-disable", _ATA_PASSWORD, str(path)], timeout_s=_ATA_PROBE_S)
    except ProgramFailed as failure:
        log.warning("the ATA password could not be removed disk=%s: %s", path.name, failure)
