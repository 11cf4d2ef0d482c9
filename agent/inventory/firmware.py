"""Firmware: vendor and version, how it booted, Secure Boot; and system names where SMBIOS tables cannot be read."""

from pathlib import Path
from typing import Literal

from agent.inventory import sysfs
from agent.inventory.clean import text

_SECURE_BOOT = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"


def versions(root: Path) -> dict[str, str]:
    found = {name: text(sysfs.line(root / f"sys/class/dmi/id/bios_{name}")) for name in ("vendor", "version", "date")}
    return {name: value for name, value in found.items() if value is not None}


def boot_mode(root: Path) -> Literal["bios", "uefi"]:
    return "uefi" if (root / "sys/firmware/efi").is_dir() else "bios"


def is_secure_boot(root: Path) -> bool:
    """The variable is four octets of attributes and one of value (UEFI 2.10, section 3.3)."""
    return (sysfs.raw(root / _SECURE_BOOT) or b"")[4:] == b"\x01"
