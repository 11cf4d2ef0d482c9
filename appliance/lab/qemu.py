"""The command line of QEMU for one machine, and the order in which its firmware tries to boot. Pure: nothing runs here.

Chosen by measurement (2 cores, no KVM): multi-threaded TCG with a translation cache of 256 MiB, `graphics=off` (so
that SeaBIOS and iPXE speak on the serial port), a sparse raw disk with `cache=unsafe` (Decision 60).
UEFI machines get no option ROM: with one, its iPXE would run before the firmware's own PXE.
"""

from dataclasses import dataclass
from pathlib import Path

from appliance.lab.spec import NodeSpec
from bmc.types import BootDevice

OVMF_CODE = Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
OVMF_VARS = Path("/usr/share/OVMF/OVMF_VARS_4M.fd")
DISK_FILE = "disk.img"
VARS_FILE = "vars.fd"
CONSOLE_FILE = "console.log"
KCS_SOCKET = "kcs.sock"
NIC_PATH = "/machine/peripheral/nic0"
DISK_PATH = "/machine/peripheral/disk0"
# QEMU refuses an index that is taken, even by the same device; without an index none is taken.
_NO_INDEX = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class BootIndexes:
    nic: int
    disk: int


@dataclass(slots=True)
class BootOrder:
    """What the BMC asked for. `once` is used up by the first POST that sees it."""

    firmware_order: BootDevice
    once: BootDevice | None = None
    persistent: BootDevice = BootDevice.NONE

    def indexes(self) -> BootIndexes:
        """For the next POST. A CD or the firmware's set-up, which these machines lack, change nothing."""
        for wish in (self.once, self.persistent):
            if wish in (BootDevice.PXE, BootDevice.DISK):
                break
        else:
            wish = self.firmware_order
        return BootIndexes(nic=1, disk=2) if wish is BootDevice.PXE else BootIndexes(nic=2, disk=1)

    def used(self) -> None:
        self.once = None


def firmware_order(spec: NodeSpec) -> BootDevice:
    return BootDevice.PXE if spec.firmware_order == "network" else BootDevice.DISK


def reorder_steps(spec: NodeSpec, wanted: BootIndexes) -> list[tuple[str, int]]:
    """(object, bootindex) to set one after the other."""
    steps = [(NIC_PATH, _NO_INDEX), (NIC_PATH, wanted.nic)]
    if spec.disk_gib:
        steps = [(NIC_PATH, _NO_INDEX), (DISK_PATH, _NO_INDEX), (DISK_PATH, wanted.disk), (NIC_PATH, wanted.nic)]
    return steps


def argv(spec: NodeSpec, order: BootIndexes, *, qmp_fd: int, serial_fd: int, has_kcs: bool) -> list[str]:
    """File names are relative: QEMU is started in the machine's own directory.

    qmp_fd, serial_fd: our ends' peers of two connected socket pairs, inherited by QEMU.
    """
    words = [
        # QEMU must never outlive its supervisor, not even one that was killed.
        *["setpriv", "--pdeathsig", "KILL", "--", "qemu-system-x86_64"],
        *["-name", spec.name, "-nodefaults", "-display", "none", "-vga", "none"],
        *["-accel", "tcg,thread=multi,tb-size=256", "-cpu", "max"],
        *["-smp", str(spec.cpus), "-m", str(spec.memory_mib), "-uuid", spec.uuid, "-rtc", "base=utc"],
        *["-chardev", f"socket,id=qmp,fd={qmp_fd}", "-mon", "chardev=qmp,mode=control"],
        *[
            "-chardev",
            f"socket,id=serial,fd={serial_fd},logfile={CONSOLE_FILE},logappend=on",
            "-serial",
            "chardev:serial",
        ],
        *["-device", "virtio-rng-pci"],
        *["-smbios", f"type=1,manufacturer=Rackwright,product=Lab,serial={spec.serial}"],
        *["-netdev", f"tap,id=net0,ifname={spec.tap},script=no,downscript=no"],
        *_firmware(spec),
        *_nic(spec, order),
    ]
    if has_kcs:
        words += [
            "-chardev",
            f"socket,id=kcs,path={KCS_SOCKET},reconnect=1",
            "-device",
            "ipmi-bmc-extern,id=bmc0,chardev=kcs",
        ]
        words += ["-device", "isa-ipmi-kcs,bmc=bmc0"]
    return words + _disk(spec, order)


def _firmware(spec: NodeSpec) -> list[str]:
    if not spec.is_uefi:
        return ["-machine", "pc,graphics=off"]
    return [
        *["-machine", "q35,smm=off"],
        *["-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={OVMF_CODE}"],
        *["-drive", f"if=pflash,format=raw,unit=1,file={VARS_FILE}"],
    ]


def _nic(spec: NodeSpec, order: BootIndexes) -> list[str]:
    rom = ",romfile=" if spec.is_uefi else ""
    return ["-device", f"virtio-net-pci,id=nic0,netdev=net0,mac={spec.mac},bootindex={order.nic}{rom}"]


def _disk(spec: NodeSpec, order: BootIndexes) -> list[str]:
    if not spec.disk_gib:
        return []
    drive = f"if=none,id=drive0,file={DISK_FILE},format=raw,cache=unsafe,discard=unmap"
    device = f"virtio-blk-pci,id=disk0,drive=drive0,serial={spec.serial}-d0,bootindex={order.disk}"
    return ["-drive", drive, "-device", device]
