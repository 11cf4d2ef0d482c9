import json

import pytest

from agent.inventory import report
from tests.fakes.machine_tree import MachineTree


def _collect(root):
    return report.collect(
        root,
        boot_mac="52:54:00:00:00:01",
        bmc=None,
        address_of={"eth0": "10.0.0.5"}.get,
        neighbours={"eth0": {"chassis_id": "a", "port_id": "b"}},
        uptime_s=4.2,
    )


@pytest.fixture
def tree(tmp_path):
    return MachineTree(tmp_path)


def test_a_whole_machine(tree):
    tree.nic("eth0", "52:54:00:00:00:01")
    tree.nic("eth1", "52:54:00:00:00:02", slot="0000:00:05.0", carrier="0")
    (tree.root / "sys/class/net/lo").mkdir()
    tree.disk("vda", 4096 * 1024, serial="S-1")
    tree.write("sys/bus/pci/devices/0000:00:03.0/vendor", "0x1af4\n")
    tree.write("sys/bus/pci/devices/0000:00:03.0/device", "0x1000\n")
    tree.write("sys/bus/pci/devices/0000:00:03.0/class", "0x020000\n")
    found = _collect(tree.root)
    assert (found["manufacturer"], found["product"], found["serial"]) == ("Maker", "Model", "SN-1")
    assert found["uuid"] == str(tree.uuid)
    assert found["firmware"] == {"vendor": "Pretend Firmware", "version": "1.2"}
    assert (found["boot_mode"], found["is_secure_boot"]) == ("bios", False)
    cpu = found["cpu"]
    assert (cpu["sockets"], cpu["cores"], cpu["threads"], cpu["virtualization"]) == (2, 4, 4, "vmx")
    assert cpu["model"] == "Pretend(R) CPU @ 2.00GHz"
    assert found["memory_mib"] == 2048
    assert [nic["name"] for nic in found["nics"]] == ["eth0", "eth1"]
    assert found["nics"][0] == {
        "name": "eth0",
        "mac": "52:54:00:00:00:01",
        "driver": "virtio_net",
        "speed_mbps": 25000,
        "has_link": True,
        "pci": "0000:00:03.0",
        "address": "10.0.0.5",
        "lldp": {"chassis_id": "a", "port_id": "b"},
    }
    assert found["nics"][1]["has_link"] is False
    assert found["disks"] == [
        {
            "name": "/dev/vda",
            "size_bytes": 4096 * 1024,
            "serial": "S-1",
            "wwn": None,
            "model": None,
            "bus": "virtio",
            "is_rotational": False,
            "by_path": "pci-0000:00:04.0",
        }
    ]
    assert found["pci"] == [
        {"address": "0000:00:03.0", "vendor": "1af4", "device": "1000", "class": "020000", "driver": ""}
    ]
    assert found["timings"] == {"init": 2.5, "network": 3.5}
    json.dumps(found)


def test_an_empty_machine_is_reported_and_not_a_fault(tmp_path):
    found = _collect(tmp_path)
    assert found["uuid"] is None
    assert (found["memory_mib"], found["disks"], found["nics"], found["pci"]) == (0, [], [], [])


def test_memory_without_smbios_is_what_the_kernel_has(tree):
    (tree.root / "sys/firmware/dmi/tables/DMI").unlink()
    assert _collect(tree.root)["memory_mib"] == 3906


def test_uefi_with_secure_boot(tree):
    tree.write("sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", b"\6\0\0\0\1")
    found = _collect(tree.root)
    assert (found["boot_mode"], found["is_secure_boot"]) == ("uefi", True)


@pytest.mark.parametrize("size", ["-1", "1208925819614629174706176", "NaN", "", "0"])
def test_disks_of_impossible_size_are_left_out(tree, size):
    tree.disk("vda", 4096, serial="S")
    tree.write("sys/block/vda/size", size)
    assert _collect(tree.root)["disks"] == []


@pytest.mark.parametrize("name", ["loop0", "ram1", "sr0", "dm-0", "md127", "fd0", "nvme0c0n1"])
def test_what_is_no_disk(tree, name):
    tree.disk(name, 4096, serial=None)
    assert _collect(tree.root)["disks"] == []
