import hashlib
import json
import shutil
import subprocess

import pytest

from images import convert, importer, tools
from images.errors import ImageRefused
from tests.images.test_stream import unfolded

pytestmark = pytest.mark.skipif(
    shutil.which("qemu-img") is None or shutil.which("prlimit") is None or shutil.which("sfdisk") is None,
    reason="qemu-utils, util-linux or fdisk is not installed",
)
MIB = 1024 * 1024


@pytest.fixture
def disk(tmp_path):
    """A small raw disk with a GPT and something in it."""
    path = tmp_path / "disk.raw"
    with path.open("wb") as file:
        file.truncate(8 * MIB)
        file.seek(3 * MIB)
        file.write(b"some data" * 1000)
    table = b"label: gpt\nstart=2048, size=8192, type=L\n"
    subprocess.run(["sfdisk", "-q", "--no-reread", path], input=table, check=True)
    (tmp_path / "into").mkdir()
    return path


def qcow2_of(disk, *options):
    out = disk.with_suffix(".qcow2")
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", *options, disk, out], check=True)
    return out


@pytest.mark.parametrize("options", [(), ("-c",), ("-o", "compat=0.10"), ("-c", "-o", "compression_type=zstd")])
def test_qcow2_unfolds_to_the_same_disk(disk, tmp_path, options):
    source = qcow2_of(disk, *options)
    prepared = importer.prepare(source, tmp_path / "into", declared="qcow2")
    assert unfolded(tmp_path / "into", prepared.stream)[0] == disk.read_bytes()
    assert (prepared.disk_format, prepared.virtual_size_bytes) == ("qcow2", 8 * MIB)
    assert prepared.to_json()["image_sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    assert sorted(path.name for path in (tmp_path / "into").iterdir()) == ["image.data", "image.index"]


def test_raw_is_packed_as_it_is_and_again_the_same(disk, tmp_path):
    first = importer.prepare(disk, tmp_path / "into")
    assert unfolded(tmp_path / "into", first.stream)[0] == disk.read_bytes()
    assert importer.prepare(disk, tmp_path / "into") == first
    json.dumps(first.to_json())


def test_qemu_img_never_sees_a_refused_file(disk, tmp_path, monkeypatch):
    base = qcow2_of(disk)
    evil = tmp_path / "evil.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base, evil], check=True)

    def never(*_arguments, **_options):
        raise AssertionError("a program was started")

    monkeypatch.setattr(tools, "run", never)
    for call in (
        lambda: importer.prepare(evil, tmp_path / "into"),
        lambda: convert.to_raw(evil, tmp_path / "out.raw"),
        lambda: importer.prepare(base, tmp_path / "into", declared="raw"),
        lambda: importer.prepare(base, tmp_path / "into", max_virtual=MIB),
    ):
        with pytest.raises(ImageRefused):
            call()


def test_a_broken_qcow2_is_refused_and_leaves_nothing(disk, tmp_path):
    source = qcow2_of(disk, "-c")
    data = bytearray(source.read_bytes())
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    source.write_bytes(data[: 5 * 65536])
    with pytest.raises(ImageRefused):
        importer.prepare(source, tmp_path / "into")
    assert list((tmp_path / "into").iterdir()) == []


def test_a_disk_without_a_table_in_qcow2_is_refused(tmp_path):
    (tmp_path / "into").mkdir()
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", tmp_path / "e.qcow2", "8M"], check=True)
    with pytest.raises(ImageRefused, match="no partition table"):
        importer.prepare(tmp_path / "e.qcow2", tmp_path / "into")
