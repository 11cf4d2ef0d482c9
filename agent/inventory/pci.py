"""PCI functions, as numbers; names belong to whoever has the table. Pure."""

from pathlib import Path

from agent.inventory import sysfs
from agent.inventory.clean import text

_MAX_FUNCTIONS = 512


def collect(root: Path) -> list[dict[str, str]]:
    folder = root / "sys/bus/pci/devices"
    found = []
    for address in sysfs.names(folder)[:_MAX_FUNCTIONS]:
        item = {"address": text(address, limit=16) or ""}
        for name in ("vendor", "device", "class"):
            item[name] = (text(sysfs.line(folder / address / name), limit=10) or "").removeprefix("0x")
        item["driver"] = text(sysfs.link(folder / address / "driver"), limit=32) or ""
        found.append(item)
    return found
