"""Bytes into a file, with their checksums taken while they pass: complete and durable under its name, or not there.

MD5 is taken because the field's image services name images by it, and protects nothing. Blocks of zeros become holes,
so that a disk image of which little is used costs little.
"""

import contextlib
import hashlib
import hmac
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from images.errors import ChecksumMismatch, ImageRefused, TooLong, no_space
from images.space import refuse_scarce

CHUNK = 1024 * 1024
_ZEROS = bytes(CHUNK)
ALGORITHMS = ("md5", "sha256", "sha512")


class Source(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """Checksums in lower-case hexadecimal."""

    size_bytes: int
    md5: str
    sha256: str
    sha512: str


def of(path: Path) -> str:
    """SHA-256 of a file, in lower-case hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def receive(
    source: Source,
    target: Path,
    *,
    max_bytes: int,
    size_bytes: int | None = None,
    expected: Sequence[tuple[str, str]] = (),
) -> Received:
    """Copy a stream to `target`, which appears only when all is there and as it was promised.

    size_bytes: how much there must be, if known. expected: (algorithm, checksum in hexadecimal of either case).
    Raises ChecksumMismatch, TooLong above max_bytes, ImageRefused, NoSpace; then nothing is left behind.
    """
    partial = target.with_name(target.name + ".part")
    with _removed_on_failure(partial), no_space():
        got = _copied(source, partial, max_bytes)
        if size_bytes is not None and got.size_bytes != size_bytes:
            raise ImageRefused(f"the upload broke off after {got.size_bytes} of {size_bytes} bytes")
        for algorithm, wanted in expected:
            actual = getattr(got, algorithm)
            if not hmac.compare_digest(wanted.strip().lower().encode(), actual.encode()):
                raise ChecksumMismatch(wanted, actual, algorithm=algorithm)
        partial.replace(target)
    _flush_folder(target.parent)
    return got


def _copied(source: Source, partial: Path, max_bytes: int) -> Received:
    size = 0
    with partial.open("wb") as out, _Digests() as digests:
        while chunk := source.read(CHUNK):
            size += len(chunk)
            if size > max_bytes:
                raise TooLong(f"the image has more than {max_bytes} bytes")
            refuse_scarce(out.fileno())
            digests.update(chunk)
            if chunk == _ZEROS[: len(chunk)]:
                out.seek(size)
            else:
                out.write(chunk)
        out.truncate(size)
        out.flush()
        os.fsync(out.fileno())
        md5, sha256, sha512 = digests.values()
    return Received(size_bytes=size, md5=md5, sha256=sha256, sha512=sha512)


class _Digests:
    """The three at once, each in a thread of its own: together they take longer than the network or the disk.

    At most one piece waits for them, so that memory stays bounded. A short file, of one piece, needs no threads.
    """

    def __init__(self) -> None:
        self._digests = [hashlib.md5(usedforsecurity=False), hashlib.sha256(), hashlib.sha512()]
        self._pool = ThreadPoolExecutor(len(self._digests), thread_name_prefix="checksum")  # starts none by itself
        self._running: list[Future[None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def update(self, chunk: bytes) -> None:
        self._wait()
        if len(chunk) == CHUNK:
            self._running = [self._pool.submit(digest.update, chunk) for digest in self._digests]
        else:
            for digest in self._digests:
                digest.update(chunk)

    def values(self) -> list[str]:
        self._wait()
        return [digest.hexdigest() for digest in self._digests]

    def _wait(self) -> None:
        for future in self._running:
            future.result()
        self._running = []


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
