import stat
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from images import ramdisk_cpio as cpio


def test_cpio_reads_what_we_write(tmp_path):
    entries = [
        cpio.file("usr/bin/tool", b"abc", executable=True),
        cpio.symlink("bin", "usr/bin"),
        cpio.file("etc/odd", b"12345"),
        cpio.file("etc/empty", b""),
        cpio.character_device("dev/null", 1, 3),
    ]
    data = cpio.archive(entries)
    listing = subprocess.run(["cpio", "-itv", "--quiet"], input=data, capture_output=True, check=True).stdout.decode()
    lines = {line.split()[-1] if "->" not in line else line.split()[-3]: line for line in listing.splitlines()}
    assert list(lines) == ["bin", "dev", "dev/null", "etc", "etc/empty", "etc/odd", "usr", "usr/bin", "usr/bin/tool"]
    assert lines["usr/bin/tool"].startswith("-rwxr-xr-x")
    assert lines["bin"].endswith("bin -> usr/bin")
    assert lines["dev/null"].startswith("crw-------")
    kept = [entry for entry in entries if not stat.S_ISCHR(entry.mode)]
    subprocess.run(["cpio", "-id", "--quiet"], input=cpio.archive(kept), cwd=tmp_path, check=True)
    assert (tmp_path / "bin/tool").read_bytes() == b"abc"
    assert (tmp_path / "etc/odd").read_bytes() == b"12345"


def test_equal_input_gives_equal_bytes_in_any_order():
    one, two = cpio.file("a", b"1"), cpio.file("b/c", b"2")
    assert cpio.archive([one, two]) == cpio.archive([two, one])


@given(st.binary(max_size=40))
def test_padding(data):
    padded = cpio.padded(data)
    assert len(padded) % 4 == 0
    assert padded[: len(data)] == data
    assert len(padded) - len(data) < 4


@pytest.mark.parametrize("path", ["a/b/c/d"])
def test_parents_come_before_children(path):
    data = cpio.archive([cpio.file(path, b"")])
    places = [data.index(name.encode() + b"\0") for name in ("a", "a/b", "a/b/c", path)]
    assert places == sorted(places)
