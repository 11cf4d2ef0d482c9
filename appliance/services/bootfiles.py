"""STATE/boot: what machines load over the network: the agent's kernel and ramdisk, iPXE from Debian, our CA."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from appliance.domain.errors import RackwrightError
from images import ramdisk

IPXE = Path("/usr/lib/ipxe")
IPXE_FILES = ("undionly.kpxe", "snponly.efi", "ipxe.efi")
NEEDED = ("vmlinuz", "initrd", "undionly.kpxe", "snponly.efi", "ca.pem")


class IpxeMissing(RackwrightError):
    """iPXE is not installed on the appliance."""

    code = "unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """Sizes in bytes of what machines will load."""

    kernel_bytes: int
    initrd_bytes: int


def install(state: Path, cache_dir: Path, *, report: Callable[[str], None]) -> Installed:
    """Build the ramdisk if its recipe changed and put every boot file in place; each by an atomic rename.

    Needs root and Debian's package sources. Raises images.tools.ToolFailed or IpxeMissing.
    """
    boot = state / "boot"
    boot.mkdir(mode=0o755, parents=True, exist_ok=True)
    built = cache_dir / "ramdisk"
    ramdisk.build(built, cache_dir, report=report)
    for name in ("vmlinuz", "initrd"):
        _put(built / name, boot / name)
    for name in IPXE_FILES:
        if not (IPXE / name).is_file():
            raise IpxeMissing(f"{IPXE / name} is missing", next_step="apt-get install ipxe")
        _put(IPXE / name, boot / name)
    _put(state / "tls" / "ca.pem", boot / "ca.pem")
    report("boot files are in place")
    return Installed(kernel_bytes=(boot / "vmlinuz").stat().st_size, initrd_bytes=(boot / "initrd").stat().st_size)


def missing(state: Path) -> list[str]:
    """Names of boot files that are not there; empty when machines can boot."""
    return [name for name in NEEDED if not (state / "boot" / name).is_file()]


def _put(source: Path, target: Path) -> None:
    part = target.with_name(target.name + ".part")
    shutil.copyfile(source, part)
    part.chmod(0o644)
    part.replace(target)
