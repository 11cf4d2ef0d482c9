import io
import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from images import formats
from images.errors import ImageError, ImageRefused
from images.formats import Format

MIB = 1024 * 1024


def qcow2(
    *, size=10 * MIB, backing=b"", bits=16, incompatible=0, crypt=0, l1_size=1, extension=b"", version=3, l1_at=0
):
    backing_at = 1024 if backing else 0
    head = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", version, backing_at, len(backing), bits, size, crypt, l1_size,
                       l1_at, 0, 1, 0, 0)  # fmt: skip
    head += struct.pack(">QQQII", incompatible, 0, 0, 4, 104) + extension + bytes(8)
    return head.ljust(1024, b"\0") + backing + bytes(4096)


def inspect(data):
    return formats.inspect(io.BytesIO(data))


def with_tail(mark):
    return bytes(4096) + mark.ljust(512, b"\0")


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (Format.EMPTY, b""),
        (Format.RAW, b"hello"),
        (Format.QCOW2, qcow2()),
        (Format.QCOW, b"QFI\xfb\0\0\0\1" + bytes(100)),
        (Format.VMDK, b"KDMV" + bytes(100)),
        (Format.VMDK, b"# Disk DescriptorFile\nversion=1\n"),
        (Format.VDI, bytes(64) + b"\x7f\x10\xda\xbe" + bytes(400)),
        (Format.VHD, with_tail(b"conectix")),
        (Format.VHD, b"conectix" + bytes(504)),
        (Format.DMG, with_tail(b"koly")),
        (Format.VHDX, b"vhdxfile" + bytes(100)),
        (Format.ISO, bytes(32769) + b"CD001" + bytes(100)),
        (Format.LUKS, b"LUKS\xba\xbe\0\2"),
        (Format.GZIP, b"\x1f\x8b\x08"),
        (Format.XZ, b"\xfd7zXZ\0"),
        (Format.ZSTD, b"\x28\xb5\x2f\xfd"),
        (Format.TAR, bytes(257) + b"ustar\0"),
    ],
)
def test_content_decides(kind, data):
    assert formats.detect(io.BytesIO(data)) is kind


def test_path_and_file_give_the_same(tmp_path):
    path = tmp_path / "image.raw"
    path.write_bytes(qcow2())
    assert formats.inspect(path) == inspect(qcow2())


@pytest.mark.parametrize("backing", [b"/etc/shadow", b'json:{"driver":"nbd"}', b"nbd://host", b"fd:3"])
def test_a_backing_file_is_refused_and_named(backing):
    facts = inspect(qcow2(backing=backing))
    assert facts.outside == (backing.decode(),)
    assert formats.refusal(facts) == f"the image refers to another file: {backing.decode()!r}"


def test_a_backing_file_beyond_the_end_is_still_refused():
    data = bytearray(qcow2(backing=b"x"))
    struct.pack_into(">Q", data, 8, 2**64 - 1)
    assert inspect(bytes(data)).outside == ("backing file",)


def test_an_external_data_file_is_refused_by_bit_and_by_name():
    name = struct.pack(">II", 0x44415441, 11) + b"/etc/shadow" + bytes(5)
    assert inspect(qcow2(incompatible=4)).outside == ("data file",)
    assert inspect(qcow2(extension=name)).outside == ("/etc/shadow",)
    assert formats.refusal(inspect(qcow2(extension=name))) is not None


@pytest.mark.parametrize(
    ("reason", "options"),
    [
        ("the image is encrypted", {"crypt": 2}),
        ("the image is marked as corrupt", {"incompatible": 2}),
        ("the image uses features that are not known", {"incompatible": 1 << 40}),
        ("clusters of 2^30 bytes are not allowed", {"bits": 30}),
        ("qcow2 version 9 is not known", {"version": 9}),
        ("its tables are too small for its size", {"size": 1 << 40}),
        ("its tables lie outside of the file", {"l1_at": 1 << 50}),
        ("0 bytes are not a whole number of 512-byte sectors", {"size": 0}),
        ("513 bytes are not a whole number of 512-byte sectors", {"size": 513}),
        ("the disk would have 4398046511104 bytes; 2199023255552 are allowed", {"size": 4 << 40, "l1_size": 8192}),
    ],
)
def test_reasons(reason, options):
    assert formats.refusal(inspect(qcow2(**options))) == reason


def test_a_sound_qcow2_is_accepted():
    facts = inspect(qcow2())
    assert formats.refusal(facts, declared="qcow2") is None
    assert facts.virtual_size_bytes == 10 * MIB
    assert formats.refusal(facts, declared="raw") == "format mismatch: called raw, but the file is qcow2"


def test_raw_needs_a_partition_table():
    gpt = bytes(512) + b"EFI PART" + bytes(504)
    mbr = bytearray(1024)
    mbr[450], mbr[510:512] = 0x83, b"\x55\xaa"
    assert inspect(gpt).table == "gpt"
    assert inspect(bytes(mbr)).table == "mbr"
    assert formats.refusal(inspect(gpt)) is None
    assert formats.refusal(inspect(bytes(1024))) == "the file is neither qcow2 nor a disk with a partition table"


def test_two_formats_at_once_are_refused():
    polyglot = bytearray(qcow2().ljust(40000, b"\0"))
    polyglot[32769:32774] = b"CD001"
    with pytest.raises(ImageRefused, match="iso and qcow2 at once"):
        formats.detect(io.BytesIO(bytes(polyglot)))


def test_vmdk_extents_are_named():
    text = b'# Disk DescriptorFile\nRW 100 FLAT "/etc/passwd" 0\nparentFileNameHint="base.vmdk"\n'
    facts = inspect(text)
    assert facts.outside == ("/etc/passwd", "base.vmdk")
    head = struct.pack("<4sIIQQQQ", b"KDMV", 1, 3, 20480, 128, 1, 2).ljust(512, b"\0")
    body = b'# Disk DescriptorFile\nRW 20480 SPARSE "own.vmdk"\nRW 5 FLAT "other.vmdk"\n'
    facts = inspect(head + body.ljust(1024, b"\0"))
    assert (facts.virtual_size_bytes, facts.outside) == (20480 * 512, ("other.vmdk",))
    assert formats.refusal(facts) == "images of the format vmdk are not accepted; use raw or qcow2"


@pytest.mark.parametrize(
    ("line", "named"),
    [
        (b'RW 5 SPARSE "/etc/shadow', "/etc/shadow"),  # qemu does not miss the last quotation mark
        (b'RW +5 SPARSE "/etc/shadow"', "/etc/shadow"),
        (b'RW\n5 SPARSE "/etc/shadow"', "/etc/shadow"),
        (b'RW 5SPARSE"/etc/shadow"', "/etc/shadow"),
        (b'\t RW 5 VMFSSPARSE"x"', "x"),
        (b'RW 20480 SPARSE "second.vmdk"', "second.vmdk"),
        (b'# parentFileNameHint="base.vmdk"', "base.vmdk"),  # found wherever it stands
        (b"parentFileNameHint=base.vmdk", ""),
    ],
)
def test_no_line_of_a_vmdk_refers_to_another_file(line, named):
    head = struct.pack("<4sIIQQQQ", b"KDMV", 1, 3, 20480, 128, 1, 2).ljust(512, b"\0")
    sound = b'# Disk DescriptorFile\ncreateType="monolithicSparse"\nRW 20480 SPARSE "own.vmdk"\n'
    assert inspect(head + sound.ljust(1024, b"\0")).outside == ()
    assert inspect(head + sound.ljust(1024, b"\0")).problems == ()
    (found,) = inspect(head + (sound + line + b"\n").ljust(1024, b"\0")).outside
    assert found.startswith(named)


def test_a_vmdk_without_capacity_is_not_of_one_file():
    head = struct.pack("<4sIIQQQQ", b"KDMV", 1, 3, 0, 128, 1, 2).ljust(512, b"\0")
    text = b'# Disk DescriptorFile\ncreateType="monolithicSparse"\nRW 20480 SPARSE "own.vmdk"\n'
    assert inspect(head + text.ljust(1024, b"\0")).problems


@pytest.mark.parametrize(
    "filler", [b"\n", b" ", b"\n ", b"RW 1", b'RW 1 SPARSE "\n', b"parentFileNameHint", b'createType="']
)
def test_a_text_that_was_made_to_be_slow_is_read_once(filler):
    began = time.process_time()
    inspect(b"# Disk DescriptorFile\n" + filler * (64 * 1024 // len(filler)))
    assert time.process_time() - began < 1


def test_vhd_and_vdi_sizes():
    vhd = bytearray(with_tail(b"conectix"))
    struct.pack_into(">QQQII", vhd, 4096 + 40, 5 * MIB, 5 * MIB, 0, 4, 0)
    struct.pack_into(">I", vhd, 4096 + 60, 4)
    assert inspect(bytes(vhd)).outside == ("parent disk",)
    vdi = bytearray(bytes(64) + b"\x7f\x10\xda\xbe" + bytes(400))
    struct.pack_into("<Q", vdi, 0x170, 7 * MIB)
    assert inspect(bytes(vdi)).virtual_size_bytes == 7 * MIB


@given(st.binary(max_size=600), st.sampled_from([b"", b"QFI\xfb\0\0\0\3", b"QFI\xfb\0\0\0\2", b"KDMV", b"conectix"]))
def test_any_bytes_give_facts_or_an_image_error(data, start):
    try:
        facts = inspect(start + data)
    except ImageError:
        return
    why = formats.refusal(facts)
    assert why is None or (why and len(why) < 500)
