import contextlib
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from images import ramdisk_elf


@pytest.mark.parametrize("path", ["/bin/ls", "/usr/bin/openssl", sys.executable])
def test_the_same_names_as_readelf(path):
    text = subprocess.run(["readelf", "-dlW", path], capture_output=True, check=True, text=True).stdout
    expected = [line.split("[")[1].rstrip("]") for line in text.splitlines() if "(NEEDED)" in line]
    interpreter = [line.split(": ")[1].rstrip("]") for line in text.splitlines() if "program interpreter" in line]
    assert sorted(ramdisk_elf.needed(Path(path).read_bytes())) == sorted(expected + interpreter)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_read(data):
    for candidate in (data, b"\x7fELF\x02\x01" + data):
        with contextlib.suppress(ramdisk_elf.NotElf):
            ramdisk_elf.needed(candidate)
