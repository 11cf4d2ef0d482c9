import struct
import subprocess
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent import imaging_table as table
from agent.errors import Refused
from agent.imaging_table import MIB, SECTOR

GUID = bytes(range(16))
LINUX = table.LINUX_DATA


def gpt_head(partitions, *, sectors=64 * MIB // SECTOR, entries=128, size=128):
    """partitions: (first sector, last sector, name) by number."""
    rows = [b""] * entries
    for number, (first, last, name) in partitions.items():
        rows[number - 1] = table.ENTRY.pack(LINUX, bytes([number]) * 16, first, last, 0, name.encode("utf-16-le"))
    raw = b"".join(row.ljust(size, b"\0") for row in rows)
    fields = [
        b"EFI PART",
        0x10000,
        92,
        0,
        0,
        1,
        sectors - 1,
        34,
        sectors - 34,
        b"D" * 16,
        2,
        entries,
        size,
        zlib.crc32(raw),
    ]
    fields[3] = zlib.crc32(table.HEADER.pack(*fields))
    head = bytearray(MIB)
    head[450], head[510:512] = 0xEE, b"\x55\xaa"
    struct.pack_into("<II", head, 454, 1, sectors - 1)
    head[SECTOR : SECTOR + 92] = table.HEADER.pack(*fields)
    head[2 * SECTOR : 2 * SECTOR + len(raw)] = raw
    return bytes(head)


def disk_of(fitted, size, path):
    with path.open("wb") as file:
        file.truncate(size)
        file.write(fitted.head)
        file.seek(fitted.tail_offset)
        file.write(fitted.tail)


layouts = st.lists(st.integers(1, 8), min_size=0, max_size=6).map(
    lambda sizes: {
        number: (2048 * (1 + sum(sizes[: number - 1])), 2048 * (1 + sum(sizes[:number])) - 1, f"part {number}")
        for number in range(1, len(sizes) + 1)
    }
)


@given(layouts, st.integers(0, 5 * MIB), st.integers(64 * MIB // SECTOR, 10**12), st.sampled_from([128, 8]))
def test_a_fitted_table_reads_back_with_everything_in_it(layout, drive, sectors, entries):
    before = table.read(gpt_head(layout, entries=entries))
    fitted = table.fit(gpt_head(layout, entries=entries), sectors * SECTOR, drive, GUID)
    after = table.read(fitted.head)
    assert after[: len(before)] == before
    gpt = table.parse_gpt(fitted.head)
    assert gpt.backup_lba == sectors - 1
    assert fitted.tail_offset + len(fitted.tail) == sectors * SECTOR
    # The backup is the primary turned round: same entries, checksums right.
    backup = fitted.tail[-SECTOR:]
    fields = list(table.HEADER.unpack_from(backup))
    crc, fields[3] = fields[3], 0
    assert zlib.crc32(table.HEADER.pack(*fields)) == crc
    assert (fields[5], fields[6], fields[10] * SECTOR) == (sectors - 1, 1, fitted.tail_offset)
    if drive:
        assert after[-1] == fitted.drive
        assert fitted.drive.number == len(before) + 1
        assert fitted.drive.start % MIB == 0
        assert fitted.drive.length >= drive
        assert fitted.drive.start + fitted.drive.length <= fitted.tail_offset
        assert all(part.start + part.length <= fitted.drive.start for part in before)
    else:
        assert after == before


@settings(max_examples=5, deadline=None)
@given(st.sampled_from([64 * MIB, 100 * MIB + 512, 3 * 1024 * MIB]))
def test_sfdisk_agrees(tmp_path_factory, size):
    path = tmp_path_factory.mktemp("disk") / "disk"
    head = gpt_head({1: (2048, 4095, "bios"), 3: (8192, 65535, "root")})
    disk_of(table.fit(head, size, 400_000, GUID), size, path)
    said = subprocess.run(["sfdisk", "--verify", path], capture_output=True, text=True, check=True)
    assert "No errors detected" in said.stdout
    assert said.stderr == ""
    dump = subprocess.run(["sfdisk", "-d", path], capture_output=True, text=True, check=True).stdout
    assert 'name="config-2"' in dump
    assert f"{path}4 :" in dump.replace("  ", " ")


def test_what_does_not_fit_is_refused():
    head = gpt_head({1: (2048, 2048 * 60 - 1, "root")})
    with pytest.raises(Refused, match="no room"):
        table.fit(head, 62 * MIB, 3 * MIB, GUID)
    with pytest.raises(Refused, match="bigger than the disk"):
        table.fit(head, 50 * MIB, 0, GUID)
    full = gpt_head({number: (2048 * number, 2048 * number + 9, "x") for number in range(1, 5)}, entries=4)
    with pytest.raises(Refused, match="no room"):
        table.fit(full, 64 * MIB, MIB, GUID)


@pytest.mark.parametrize("at", [SECTOR + 12, SECTOR + 17, SECTOR + 40, SECTOR + 73, 2 * SECTOR + 5])
def test_a_broken_gpt_is_refused(at):
    head = bytearray(gpt_head({1: (2048, 4095, "root")}))
    head[at] ^= 0x55
    with pytest.raises(Refused, match="GPT"):
        table.read(bytes(head))


def mbr_head(entries):
    head = bytearray(MIB)
    head[510:512] = b"\x55\xaa"
    for number, (start, count) in entries.items():
        struct.pack_into("<B3sB3sII", head, 446 + 16 * (number - 1), 0x80, b"", 0x83, b"", start, count)
    return bytes(head)


def test_mbr():
    fitted = table.fit(mbr_head({1: (2048, 20480)}), 64 * MIB, 400_000, GUID)
    assert fitted.drive == table.Partition(2, 63 * MIB, MIB, "")
    assert table.read(fitted.head) == [table.Partition(1, MIB, 10 * MIB, ""), fitted.drive]
    assert fitted.tail == b""
    huge = table.fit(mbr_head({1: (2048, 20480)}), 5 * 1024**4, MIB, GUID)
    assert huge.drive.start + huge.drive.length <= 2**32 * SECTOR
    with pytest.raises(Refused, match="no room"):
        table.fit(mbr_head(dict.fromkeys(range(1, 5), (2048, 10))), 64 * MIB, MIB, GUID)
    with pytest.raises(Refused, match="no partition table"):
        table.fit(bytes(MIB), 64 * MIB, MIB, GUID)
    assert table.fit(bytes(MIB), 64 * MIB, 0, GUID).head == bytes(MIB)


@given(st.binary(max_size=2048), st.booleans())
def test_any_head_is_read_or_refused(data, has_signature):
    head = bytearray(data.ljust(MIB, b"\0"))
    if has_signature:
        head[SECTOR : SECTOR + 8] = b"EFI PART"
    try:
        assert isinstance(table.read(bytes(head)), list)
        table.fit(bytes(head), 64 * MIB, MIB, GUID)
    except Refused:
        pass
