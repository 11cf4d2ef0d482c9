"""The ramdisk in a real (emulated) machine: it boots, calls, reports, erases a disk and switches the machine off.

The ramdisk is kept in the stories' cache; the first run fetches about 100 MB of Debian packages.
QEMU's own user network is used, so the machine reaches nothing but this process.
"""

import subprocess
import time

import pytest

from images import ramdisk
from tests.fakes.fake_control import FakeControl
from tests.fakes.story_cache import RAMDISK, TREE

_MIB = 1024 * 1024
_MAC = "52:54:00:0a:0b:01"
_BOOT_S = 300

pytestmark = [pytest.mark.story, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def built():
    return ramdisk.build(TREE / ".build/boot", RAMDISK, report=print)


def _qemu(built, disks, words):
    argv = ["qemu-system-x86_64", "-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot"]
    argv += ["-accel", "tcg,thread=multi,tb-size=256", "-cpu", "max", "-m", "768", "-machine", "pc,graphics=off"]
    argv += [
        "-kernel",
        str(built.vmlinuz),
        "-initrd",
        str(built.initrd),
        "-append",
        f"console=ttyS0,115200 quiet {words}",
    ]
    argv += ["-netdev", "user,id=n0,restrict=off", "-device", f"virtio-net-pci,netdev=n0,romfile=,mac={_MAC}"]
    argv += ["-device", "ipmi-bmc-sim,id=bmc0", "-device", "isa-ipmi-kcs,bmc=bmc0"]
    for name, (path, device) in disks.items():
        argv += [
            "-drive",
            f"if=none,id={name},file={path},format=raw,cache=unsafe",
            "-device",
            f"{device},drive={name}",
        ]
    return argv


def _pattern(path, size):
    with path.open("wb") as out:
        for _ in range(size // _MIB):
            out.write(b"\xaa" * _MIB)


def test_the_ramdisk_is_small_and_an_unchanged_recipe_is_not_built_again(built):
    assert built.size_bytes <= 45 * _MIB
    said, begin = [], time.monotonic()
    again = ramdisk.build(TREE / ".build/boot", RAMDISK, report=said.append)
    assert (again, said) == (built, [])
    assert time.monotonic() - begin < 60


def test_a_machine_boots_calls_reports_and_is_erased(built, tmp_path):
    first, kept, nvme = tmp_path / "a.img", tmp_path / "b.img", tmp_path / "c.img"
    for path in (first, kept, nvme):
        _pattern(path, 16 * _MIB)
    subprocess.run(["sfdisk", "-q", str(first)], input=b"label: gpt\nsize=8MiB\n", check=True)
    # A partition whose superblock lies where only its own end tells.
    with first.open("r+b") as image:
        image.seek(9 * _MIB - 65536)
        image.write(b"\xbb" * 65536)
    disks = {
        "d0": (first, "virtio-blk-pci,serial=WIPE"),
        "d1": (kept, "virtio-blk-pci,serial=KEEP"),
        "d2": (nvme, "nvme,serial=NVME"),
    }
    control = FakeControl(tmp_path, seen_as="10.0.2.2")
    control.poll_s = 20
    with control.running(), (tmp_path / "console").open("wb") as console:
        argv = _qemu(built, disks, control.kernel_words(_MAC))
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=console, stderr=console) as machine:
            try:
                _story(control)
                machine.wait(120)
            finally:
                machine.kill()
    said = (tmp_path / "console").read_text(errors="replace")
    assert control.secret not in said
    assert "session-1" not in said
    data = first.read_bytes()
    for start in (0, 1, 8, 15):
        assert not any(data[start * _MIB : (start + 1) * _MIB]), start
    assert set(kept.read_bytes()) == {0xAA}
    assert not any(nvme.read_bytes())


def _story(control):
    control.await_that(lambda: control.inventories, _BOOT_S)
    assert control.lookups[0]["macs"] == [_MAC]
    inventory = control.inventories[0]
    assert [nic["mac"] for nic in inventory["nics"]] == [_MAC]
    assert {disk["serial"]: disk["bus"] for disk in inventory["disks"]} == {
        "WIPE": "virtio",
        "KEEP": "virtio",
        "NVME": "nvme",
    }
    assert inventory["memory_mib"] == 768
    assert inventory["bmc"]["ipmi_version"] == "2.0"
    assert inventory["timings"].keys() >= {"init", "cards", "network", "coldplug", "agent"}
    for uuid, name, params in (
        ("a1", "inspect", {}),
        ("a2", "erase", {"method": "metadata", "disks": ["WIPE"], "skip": ["KEEP"]}),
        ("a3", "erase", {"method": "shred", "disks": ["NVME"], "skip": ["KEEP"]}),
        ("a4", "power_off", {}),
    ):
        control.order(uuid, name, params)
        control.await_that(lambda uuid=uuid: control.final(uuid), 200)
        assert control.final(uuid)["status"] == "done", control.final(uuid)
    erased = control.final("a3")["result"]["disks"]
    assert {disk["serial"]: disk["how"] for disk in erased} == {
        "KEEP": "named to be skipped",
        "WIPE": "not asked for",
        "NVME": "NVMe format",
    }
