"""What this computer lacks for the virtual rack, said before anything is begun: what, why, and what to do."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from appliance.lab.qemu import OVMF_CODE, OVMF_VARS

_TUN = Path("/dev/net/tun")
_MIB = 1024 * 1024
# (program, Debian package)
_PROGRAMS = (
    ("ip", "iproute2"),
    ("setpriv", "util-linux"),
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("ssh", "openssh-client"),
)
# (file, Debian package)
_FILES = (
    (OVMF_CODE, "ovmf"),
    (OVMF_VARS, "ovmf"),
    (Path("/usr/lib/ipxe/qemu/efi-virtio.rom"), "ipxe-qemu"),
    (Path("/usr/lib/ipxe/snponly.efi"), "ipxe"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    what: str
    why: str
    next_step: str


def lacks(
    *,
    machines: int,
    memory_mib: int = 1024,
    command: str = "make demo",
    is_root: bool | None = None,
    which: Callable[[str], str | None] = shutil.which,
) -> list[Lack]:
    """Everything that is missing, at once, so that nobody fixes one thing after the other; empty when all is there."""
    found = []
    if not (os.geteuid() == 0 if is_root is None else is_root):
        found.append(
            Lack(
                what="root is needed",
                why="the rack lives in a network namespace with a bridge and taps, and images are built as root",
                next_step=f"sudo {command}   (without root: make check, and the unit tests)",
            )
        )
    if not _TUN.exists():
        found.append(Lack(what=f"{_TUN} is missing", why="each machine's network is a tap", next_step="modprobe tun"))
    packages = {package for program, package in _PROGRAMS if which(program) is None}
    packages |= {package for file, package in _FILES if not file.exists()}
    if packages:
        names = " ".join(sorted(packages))
        found.append(
            Lack(what=f"packages are missing: {names}", why="the machines run in QEMU", next_step="make setup")
        )
    free = free_memory_mib()
    wanted = machines * (memory_mib + 400)
    if free is not None and free < wanted:
        found.append(
            Lack(
                what=f"{free} MiB of memory are free, {wanted} are needed",
                why=f"{machines} machines of {memory_mib} MiB run at once",
                next_step="close other programs, or ask for fewer machines: --bios 1 --uefi 0",
            )
        )
    return found


def free_memory_mib(file: Path = Path("/proc/meminfo")) -> int | None:
    """What the kernel thinks it can give; None when it does not say."""
    try:
        for line in file.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024 // _MIB
    except (OSError, ValueError, IndexError):
        return None
    return None
