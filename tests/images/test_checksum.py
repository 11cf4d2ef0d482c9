import hashlib
import io
from pathlib import Path

import pytest

from images import checksum
from images.errors import ChecksumMismatch, ImageRefused, NoSpace, TooLong

DATA = b"image" * 500_000
DIGEST = hashlib.sha256(DATA).hexdigest()


def test_received_whole(tmp_path):
    got = checksum.receive(
        io.BytesIO(DATA), tmp_path / "upload", expected=[("sha256", DIGEST.upper())], max_bytes=len(DATA)
    )
    assert (got.size_bytes, got.sha256) == (len(DATA), DIGEST)
    assert (tmp_path / "upload").read_bytes() == DATA
    assert checksum.of(tmp_path / "upload") == DIGEST
    assert (got.md5, got.sha512) == (hashlib.md5(DATA).hexdigest(), hashlib.sha512(DATA).hexdigest())


@pytest.mark.parametrize("data", [bytes(5 << 20), b"x" + bytes(3 << 20), bytes(3 << 20) + b"x", bytes(100), b""])
def test_zeros_become_holes_and_read_back_the_same(tmp_path, data):
    got = checksum.receive(io.BytesIO(data), tmp_path / "upload", max_bytes=1 << 30)
    assert (tmp_path / "upload").read_bytes() == data
    assert (got.size_bytes, got.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert (tmp_path / "upload").stat().st_blocks * 512 <= (2 << 20)


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"expected": [("sha256", "0" * 64)], "max_bytes": len(DATA)}, ChecksumMismatch),
        ({"expected": [("md5", "é")], "max_bytes": len(DATA)}, ChecksumMismatch),
        ({"max_bytes": len(DATA) - 1}, TooLong),
        ({"size_bytes": len(DATA) + 1, "max_bytes": 2 * len(DATA)}, ImageRefused),
    ],
)
def test_nothing_is_left_after_a_failure(tmp_path, options, fault):
    with pytest.raises(fault):
        checksum.receive(io.BytesIO(DATA), tmp_path / "upload", **options)
    assert list(tmp_path.iterdir()) == []


class Breaking(io.RawIOBase):
    def read(self, size=-1):
        raise OSError("the peer went away")


def test_a_failing_source_leaves_nothing(tmp_path):
    with pytest.raises(OSError, match="went away"):
        checksum.receive(Breaking(), tmp_path / "upload", max_bytes=10)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is missing")
def test_a_full_disk_is_said_so(tmp_path):
    (tmp_path / "upload.part").symlink_to("/dev/full")
    with pytest.raises(NoSpace, match="full"):
        checksum.receive(io.BytesIO(DATA), tmp_path / "upload", max_bytes=len(DATA))
    assert list(tmp_path.iterdir()) == []
