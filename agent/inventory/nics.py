"""Network cards below /sys/class/net: those with a device behind them. Pure."""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from agent.inventory import sysfs
from agent.inventory.clean import number
from agent.wire import Nic

_MAX_NICS = 128
_MAC = re.compile(r"^[0-9a-f]{2}(:[0-9a-f]{2}){5}$")
_PCI = re.compile(r"^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$")


def collect(
    root: Path, *, address_of: Callable[[str], str | None], neighbours: Mapping[str, dict[str, str]]
) -> list[Nic]:
    """address_of: the IPv4 address of an interface. neighbours: what LLDP heard, by interface."""
    found: list[Nic] = []
    for name in names(root):
        folder = root / "sys/class/net" / name
        mac = sysfs.line(folder / "address") or ""
        if not _MAC.match(mac):
            continue
        carrier = sysfs.line(folder / "carrier")
        found.append(
            {
                "name": name,
                "mac": mac,
                "driver": sysfs.link(folder / "device/driver"),
                # -1 or an error while there is no link; virtio gives -1 always.
                "speed_mbps": number(sysfs.line(folder / "speed"), low=1, high=10_000_000),
                "has_link": None if carrier is None else carrier == "1",
                "pci": _pci(folder),
                "address": address_of(name),
                "lldp": neighbours.get(name),
            }
        )
    return found[:_MAX_NICS]


def names(root: Path) -> list[str]:
    folder = root / "sys/class/net"
    return [name for name in sysfs.names(folder) if (folder / name / "device").exists()]


def macs(root: Path) -> list[str]:
    found = (sysfs.line(root / "sys/class/net" / name / "address") or "" for name in names(root))
    return [mac for mac in found if _MAC.match(mac)][:_MAX_NICS]


def _pci(folder: Path) -> str | None:
    slots = [part for part in os.path.realpath(folder / "device").split("/") if _PCI.match(part)]
    return slots[-1] if slots else None
