from agent.inventory import disks
from tests.fakes.machine_tree import MachineTree


def _device(tree, name, path, **files):
    for file, content in ({"size": "2048", "queue/rotational": "1"} | files).items():
        tree.write(f"{path}/{file}", content)
    tree.link(f"sys/block/{name}", tree.root / path)


def test_sata_disk_with_serial_from_vpd(tmp_path):
    tree = MachineTree(tmp_path)
    path = "sys/devices/pci0000:00/0000:00:1f.2/ata3/host2/target2:0:0/2:0:0:0/block/sda"
    page = b"\0\x80\0\x14" + b"      WD-WCC4N000000"
    _device(
        tree,
        "sda",
        path,
        **{
            "device/vpd_pg80": page,
            "device/vendor": "ATA     ",
            "device/model": "WDC WD40EFRX",
            "device/wwid": "naa.50014ee2",
        },
    )
    (disk,) = disks.collect(tmp_path)
    assert (disk["bus"], disk["serial"], disk["model"]) == ("sata", "WD-WCC4N000000", "WDC WD40EFRX")
    assert (disk["wwn"], disk["is_rotational"], disk["by_path"]) == ("naa.50014ee2", True, "pci-0000:00:1f.2-ata-3")


def test_nvme_disk(tmp_path):
    tree = MachineTree(tmp_path)
    path = "sys/devices/pci0000:00/0000:01:00.0/nvme/nvme0/nvme0n1"
    more = {"device/serial": "S4EV  ", "device/model": "Samsung SSD", "wwid": "eui.0025"}
    _device(tree, "nvme0n1", path, **more)
    (disk,) = disks.collect(tmp_path)
    assert (disk["bus"], disk["serial"], disk["wwn"]) == ("nvme", "S4EV", "eui.0025")
    assert disk["by_path"] == "pci-0000:01:00.0-nvme-1"


def test_sas_disk_and_its_vendor(tmp_path):
    tree = MachineTree(tmp_path)
    path = "sys/devices/pci0000:00/0000:02:00.0/host0/port-0:0/end_device-0:0/target0:0:0/0:0:0:0/block/sdb"
    _device(tree, "sdb", path, **{"device/vendor": "SEAGATE", "device/model": "ST600"})
    (disk,) = disks.collect(tmp_path)
    assert (disk["bus"], disk["model"], disk["by_path"]) == ("sas", "SEAGATE ST600", "pci-0000:02:00.0-scsi-0:0:0:0")
    assert disk["serial"] is None


def test_partitions_in_order(tmp_path):
    tree = MachineTree(tmp_path)
    tree.disk("vda", 8192, serial="S")
    tree.partition("vda", 2, 4096, 1024)
    tree.partition("vda", 1, 1024, 2048)
    assert disks.partitions(tmp_path, "vda") == [(1024, 2048), (4096, 1024)]
