"""Hands the image library to the image store: packing what came in, fetching from outside. Refusals become ours."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from appliance.domain.errors import Invalid, RackwrightError, StorageFull, Unavailable
from appliance.services.image_store import ImageRefused
from images import configdrive, errors, fetch, importer, tools

CONFIG_DRIVE_S = 120.0


@contextlib.contextmanager
def _in_our_words() -> Iterator[None]:
    try:
        yield
    except errors.NoSpace as cause:
        raise StorageFull(next_step="delete images or enlarge the disk, then import again") from cause
    except errors.FetchFailed as cause:
        raise Unavailable(str(cause), next_step="try again" if cause.retryable else "check the address") from cause
    except errors.ImageError as cause:
        raise ImageRefused(str(cause)) from cause
    except (tools.ToolFailed, tools.ToolMissing) as cause:
        raise RackwrightError(str(cause), next_step="rackwright doctor") from cause


def pack_image(source: Path, into: Path, *, sha256: str) -> importer.Prepared:
    """Look at the bytes, unfold them, pack them. Raises ImageRefused, StorageFull."""
    with _in_our_words():
        return importer.prepare(source, into, image_sha256=sha256)


@contextlib.contextmanager
def fetch_config_drive(url: str) -> Iterator[fetch.Source]:
    """The same for a config-drive, which is small and waited for. A flow tries again what may pass."""
    limits = fetch.Limits(max_bytes=configdrive.MAX_DRIVE, deadline_s=CONFIG_DRIVE_S)
    try:
        with fetch.opened(url, limits=limits) as source:
            yield source
    except errors.FetchFailed as cause:
        said = f"The config-drive could not be fetched: {cause}."
        raise (Unavailable(said) if cause.retryable else Invalid(said)) from cause
    except errors.ImageError as cause:
        raise Invalid(f"The config-drive could not be fetched: {cause}.") from cause


@contextlib.contextmanager
def fetch_image(url: str) -> Iterator[fetch.Source]:
    """The body behind a public address. Raises ImageRefused, Unavailable."""
    with _in_our_words(), fetch.opened(url) as source:
        yield source
