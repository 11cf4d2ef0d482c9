import hashlib
import io
from pathlib import Path

import pytest

from images import checksum
from images.errors import ChecksumMismatch, ImageRefused, NoSpace

DATA = b"image" * 500_000
DIGEST = hashlib.sha256(DATA).hexdigest()


def test_received_whole(tmp_path):
    got = checksum.receive(io.BytesIO(DATA), tmp_path / "upload", sha256=DIGEST.upper(), max_bytes=len(DATA))
    assert (got.size_bytes, got.sha256) == (len(DATA), DIGEST)
    assert (tmp_path / "upload").read_bytes() == DATA
    assert checksum.of(tmp_path / "upload") == DIGEST


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"sha256": "0" * 64, "max_bytes": len(DATA)}, ChecksumMismatch),
        ({"sha256": None, "max_bytes": len(DATA) - 1}, ImageRefused),
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
        checksum.receive(Breaking(), tmp_path / "upload", sha256=None, max_bytes=10)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is missing")
def test_a_full_disk_is_said_so(tmp_path):
    (tmp_path / "upload.part").symlink_to("/dev/full")
    with pytest.raises(NoSpace, match="full"):
        checksum.receive(io.BytesIO(DATA), tmp_path / "upload", sha256=None, max_bytes=len(DATA))
    assert list(tmp_path.iterdir()) == []
