import os

import pytest

from agent.errors import Refused
from agent.imaging_disk import Target, choose, partition_name

GIB = 1024**3


def disk(name, size, **more):
    base = {
        "name": name,
        "size_bytes": size * GIB,
        "serial": name[-1].upper(),
        "wwn": None,
        "model": "M",
        "bus": "sata",
    }
    return base | {"is_rotational": False, "by_path": None} | more


FOUND = [
    disk("/dev/sda", 500, is_rotational=True),
    disk("/dev/sdb", 100, model="Fast", wwn="naa.5"),
    disk("/dev/sdc", 8, bus="usb"),
    disk("/dev/nvme0n1", 200, bus="nvme", serial="N"),
]


@pytest.mark.parametrize(
    ("hints", "name"),
    [
        ({}, "/dev/sdb"),
        ({"serial": "A"}, "/dev/sda"),
        ({"name": "/dev/nvme0n1"}, "/dev/nvme0n1"),
        ({"name": "sda"}, "/dev/sda"),
        ({"wwn": "naa.5"}, "/dev/sdb"),
        ({"bus": "nvme"}, "/dev/nvme0n1"),
        ({"is_rotational": True}, "/dev/sda"),
        ({"min_size_bytes": 150 * GIB}, "/dev/nvme0n1"),
        ({"size_bytes": 500 * GIB}, "/dev/sda"),
    ],
)
def test_hints(hints, name):
    assert choose(FOUND, hints, need_bytes=GIB)["name"] == name


@pytest.mark.parametrize(
    ("hints", "need", "sentence"),
    [
        ({"serial": "Z"}, 1, "no disk matches"),
        ({"colour": "red"}, 1, "unknown hint"),
        ({"serial": "B"}, 101 * GIB, "too small: /dev/sdb"),
        ({}, 600 * GIB, "too small"),
    ],
)
def test_no_disk(hints, need, sentence):
    with pytest.raises(Refused, match=sentence):
        choose(FOUND, hints, need_bytes=need)


def test_usb_only_when_asked_for():
    assert choose(FOUND, {"bus": "usb"}, need_bytes=1)["name"] == "/dev/sdc"
    with pytest.raises(Refused):
        choose([FOUND[2]], {}, need_bytes=1)


def test_partition_names():
    assert partition_name("/dev/vda", 4) == "/dev/vda4"
    assert partition_name("/dev/nvme0n1", 4) == "/dev/nvme0n1p4"


def test_writing_and_zeroing_a_file(tmp_path):
    path = tmp_path / "disk"
    path.write_bytes(b"o" * 5_000_000)
    ticks = []
    with Target(path, 5_000_000) as target:
        target.zero(100, 3_000_000, lambda: ticks.append(1))
        target.write(4_000_000, b"new")
        target.discard()
        target.flush()
        target.read_partitions()
    data = path.read_bytes()
    assert data[:100] == b"o" * 100
    assert not any(data[100:3_000_100])
    assert data[3_000_100:3_000_101] == b"o"
    assert data[4_000_000:4_000_004] == b"newo"
    assert ticks


def test_a_disk_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(Refused, match=os.strerror(2)):
        Target(tmp_path / "vda", 1)
