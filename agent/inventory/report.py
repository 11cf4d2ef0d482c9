"""The whole inventory of this machine, from a root folder. Everything missing is None or empty; nothing raises."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from agent.inventory import cpu, disks, firmware, nics, pci, smbios, sysfs
from agent.inventory.clean import named, number
from agent.wire import Inventory


def collect(
    root: Path,
    *,
    boot_mac: str | None,
    bmc: dict[str, Any] | None,
    address_of: Callable[[str], str | None],
    neighbours: Mapping[str, dict[str, str]],
    uptime_s: float,
) -> Inventory:
    spec = smbios.version(sysfs.raw(root / "sys/firmware/dmi/tables/smbios_entry_point") or b"")
    found = smbios.structures(_table(root))
    system = smbios.system(found, spec)
    dimms = smbios.dimms(found)
    dmi = root / "sys/class/dmi/id"
    return {
        "uuid": system.uuid or _lower(sysfs.line(dmi / "product_uuid")),
        "serial": system.serial or named(sysfs.line(dmi / "product_serial")),
        "manufacturer": system.manufacturer or named(sysfs.line(dmi / "sys_vendor")),
        "product": system.product or named(sysfs.line(dmi / "product_name")),
        "firmware": firmware.versions(root),
        "boot_mode": firmware.boot_mode(root),
        "is_secure_boot": firmware.is_secure_boot(root),
        "boot_mac": boot_mac,
        "cpu": cpu.parse(sysfs.text(root / "proc/cpuinfo"), os.uname().machine),
        "memory_mib": sum(dimm["size_mib"] for dimm in dimms) or _memory_mib(sysfs.text(root / "proc/meminfo")),
        "dimms": dimms,
        "disks": disks.collect(root),
        "nics": nics.collect(root, address_of=address_of, neighbours=neighbours),
        "bmc": bmc,
        "pci": pci.collect(root),
        "uptime_s": round(uptime_s, 2),
        "timings": timings(sysfs.line(root / "run/rackwright/timings") or ""),
    }


def timings(text: str) -> dict[str, float]:
    """Lines `NAME SECONDS` that the start script wrote; the last of equal names."""
    found: dict[str, float] = {}
    for line in text.splitlines()[:64]:
        name, _, value = line.partition(" ")
        try:
            found[name[:32]] = float(value)
        except ValueError:
            continue
    return found


def _table(root: Path) -> bytes:
    try:
        return (root / "sys/firmware/dmi/tables/DMI").read_bytes()[: 1024 * 1024]
    except OSError:
        return b""


def _memory_mib(meminfo: str) -> int:
    for line in meminfo.splitlines():
        if line.startswith("MemTotal:"):
            return (number(line.split()[1]) or 0) // 1024
    return 0


def _lower(value: str | None) -> str | None:
    cleaned = named(value)
    return None if cleaned is None else cleaned.lower()
