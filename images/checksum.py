"""Bytes into a file, with their SHA-256 taken while they pass: complete and durable under its name, or not there."""

import contextlib
import hashlib
import hmac
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from images.errors import ChecksumMismatch, ImageRefused, no_space

CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    size_bytes: int
    sha256: str


def of(path: Path) -> str:
    """SHA-256 of a file, in lower-case hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def receive(source: BinaryIO, target: Path, *, sha256: str | None, max_bytes: int) -> Received:
    """Copy a stream to `target`, which appears only when all is there and the checksum (if given) is right.

    Raises ChecksumMismatch, ImageRefused if there is more than max_bytes, NoSpace; then nothing is left behind.
    """
    partial = target.with_name(target.name + ".part")
    with _removed_on_failure(partial), no_space():
        digest, size = hashlib.sha256(), 0
        with partial.open("wb") as out:
            while chunk := source.read(CHUNK):
                size += len(chunk)
                if size > max_bytes:
                    raise ImageRefused(f"the image has more than {max_bytes} bytes")
                digest.update(chunk)
                out.write(chunk)
            out.flush()
            os.fsync(out.fileno())
        actual = digest.hexdigest()
        if sha256 is not None and not hmac.compare_digest(sha256.strip().lower(), actual):
            raise ChecksumMismatch(sha256, actual)
        partial.replace(target)
    _flush_folder(target.parent)
    return Received(size_bytes=size, sha256=actual)


@contextlib.contextmanager
def _removed_on_failure(path: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
