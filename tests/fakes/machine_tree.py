"""A pretend machine as files: the parts of /sys, /proc, /dev and /run that the agent reads, below a folder."""

import struct
import uuid
from pathlib import Path

from agent.inventory import smbios

CPUINFO = """processor\t: {n}
vendor_id\t: GenuineIntel
model name\t: Pretend(R) CPU  @ 2.00GHz
physical id\t: {socket}
core id\t\t: {core}
flags\t\t: fpu vme vmx sse4_2 aes
"""


class MachineTree:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.uuid = uuid.UUID("12345678-9abc-4def-8123-456789abcdef")
        for name in ("sys/block", "sys/class/net", "sys/class/dmi/id", "sys/bus/pci/devices", "dev", "run/rackwright"):
            (root / name).mkdir(parents=True)
        blocks = [CPUINFO.format(n=n, socket=n // 2, core=n % 2) for n in range(4)]
        self.write("proc/cpuinfo", "\n".join(blocks))
        self.write("proc/meminfo", "MemTotal:        4000000 kB\nMemFree: 1 kB\n")
        self.write("sys/class/dmi/id/bios_vendor", "Pretend Firmware\n")
        self.write("sys/class/dmi/id/bios_version", "1.2\n")
        self.write("run/rackwright/timings", "init 2.5\nnetwork 3.5\ngarbage\n")
        self.write_smbios()

    def ready(self) -> None:
        self.write("run/rackwright/network", "eth0 127.0.0.1\n")
        self.write("run/rackwright/coldplug", "")

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def write_smbios(self) -> None:
        system = smbios.pack(
            1, 1, bytes([1, 2, 0, 3]) + self.uuid.bytes_le + bytes([6, 0, 0]), [b"Maker", b"Model", b"SN-1"]
        )
        end = smbios.pack(127, 9, b"", [])
        self.write("sys/firmware/dmi/tables/DMI", system + dimm(b"DIMM_A1", 2048) + dimm(b"DIMM_B1", 0) + end)
        self.write("sys/firmware/dmi/tables/smbios_entry_point", b"_SM3_\0\x18\3\2\0")

    def link(self, name: str, target: Path) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)

    def nic(self, name: str, mac: str, *, slot: str = "0000:00:03.0", carrier: str | None = "1") -> None:
        device = self.root / f"sys/devices/pci0000:00/{slot}/virtio0"
        self.write(f"sys/devices/pci0000:00/{slot}/virtio0/net/{name}/address", mac + "\n")
        if carrier is not None:
            self.write(f"sys/devices/pci0000:00/{slot}/virtio0/net/{name}/carrier", carrier)
        self.write(f"sys/devices/pci0000:00/{slot}/virtio0/net/{name}/speed", "25000\n")
        (self.root / "sys/bus/virtio/drivers/virtio_net").mkdir(parents=True, exist_ok=True)
        if not (device / "driver").exists():
            (device / "driver").symlink_to(self.root / "sys/bus/virtio/drivers/virtio_net")
        (device / "net" / name / "device").symlink_to(device)
        self.link(f"sys/class/net/{name}", device / "net" / name)

    def disk(self, name: str, size: int, *, serial: str | None, slot: str = "0000:00:04.0") -> Path:
        """A virtio disk; its device is a plain file of that size, full of 0xAA."""
        base = f"sys/devices/pci0000:00/{slot}/virtio1/block/{name}"
        self.write(f"{base}/size", str(size // 512))
        self.write(f"{base}/queue/rotational", "0")
        self.write(f"{base}/ro", "0")
        if serial is not None:
            self.write(f"{base}/serial", serial)
        self.link(f"sys/block/{name}", self.root / base)
        return self.write(f"dev/{name}", b"\xaa" * size)

    def partition(self, disk: str, number: int, start: int, size: int) -> None:
        folder = f"sys/block/{disk}/{disk}{number}"
        self.write(f"{folder}/partition", str(number))
        self.write(f"{folder}/start", str(start // 512))
        self.write(f"{folder}/size", str(size // 512))


def dimm(slot: bytes, size_mib: int, *, speed: int = 3200, kind: int = 0x1A) -> bytes:
    """A memory device of SMBIOS 3.2."""
    body = struct.pack("<HHHHHBBBBBHHBBBB", 0, 0, 64, 64, size_mib, 9, 0, 1, 0, kind, 0, speed, 2, 3, 0, 0)
    return smbios.pack(17, 0x1100, body, [slot, b"Samsung", b"M-" + slot])
