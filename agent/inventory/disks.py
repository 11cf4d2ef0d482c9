"""Disks below /sys/block. Pure: reads a tree, touches no device."""

import os
import re
from pathlib import Path

from agent.inventory import sysfs
from agent.inventory.clean import named, number, text
from agent.wire import Disk

_NOT_DISKS = re.compile(r"(loop|ram|zram|dm-|md|sr|fd|nbd|mtdblock|nvme\d+c)")
_MAX_DISKS = 256
_PCI = re.compile(r"^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$")


def collect(root: Path) -> list[Disk]:
    """Fixed and removable disks with a medium, by name."""
    block = root / "sys/block"
    found = [_disk(block / name) for name in sysfs.names(block) if not _NOT_DISKS.match(name)]
    return [disk for disk in found if disk is not None][:_MAX_DISKS]


def partitions(root: Path, name: str) -> list[tuple[int, int]]:
    """Start and length in bytes of each partition that the kernel knows on a disk (`vda`)."""
    folder = root / "sys/block" / name
    found = []
    for child in sysfs.names(folder):
        if (folder / child / "partition").exists():
            start = number(sysfs.line(folder / child / "start"))
            size = number(sysfs.line(folder / child / "size"))
            if start is not None and size is not None:
                found.append((start * 512, size * 512))
    return sorted(found)


def _disk(path: Path) -> Disk | None:
    sectors = number(sysfs.line(path / "size"), high=2**54)
    if not sectors:
        return None
    device = os.path.realpath(path)
    return {
        "name": f"/dev/{path.name.replace('!', '/')}",
        "size_bytes": sectors * 512,
        "serial": _serial(path),
        "wwn": text(sysfs.line(path / "wwid") or sysfs.line(path / "device/wwid")),
        "model": _model(path),
        "bus": _bus(path.name, device),
        "is_rotational": sysfs.line(path / "queue/rotational") == "1",
        "by_path": _by_path(path.name, device),
    }


def _serial(path: Path) -> str | None:
    """virtio, NVMe and MMC have a file; SCSI and ATA have SPC-4 page 0x80: four octets of header, then text."""
    plain = sysfs.line(path / "serial") or sysfs.line(path / "device/serial")
    if plain:
        return named(plain)
    page = sysfs.raw(path / "device/vpd_pg80")
    if page is None or len(page) < 4:
        return None
    return named(page[4 : 4 + int.from_bytes(page[2:4], "big")])


def _model(path: Path) -> str | None:
    vendor, model = sysfs.line(path / "device/vendor"), sysfs.line(path / "device/model")
    # libata writes "ATA" for every maker; virtio's vendor file is a number.
    if vendor and vendor != "ATA" and not vendor.startswith("0x"):
        return text(f"{vendor} {model or ''}")
    return text(model)


def _bus(name: str, device: str) -> str:
    if name.startswith("nvme"):
        return "nvme"
    for mark, bus in (("/virtio", "virtio"), ("/usb", "usb"), ("/ata", "sata"), ("/end_device-", "sas")):
        if mark in device:
            return bus
    return "scsi"


def _by_path(name: str, device: str) -> str | None:
    """The name that udev would give below /dev/disk/by-path, for the buses that we serve."""
    parts = device.split("/")
    slots = [part for part in parts if _PCI.match(part)]
    if not slots:
        return None
    slot = f"pci-{slots[-1]}"
    if name.startswith("nvme"):
        return f"{slot}-nvme-{name.rpartition('n')[2]}"
    target = next((part for part in parts if re.fullmatch(r"\d+:\d+:\d+:\d+", part)), None)
    ata = next((part for part in parts if re.fullmatch(r"ata\d+", part)), None)
    if ata is not None:
        return f"{slot}-ata-{ata[3:]}"
    if target is not None:
        return f"{slot}-scsi-{target}"
    return slot
