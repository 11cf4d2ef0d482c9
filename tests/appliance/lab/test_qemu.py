import pytest

from appliance.lab import qemu, spec
from bmc.types import BootDevice

BIOS, UEFI = spec.rack(["bios", "uefi"]).nodes
NIC_FIRST, DISK_FIRST = qemu.BootIndexes(nic=1, disk=2), qemu.BootIndexes(nic=2, disk=1)


def words(node, order=NIC_FIRST, *, has_kcs=True):
    return qemu.argv(node, order, qmp_fd=7, serial_fd=8, has_kcs=has_kcs)


def option(argv, name):
    return [argv[i + 1] for i, word in enumerate(argv) if word == name]


def test_qemu_dies_with_its_supervisor():
    assert words(BIOS)[:4] == ["setpriv", "--pdeathsig", "KILL", "--"]


def test_the_machine_listens_on_no_port_of_anything():
    text = " ".join(words(BIOS) + words(UEFI))
    for forbidden in ("hostfwd", "-netdev user", "vnc", "telnet", "server=on", "tcp:"):
        assert forbidden not in text


def test_bios_speaks_on_the_serial_port_and_keeps_its_option_rom():
    argv = words(BIOS)
    assert option(argv, "-machine") == ["pc,graphics=off"]
    assert not any("romfile" in device for device in option(argv, "-device"))


def test_uefi_has_code_and_variables_and_no_option_rom():
    argv = words(UEFI)
    flashes = [drive for drive in option(argv, "-drive") if "pflash" in drive]
    assert "readonly=on" in flashes[0]
    assert qemu.VARS_FILE in flashes[1]
    assert any(device.endswith(",romfile=") for device in option(argv, "-device"))


def test_identity_reaches_the_operating_system():
    argv = words(BIOS)
    assert option(argv, "-uuid") == [BIOS.uuid]
    assert any(f"serial={BIOS.serial}" in words for words in option(argv, "-smbios"))
    assert any(f"mac={BIOS.mac}" in device for device in option(argv, "-device"))


def test_the_guest_reaches_the_same_bmc_over_kcs():
    assert "isa-ipmi-kcs,bmc=bmc0" in option(words(BIOS), "-device")
    assert "isa-ipmi-kcs,bmc=bmc0" not in option(words(BIOS, has_kcs=False), "-device")


def test_a_machine_without_disk_has_none():
    node = spec.rack(["bios"], disk_gib=0).nodes[0]
    assert not any("disk0" in word for word in words(node))
    assert qemu.reorder_steps(node, NIC_FIRST) == [(qemu.NIC_PATH, -1), (qemu.NIC_PATH, 1)]


@pytest.mark.parametrize("before", [NIC_FIRST, DISK_FIRST])
@pytest.mark.parametrize("after", [NIC_FIRST, DISK_FIRST])
def test_reordering_never_gives_an_index_twice(before, after):
    now = {qemu.NIC_PATH: before.nic, qemu.DISK_PATH: before.disk}
    for path, index in qemu.reorder_steps(BIOS, after):
        # QEMU 7.2 refuses an index that is in use, also by the device itself.
        assert index < 0 or index not in now.values()
        now[path] = index
    assert now == {qemu.NIC_PATH: after.nic, qemu.DISK_PATH: after.disk}


@pytest.mark.parametrize(
    ("own", "once", "persistent", "expected"),
    [
        (BootDevice.PXE, None, BootDevice.NONE, NIC_FIRST),
        (BootDevice.DISK, None, BootDevice.NONE, DISK_FIRST),
        (BootDevice.PXE, BootDevice.DISK, BootDevice.NONE, DISK_FIRST),
        (BootDevice.DISK, BootDevice.PXE, BootDevice.DISK, NIC_FIRST),
        (BootDevice.PXE, None, BootDevice.DISK, DISK_FIRST),
        (BootDevice.DISK, BootDevice.BIOS, BootDevice.PXE, NIC_FIRST),
        (BootDevice.DISK, BootDevice.CDROM, BootDevice.NONE, DISK_FIRST),
    ],
)
def test_once_beats_persistent_beats_the_firmware(own, once, persistent, expected):
    order = qemu.BootOrder(firmware_order=own, once=once, persistent=persistent)
    assert order.indexes() == expected


def test_once_is_used_up_and_persistent_is_not():
    order = qemu.BootOrder(firmware_order=BootDevice.DISK, once=BootDevice.DISK, persistent=BootDevice.PXE)
    order.used()
    assert order.indexes() == NIC_FIRST
    order.used()
    assert order.indexes() == NIC_FIRST
