"""write_image as a whole: from a web server on loopback to a file that plays the disk."""

import base64
import gzip
import os
import subprocess

import pytest

from agent import imaging, imaging_fetch, imaging_table
from agent.errors import Cancelled, NoAnswer, Refused
from agent.imaging import ImageNotWritten, write_image
from images import stream
from tests.fakes.image_server import TOKEN, ImageServer

MIB = 1024 * 1024
DRIVE = b"CONFIG DRIVE" * 1000
IMAGE_MIB = 24
DISK = 64 * MIB


@pytest.fixture(scope="session")
def image(tmp_path_factory):
    """The stream of a partitioned disk with noise, text and holes: (description, files, raw bytes)."""
    folder = tmp_path_factory.mktemp("image")
    raw = folder / "disk.raw"
    with raw.open("wb") as file:
        file.truncate(IMAGE_MIB * MIB)
        for at, data in ((0, b"boot code"), (3 * MIB, os.urandom(700_000)), (12 * MIB, b"text " * 1_100_000)):
            file.seek(at)
            file.write(data)
    table = b"label: gpt\n1: start=2048, size=2048\n2: start=4096, size=40960, name=root\n"
    subprocess.run(["sfdisk", "-q", "--no-reread", raw], input=table, check=True)
    described = stream.pack(raw, folder, image_sha256="00" * 32, level=1)
    files = {name: (folder / name).read_bytes() for name in ("image.data", "image.index")}
    return described.to_json(), files, raw.read_bytes()


@pytest.fixture
def server(image):
    with ImageServer(dict(image[1])) as serving:
        yield serving


@pytest.fixture
def machine(tmp_path):
    """A root folder with one disk full of somebody's old data."""
    (tmp_path / "sys/devices/pci0/virtio0/block/vda").mkdir(parents=True)
    (tmp_path / "sys/block").mkdir()
    (tmp_path / "sys/block/vda").symlink_to("../devices/pci0/virtio0/block/vda")
    (tmp_path / "sys/block/vda/size").write_text(str(DISK // 512))
    (tmp_path / "sys/block/vda/serial").write_text("S1")
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/vda").write_bytes(b"old data" * (DISK // 8))
    return tmp_path


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(imaging_fetch, "PAUSE_S", 0.0)


def params(image, server, **more):
    base = {"stream": image[0], "base_url": server.base_url, "token": TOKEN, "root_device": {}}
    return base | {"config_drive": base64.b64encode(DRIVE).decode()} | more


def write(image, server, machine, *, is_cancelled=lambda: False, reports=None, **more):
    told = [] if reports is None else reports
    return write_image(params(image, server, **more), told.append, is_cancelled, root=machine)


def disk(machine):
    return (machine / "dev/vda").read_bytes()


def test_the_disk_holds_the_image_and_the_drive(image, server, machine):
    reports = []
    result = write(image, server, machine, reports=reports)
    data = disk(machine)
    head = data[:MIB]
    partitions = imaging_table.read(head)
    # All of the image below its own backup table, which moved to the end of the real disk.
    assert data[2 * MIB : 22 * MIB] == image[2][2 * MIB : 22 * MIB]
    assert data[:446] == image[2][:446]
    drive = partitions[-1]
    assert drive.name == "config-2"
    assert data[drive.start : drive.start + len(DRIVE)] == DRIVE
    assert not any(data[drive.start + len(DRIVE) : drive.start + drive.length])
    assert (result["disk"], result["serial"], result["config_drive"]) == ("/dev/vda", "S1", "/dev/vda3")
    assert result["bytes_written"] == image[0]["used_bytes"] + len(DRIVE)
    assert reports[-1]["done"] == reports[-1]["total"] == image[0]["used_bytes"]
    verdict = subprocess.run(["sfdisk", "--verify", machine / "dev/vda"], capture_output=True, text=True, check=True)
    assert "No errors detected" in verdict.stdout


def test_no_old_data_shows_through(image, server, machine):
    write(image, server, machine)
    data = disk(machine)
    assert b"old data" not in data[: IMAGE_MIB * MIB]
    assert b"old data" not in data[-5 * MIB :]


def test_a_drive_may_come_gzipped(image, server, machine):
    packed = base64.b64encode(gzip.compress(DRIVE)).decode()
    write(image, server, machine, config_drive=None, config_drive_gzip=packed)
    drive = imaging_table.read(disk(machine)[:MIB])[-1]
    assert disk(machine)[drive.start : drive.start + len(DRIVE)] == DRIVE


def test_without_a_config_drive(image, server, machine):
    result = write(image, server, machine, config_drive=None)
    assert result["config_drive"] is None
    assert [part.number for part in imaging_table.read(disk(machine)[:MIB])] == [1, 2]


def test_a_repeated_command_gives_the_same_disk(image, server, machine):
    write(image, server, machine)
    first = disk(machine)
    write(image, server, machine)
    assert disk(machine)[MIB:-MIB] == first[MIB:-MIB]  # the new partition's identity is random


def test_broken_connections_are_taken_up_with_a_range(image, server, machine):
    middle = len(image[1]["image.data"]) // 2
    server.break_at = [100, middle, middle + 1]
    write(image, server, machine)
    assert disk(machine)[2 * MIB : 22 * MIB] == image[2][2 * MIB : 22 * MIB]
    ranges = [asked for path, asked in server.requests if "image.data" in path and asked]
    assert "bytes=100-" in ranges


def test_a_piece_that_came_wrong_is_fetched_again(image, server, machine):
    server.spoil = [len(image[1]["image.data"]) // 2]
    write(image, server, machine)
    assert disk(machine)[2 * MIB : 22 * MIB] == image[2][2 * MIB : 22 * MIB]


def test_a_spoilt_image_leaves_a_disk_that_does_not_boot(image, server, machine):
    data = bytearray(image[1]["image.data"])
    data[-5] ^= 1
    server.files["image.data"] = bytes(data)
    with pytest.raises(ImageNotWritten, match=r"broke off at \d+ %; the disk does not boot: .* wrong checksum"):
        write(image, server, machine)
    assert not any(disk(machine)[:MIB])


def test_a_spoilt_head_is_seen_before_anything_is_touched(image, server, machine):
    data = bytearray(image[1]["image.data"])
    data[3] ^= 1
    server.files["image.data"] = bytes(data)
    before = disk(machine)
    with pytest.raises(Exception, match="wrong checksum"):
        write(image, server, machine)
    assert disk(machine) == before


def test_a_cancel_leaves_a_disk_that_does_not_boot(image, server, machine):
    asked = []

    def is_cancelled():
        asked.append(1)
        return len(asked) > 6

    with pytest.raises(Cancelled):
        write(image, server, machine, is_cancelled=is_cancelled)
    assert not any(disk(machine)[:MIB])


def test_a_server_that_goes_away(image, server, machine):
    server.status = 503
    with pytest.raises(NoAnswer):
        write(image, server, machine)
    server.status = 404
    with pytest.raises(Refused, match="does not hand out the image"):
        write(image, server, machine)
    assert disk(machine).startswith(b"old data")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"root_device": {"serial": "other"}}, "no disk matches"),
        ({"root_device": {"min_size_bytes": 10**12}}, "no disk matches"),
        ({"config_drive": "not base64!"}, "not base64"),
        ({"config_drive_gzip": base64.b64encode(b"plain").decode()}, "not gzipped"),
        ({"config_drive_gzip": base64.b64encode(gzip.compress(bytes(65 * MIB))).decode()}, "longer than"),
        ({"config_drive": base64.b64encode(bytes(45 * MIB)).decode()}, "too small"),
        ({"base_url": "https://x/"}, "plain HTTP"),
        ({"base_url": "http://x:y/"}, "plain HTTP"),
        ({"stream": {}}, "version"),
        ({"token": None}, "needs"),
    ],
)
def test_what_is_refused_touches_nothing(image, server, machine, change, sentence):
    before = disk(machine)
    with pytest.raises(Refused, match=sentence):
        write(image, server, machine, **change)
    assert disk(machine) == before


def test_parameters_do_not_show_their_secrets(image, server):
    job = imaging.parse(params(image, server))
    assert TOKEN not in repr(job) + repr(job.data_url)


def test_urls():
    assert imaging_fetch.parse_url("http://[fd00::1]:8080/a?b") == ("fd00::1", 8080, "/a?b")
    assert imaging_fetch.parse_url("http://host/a") == ("host", 80, "/a")
