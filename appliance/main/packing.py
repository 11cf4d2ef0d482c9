"""Hands the image library to the image store: packing what came in, fetching from outside."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from appliance.services.image_faults import in_our_words
from images import fetch, importer


def pack_image(
    source: Path, into: Path, *, sha256: str, disk_format: str | None, container_format: str | None
) -> importer.Prepared:
    """Look at the bytes, unfold them, pack them. Raises ImageRefused, StorageFull."""
    with in_our_words():
        if disk_format is None:
            return importer.prepare(source, into, image_sha256=sha256)
        return importer.keep(
            source, into, disk_format=disk_format, container_format=container_format or "bare", image_sha256=sha256
        )


def fetcher(limits: fetch.Limits) -> Callable[[str], contextlib.AbstractContextManager[fetch.Source]]:
    """What opens the body behind an address. It raises ImageRefused, Unavailable."""

    @contextlib.contextmanager
    def fetch_image(url: str) -> Iterator[fetch.Source]:
        with in_our_words(), fetch.opened(url, limits=limits) as source:
            yield source

    return fetch_image


def checker(limits: fetch.Limits) -> Callable[[str], None]:
    """What raises ImageRefused for an address that may not be asked."""

    def check_url(url: str) -> None:
        with in_our_words():
            fetch.check(url, limits=limits)

    return check_url
