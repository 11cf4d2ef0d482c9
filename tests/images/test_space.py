"""Images leave some of the disk free, whichever way their bytes come."""

import io
import os
import time
from types import SimpleNamespace

import pytest

from images import checksum, convert, space, stream, tools
from images.errors import NoSpace

GIB = 1 << 30


@pytest.fixture
def disk(monkeypatch):
    """Sets how many bytes the file system has, and how many of them are free."""

    def looks(size, free):
        facts = SimpleNamespace(f_bavail=free // 512, f_blocks=size // 512, f_frsize=512)
        monkeypatch.setattr(os, "fstatvfs", lambda _handle: facts)

    return looks


@pytest.mark.parametrize(
    ("size", "free", "is_enough"),
    [(100 * GIB, GIB, True), (100 * GIB, GIB - 512, False), (GIB, GIB // 10, True), (GIB, GIB // 21, False),
     (0, 0, True)],
)  # fmt: skip
def test_a_twentieth_and_at_most_a_gibibyte_stays_free(disk, size, free, is_enough):
    disk(size, free)
    if is_enough:
        space.refuse_scarce(0)
    else:
        with pytest.raises(NoSpace):
            space.refuse_scarce(0)


def test_an_upload_leaves_it_free(disk, tmp_path):
    disk(100 * GIB, GIB // 2)
    with pytest.raises(NoSpace):
        checksum.receive(io.BytesIO(b"x"), tmp_path / "upload", max_bytes=10)
    assert list(tmp_path.iterdir()) == []


def test_packing_leaves_it_free(disk, tmp_path):
    (tmp_path / "raw").write_bytes(b"x" * 4096)
    disk(100 * GIB, GIB // 2)
    with pytest.raises(NoSpace):
        stream.pack(tmp_path / "raw", tmp_path, image_sha256="00")


def test_unfolding_leaves_it_free(disk, tmp_path, monkeypatch):
    monkeypatch.setattr(tools, "WATCH_S", 0.01)
    disk(100 * GIB, GIB // 2)
    (tmp_path / "raw").write_bytes(b"x")
    began = time.monotonic()
    with pytest.raises(NoSpace), convert._removed_when_scarce(tmp_path / "raw") as watch:
        tools.run(["sleep", "60"], timeout_s=60, watch=watch)
    assert list(tmp_path.iterdir()) == []
    assert time.monotonic() - began < 30


def test_a_watched_program_has_its_time_and_its_words(monkeypatch):
    monkeypatch.setattr(tools, "WATCH_S", 0.01)
    looks = []
    assert (
        tools.run(["sh", "-c", "cat; sleep 0.1"], timeout_s=30, stdin=b"said", watch=lambda: looks.append(1)) == "said"
    )
    assert looks
    with pytest.raises(tools.ToolFailed, match="ran out of time"):
        tools.run(["sleep", "60"], timeout_s=0.05, watch=lambda: None)
