"""Readers may be slow: they never get all workers, and no project gets all that readers get."""

import contextlib
import threading
import warnings
from collections import Counter

import pytest

from appliance.domain.errors import Unavailable
from appliance.http.glance.downloads import Downloads


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "image"
    path.write_bytes(b"bytes")
    return path


def test_a_project_has_half_of_half_and_all_have_half(file):
    downloads = Downloads(8)
    with contextlib.ExitStack() as kept:
        first, *_ = [kept.enter_context(downloads.begin(file, whose)) for whose in ("blue", "blue", "red")]
        with pytest.raises(Unavailable, match="2 downloads of this project go on already"):
            downloads.begin(file, "blue")
        kept.enter_context(downloads.begin(file, "red"))
        with pytest.raises(Unavailable, match="4 downloads go on already"):
            downloads.begin(file, "green")
        first.close()
        first.close()
        with pytest.raises(Unavailable, match="of this project"):
            downloads.begin(file, "red")
        assert kept.enter_context(downloads.begin(file, "green")).read() == b"bytes"


def test_a_file_that_is_forgotten_or_not_there_keeps_no_place(file, tmp_path):
    downloads = Downloads(2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        for _ in range(3):
            downloads.begin(file, "blue")
    with pytest.raises(FileNotFoundError):
        downloads.begin(tmp_path / "none", "blue")
    downloads.begin(file, "blue").close()


def test_places_are_counted_in_threads(file):
    downloads, seen, found = Downloads(16), threading.Barrier(12), Counter()

    def read():
        seen.wait(30)
        try:
            opened = downloads.begin(file, "blue")
        except Unavailable:
            found["refused"] += 1
            opened = None
        seen.wait(30)
        found["read"] += opened is not None
        if opened is not None:
            opened.close()

    threads = [threading.Thread(target=read) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == {"read": 4, "refused": 8}
