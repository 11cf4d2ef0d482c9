"""Real firmware boots from a real netboot process until the kernel is asked for: SeaBIOS, OVMF by PXE, OVMF by HTTP."""

import json
import os
import shutil
import subprocess
import time
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from pxe.ipxe import agent_script, local_boot_script
from pxe.types import Mac
from tests.fakes.control import FakeControl, netboot_config
from tests.fakes.netns import Netns, finish

pytestmark = [
    pytest.mark.story,
    pytest.mark.timeout(300),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root for a network namespace"),
    pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="needs the package qemu-system-x86"),
]

MAC = "52:54:00:77:00:01"
OVMF = Path("/usr/share/OVMF")
QEMU = [
    "qemu-system-x86_64",
    *["-nodefaults", "-no-user-config", "-display", "none", "-accel", "tcg", "-cpu", "max", "-m", "512", "-no-reboot"],
    *["-device", "virtio-rng-pci", "-netdev", "tap,id=n0,ifname=tap1,script=no,downscript=no"],
]
BIOS = [*["-machine", "pc,graphics=off", "-device"], f"virtio-net-pci,netdev=n0,mac={MAC},bootindex=1"]


def uefi(tmp_path: Path, *, http: bool) -> list[str]:
    variables = tmp_path / "vars.fd"
    shutil.copy(OVMF / "OVMF_VARS_4M.fd", variables)
    argv = [
        *["-machine", "q35,graphics=off", "-drive"],
        f"if=pflash,unit=0,format=raw,readonly=on,file={OVMF}/OVMF_CODE_4M.fd",
        "-drive",
        f"if=pflash,unit=1,format=raw,file={variables}",
        "-device",
        f"virtio-net-pci,netdev=n0,mac={MAC},bootindex=1,romfile=",
    ]
    if http:
        for kind in ("IPv4PXESupport", "IPv6PXESupport"):
            argv += ["-fw_cfg", f"name=opt/org.tianocore/{kind},string=n"]
    return argv


@pytest.fixture
def rack(tmp_path):
    state = tmp_path / "state"
    boot = state / "boot"
    boot.mkdir(parents=True)
    for name in ("undionly.kpxe", "snponly.efi"):
        shutil.copy(f"/usr/lib/ipxe/{name}", boot / name)
    shutil.copy("/boot/ipxe.lkrn", boot / "vmlinuz")
    (boot / "initrd").write_bytes(b"\0" * 4096)
    control = FakeControl(netboot_config("br0", hosts=[{"mac": MAC, "hostname": "node1"}]))
    control.plan = lambda _asked: {"action": "boot", "why": "test", "node": "node1"}
    control.script = lambda asked: agent_script(
        server=IPv4Address(asked["server"]), mac=Mac(asked["mac"]), ca_sha256="ab" * 32, boot_secret="s" * 43
    )
    control.start(state / "run" / "control.sock")
    netns = Netns(taps=1)
    log = tmp_path / "netboot.log"
    process = netns.netboot(state, log)
    yield netns, control
    finish(process)
    netns.close()
    control.stop()
    print(log.read_text())


def boots(netns: Netns, control: FakeControl, argv: list[str], tmp_path: Path, *, within_s: float) -> float:
    """Seconds from power on until the machine has fetched its kernel."""
    console = tmp_path / "console.log"
    began = time.time()
    machine = netns.popen(
        [*QEMU, *argv, "-serial", f"file:{console}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while time.time() - began < within_s:
            for event in list(control.events):
                if event["kind"] == "http.start" and event["data"]["path"] == "/boot/vmlinuz":
                    return event["at"] - began
            assert machine.poll() is None, console.read_text(errors="replace")
            time.sleep(0.2)
        events = "\n".join(json.dumps(event) for event in control.events)
        raise AssertionError(f"no kernel after {within_s} s\n{events}\n{console.read_text(errors='replace')[-3000:]}")
    finally:
        finish(machine)


def addresses_of(control: FakeControl) -> set[str]:
    return {lease["address"] for lease in control.leases if lease["mac"] == MAC}


def test_bios_boots_the_agent(rack, tmp_path):
    netns, control = rack
    took_s = boots(netns, control, BIOS, tmp_path, within_s=200)
    print(f"BIOS power on to kernel request: {took_s:.1f} s")
    assert len(addresses_of(control)) == 1
    assert control.scripts_asked[0]["platform"] == "pcbios"
    assert control.scripts_asked[0]["mac"] == MAC


def test_uefi_boots_the_agent_over_tftp(rack, tmp_path):
    netns, control = rack
    took_s = boots(netns, control, uefi(tmp_path, http=False), tmp_path, within_s=200)
    print(f"UEFI PXE power on to kernel request: {took_s:.1f} s")
    assert "tftp.done" in control.kinds(MAC)
    assert len(addresses_of(control)) == 1
    assert control.scripts_asked[0]["platform"] == "efi"


def test_uefi_boots_the_agent_over_http(rack, tmp_path):
    netns, control = rack
    took_s = boots(netns, control, uefi(tmp_path, http=True), tmp_path, within_s=200)
    print(f"UEFI HTTP power on to kernel request: {took_s:.1f} s")
    assert "tftp.start" not in control.kinds(MAC)
    assert len(addresses_of(control)) == 1


def disk_that_says(text: str, tmp_path: Path) -> list[str]:
    """A boot sector that writes text to the serial port and stops."""
    code = b"\xba\xf8\x03" + b"".join(b"\xb0" + bytes((char,)) + b"\xee" for char in text.encode()) + b"\xf4\xeb\xfd"
    image = tmp_path / "disk.img"
    image.write_bytes(code.ljust(510, b"\0") + b"\x55\xaa" + bytes(1 << 20))
    return [
        "-drive",
        f"file={image},format=raw,if=none,id=d0",
        "-device",
        "virtio-blk-pci,drive=d0,bootindex=2",
    ]


@pytest.mark.parametrize("action", ["local", "boot"])
def test_bios_goes_on_to_its_own_disk(rack, tmp_path, action):
    """By having no boot file (local), and by the script that iPXE is given when the plan changed meanwhile (boot)."""
    netns, control = rack
    control.plan = lambda _asked: {"action": action, "why": "test", "node": "node1"}
    control.script = lambda _asked: local_boot_script("pcbios", why="active")
    console = tmp_path / "console.log"
    argv = [*QEMU, *BIOS, *disk_that_says("OWN-DISK-HERE", tmp_path), "-serial", f"file:{console}"]
    machine = netns.popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 200
        while not console.exists() or b"OWN-DISK-HERE" not in console.read_bytes():
            assert time.monotonic() < deadline, console.read_text(errors="replace")[-2000:]
            time.sleep(0.2)
    finally:
        finish(machine)
    assert bool(control.scripts_asked) is (action == "boot")


def test_undionly_over_tftp_takes_over_from_another_boot_rom(rack, tmp_path):
    """QEMU's ROM is an iPXE itself, so a script makes it load ours as a plain ROM would."""
    netns, control = rack
    agent = control.script

    def script(asked):
        first = len(control.scripts_asked) == 1
        return "#!ipxe\nchain tftp://${next-server}/undionly.kpxe\n" if first else agent(asked)

    control.script = script
    boots(netns, control, BIOS, tmp_path, within_s=200)
    assert [asked["platform"] for asked in control.scripts_asked] == ["pcbios", "pcbios"]
    assert "tftp.done" in control.kinds(MAC)
    assert len(addresses_of(control)) == 1
