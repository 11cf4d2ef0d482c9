"""Hostile and honest files against what their senders call them: what may be kept, what may be deployed, and why not.

The whole table goes through images.importer.keep, as an upload does; no program is started for what is refused.
"""

import io
import shutil
import struct
import uuid

import pytest

from images import formats, importer, tools
from images.errors import ImageError, ImageRefused
from tests.images.test_formats import MIB, qcow2, with_tail

KINDS = sorted(formats.CONTENT)


def mbr(size=4 * MIB):
    table = bytes([0x80, 0, 2, 0, 0x83, 0, 0, 0]) + (1).to_bytes(4, "little") + (2047).to_bytes(4, "little")
    return (bytes(446) + table + bytes(48) + b"\x55\xaa").ljust(size, b"\0")


def gpt():
    return (bytes(512) + b"EFI PART").ljust(4 * MIB, b"\0")


def iso(data=b""):
    return data.ljust(32769, b"\0") + b"CD001" + bytes(4096)


def vmdk(descriptor, *, sectors=4):
    head = struct.pack("<4sIIQQQQ", b"KDMV", 1, 3, 20480, 128, 1, sectors).ljust(512, b"\0")
    return (head + descriptor).ljust(64 * 1024, b"\0")


OWN = b'# Disk DescriptorFile\ncreateType="monolithicSparse"\nRW 20480 SPARSE "own.vmdk"\n'


def vhd(kind=3, size=5 * MIB):
    footer = bytearray(with_tail(b"conectix"))
    struct.pack_into(">Q", footer, 4096 + 48, size)
    struct.pack_into(">I", footer, 4096 + 60, kind)
    return bytes(footer)


def vdi(kind=1, size=5 * MIB):
    head = bytearray(bytes(64) + b"\x7f\x10\xda\xbe" + bytes(444))
    struct.pack_into("<I", head, 0x4C, kind)
    struct.pack_into("<Q", head, 0x170, size)
    return bytes(head)


def vhdx(*, flags=0, size=5 * MIB, has_locator=False, has_size=True):
    data = bytearray(MIB)
    data[:8] = b"vhdxfile"
    at, items = 512 * 1024, [("caa16737-fa36-4d43-b3b6-33f0aa44e76b", struct.pack("<II", MIB, flags))]
    if has_size:
        items.append(("2fa54224-cd1b-4876-b211-5dbed83bf4b8", struct.pack("<Q", size)))
    if has_locator:
        items.append(("a8d35f2d-b30b-454d-abf7-d3d84834ab0c", bytes(8)))
    region = uuid.UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e").bytes_le
    struct.pack_into("<4sIII16sQII", data, 192 * 1024, b"regi", 0, 1, 0, region, at, MIB, 1)
    struct.pack_into("<8sHH", data, at, b"metadata", 0, len(items))
    for number, (name, value) in enumerate(items):
        place = 65536 + 64 * number
        struct.pack_into("<16sIIQ", data, at + 32 + 32 * number, uuid.UUID(name).bytes_le, place, len(value), 0)
        data[at + place : at + place + len(value)] = value
    return bytes(data)


GOOD = {
    "raw": mbr(), "gpt": gpt(), "qcow2": qcow2(), "vmdk": vmdk(OWN), "vhd": vhd(), "vhdx": vhdx(), "vdi": vdi(),
    "ploop": b"WithoutFreeSpace" + bytes(4096), "iso": iso(), "ami": b"any", "ari": b"\x1f\x8b\x08gzip",
    "aki": b"\x7fELF" + bytes(100),
}  # fmt: skip


def keep(data, tmp_path, called, container="bare"):
    source, into = tmp_path / "upload", tmp_path / "into"
    source.write_bytes(data)
    into.mkdir(exist_ok=True)
    return importer.keep(source, into, disk_format=called, container_format=container)


@pytest.fixture
def no_program(monkeypatch):
    def never(*_arguments, **_options):
        raise AssertionError("a program was started")

    monkeypatch.setattr(tools, "run", never)


@pytest.mark.parametrize("called", [kind for kind in KINDS if kind != "qcow2"])
def test_what_is_called_by_its_name_is_kept(tmp_path, no_program, called):
    kept = keep(GOOD[called], tmp_path, called)
    assert (kept.stream is not None) == (called in {"raw", "gpt"})
    assert bool(kept.not_deployable) == (kept.stream is None)


@pytest.mark.parametrize("called", KINDS)
@pytest.mark.parametrize("really", ["qcow2", "vmdk", "vhd", "vhdx", "vdi", "ploop", "iso"])
def test_a_disk_of_another_format_is_refused(tmp_path, no_program, called, really):
    if called == really:
        return
    with pytest.raises(ImageRefused, match=f"format mismatch: called {called}"):
        keep(GOOD[really], tmp_path, called)


@pytest.mark.parametrize(
    ("called", "data", "reason"),
    [
        ("qcow2", mbr(), "format mismatch: called qcow2, but the file is raw"),
        ("qcow2", b"", "format mismatch: called qcow2, but the file is empty"),
        ("iso", mbr(), "format mismatch: called iso, but the file is raw"),
        ("gpt", mbr(), "format mismatch: called gpt, but the file has no GPT"),
        ("raw", b"LUKS\xba\xbe\0\2" + bytes(600), "but the file is luks"),
        ("raw", b"QED\0" + bytes(600), "but the file is qed"),
        ("raw", b"QFI\xfb\0\0\0\1" + bytes(600), "but the file is qcow"),
        ("raw", with_tail(b"koly"), "but the file is dmg"),
        ("qcow2", qcow2(backing=b"/etc/shadow"), "refers to another file: '/etc/shadow'"),
        ("qcow2", qcow2(backing=b'json:{"driver":"nbd"}'), "refers to another file"),
        ("qcow2", qcow2(backing=b"nbd://10.0.0.1"), "refers to another file"),
        ("qcow2", qcow2(backing=b"fd:3"), "refers to another file"),
        ("qcow2", qcow2(incompatible=4), "refers to another file: 'data file'"),
        ("qcow2", qcow2(extension=struct.pack(">II", 0x44415441, 11) + b"/etc/shadow" + bytes(5)), "'/etc/shadow'"),
        ("qcow2", qcow2(size=4 << 40, l1_size=8192), "more than 2199023255552 bytes"),
        ("qcow2", qcow2(crypt=1), "encrypted"),
        ("qcow2", qcow2(incompatible=1 << 40), "features that are not known"),
        ("vmdk", vmdk(OWN + b'RW 5 FLAT "/etc/passwd" 0\n'), "'/etc/passwd'"),
        ("vmdk", vmdk(OWN.replace(b'SPARSE "own.vmdk"', b'FLAT "own.vmdk" 0')), "'own.vmdk'"),
        ("vmdk", vmdk(OWN.replace(b"own.vmdk", b"../../etc/passwd")), "etc/passwd"),
        ("vmdk", vmdk(OWN + b'parentFileNameHint="base.vmdk"\n'), "'base.vmdk'"),
        ("vmdk", vmdk(OWN.replace(b"monolithicSparse", b"monolithicFlat")), "not of the kind"),
        ("vmdk", vmdk(OWN + b'createType="twoGbMaxExtentFlat"\n'), "not of the kind"),
        ("vmdk", vmdk(b""), "not of the kind"),
        ("vmdk", vmdk(OWN, sectors=1 << 40), "not of the kind"),
        ("vmdk", b'# Disk DescriptorFile\nRW 1 FLAT "/dev/sda" 0\n', "'/dev/sda'"),
        ("vmdk", b"COWD" + bytes(600), "extents"),
        ("vhd", vhd(kind=4), "parent disk"),
        ("vhd", vhd(kind=9), "parent disk"),
        ("vhd", vhd(size=4 << 40), "more than"),
        ("vhdx", vhdx(flags=2), "parent disk"),
        ("vhdx", vhdx(has_locator=True), "parent disk"),
        ("vhdx", vhdx(has_size=False), "metadata are broken"),
        ("vhdx", b"vhdxfile" + bytes(600), "metadata are broken"),
        ("vhdx", vhdx(size=4 << 40), "more than"),
        ("vdi", vdi(kind=4), "parent disk"),
        ("vdi", vdi(size=4 << 40), "more than"),
        ("iso", iso(qcow2()), "iso and qcow2 at once"),
        ("qcow2", iso(qcow2()), "iso and qcow2 at once"),
        ("raw", vhd() .replace(bytes(64), b"QFI\xfb\0\0\0\3" + bytes(56), 1), "qcow2 and vhd at once"),
    ],
)  # fmt: skip
def test_hostile_files_are_refused_with_the_reason(tmp_path, no_program, called, data, reason):
    with pytest.raises(ImageRefused) as refusal:
        keep(data, tmp_path, called)
    assert reason in str(refusal.value)
    assert list((tmp_path / "into").iterdir()) == []


@pytest.mark.parametrize("called", ["vmdk", "vhd", "vhdx", "vdi", "qcow2"])
def test_headers_cut_off_anywhere_give_facts_or_an_image_error(called):
    data, outcomes = GOOD[called], set()
    for end in (*range(0, 2048, 61), 192 * 1024 + 40, 512 * 1024 + 40, len(data)):
        try:
            facts = formats.inspect(io.BytesIO(data[:end]))
            outcomes.add(formats.keep_refusal(facts, disk_format=called) is None)
        except ImageError:
            outcomes.add(False)
    assert outcomes == {True, False}


@pytest.mark.parametrize(
    ("container", "data", "is_kept"),
    [
        ("ova", bytes(257) + b"ustar\0" + bytes(300), True),
        ("docker", bytes(257) + b"ustar\0" + bytes(300), True),
        ("ova", mbr(), False),
        ("compressed", b"\x1f\x8b\x08" + bytes(20), True),
        ("compressed", mbr(), False),
        ("compressed", qcow2(), False),
        ("ovf", mbr(), True),
        ("strange", mbr(), True),
    ],
)
def test_containers(tmp_path, no_program, container, data, is_kept):
    if not is_kept:
        with pytest.raises(ImageRefused, match=f"called {container}"):
            keep(data, tmp_path, "raw", container)
        return
    kept = keep(data, tmp_path, "raw", container)
    assert (kept.stream, container in kept.not_deployable) == (None, True)


@pytest.mark.parametrize("data", [b"text", b"", b"\x1f\x8b\x08gz", mbr() + b"x", bytes(4096), b"\x7fELF" + bytes(600)])
def test_plain_data_is_kept_and_not_deployed(tmp_path, no_program, data):
    kept = keep(data, tmp_path, "raw")
    assert kept.stream is None
    assert kept.not_deployable


@pytest.mark.skipif(shutil.which("qemu-img") is None or shutil.which("prlimit") is None, reason="qemu-utils is missing")
def test_what_is_in_a_qcow2(tmp_path):
    def packed(name, data):
        raw, out = tmp_path / "raw", tmp_path / name
        raw.write_bytes(data)
        tools.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(out)], timeout_s=60)
        return out.read_bytes()

    assert keep(packed("a", mbr()), tmp_path, "qcow2").stream is not None
    bare = keep(packed("b", b"file system".ljust(MIB, b"\0")), tmp_path, "qcow2")
    assert (bare.stream, bare.not_deployable) == (None, "the image has no partition table")
    assert (bare.disk_format, bare.virtual_size_bytes) == ("qcow2", MIB)
    with pytest.raises(ImageRefused, match="inside the image is another one"):
        keep(packed("c", qcow2(backing=b"/etc/shadow").ljust(MIB, b"\0")), tmp_path, "qcow2")
    broken = bytearray(packed("d", mbr()))
    broken[65536:131072] = b"\xff" * 65536
    with pytest.raises(ImageRefused):
        keep(bytes(broken)[:150000], tmp_path, "qcow2")
