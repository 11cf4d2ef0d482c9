"""Hands the image library to the image store: packing what came in, fetching from outside."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from appliance.domain.errors import Invalid, Unavailable
from appliance.services.image_faults import in_our_words
from images import configdrive, errors, fetch, importer

CONFIG_DRIVE_S = 120.0


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


def checker(limits: fetch.Limits) -> Callable[[str], None]:
    """What raises ImageRefused for an address that may not be asked."""

    def check_url(url: str) -> None:
        with in_our_words():
            fetch.check(url, limits=limits)

    return check_url


def timed_fetcher(
    limits: fetch.Limits,
) -> Callable[[str, float], contextlib.AbstractContextManager[fetch.Source]]:
    """What opens the body behind an address, which may take so many seconds. It raises ImageRefused, Unavailable."""

    @contextlib.contextmanager
    def fetch_within(url: str, within_s: float) -> Iterator[fetch.Source]:
        with in_our_words(), fetch.opened(url, limits=replace(limits, deadline_s=within_s)) as source:
            yield source

    return fetch_within


def drive_fetcher(
    trusted: tuple[IPv4Network | IPv6Network, ...],
) -> Callable[[str], contextlib.AbstractContextManager[fetch.Source]]:
    """The same for a config-drive, which is small and waited for. A flow tries again what may pass."""
    limits = fetch.Limits(max_bytes=configdrive.MAX_DRIVE, deadline_s=CONFIG_DRIVE_S, trusted=trusted)

    @contextlib.contextmanager
    def fetch_drive(url: str) -> Iterator[fetch.Source]:
        try:
            with fetch.opened(url, limits=limits) as source:
                yield source
        except errors.FetchFailed as cause:
            said = f"The config-drive could not be fetched: {cause}."
            raise (Unavailable(said) if cause.retryable else Invalid(said)) from cause
        except errors.ImageError as cause:
            raise Invalid(f"The config-drive could not be fetched: {cause}.") from cause

    return fetch_drive
