"""What can go wrong with images. The docstring of each class is the public sentence; details are attributes."""

import contextlib
import errno
from collections.abc import Iterator


class ImageError(Exception):
    """Something about an image is not as it must be."""


class ImageRefused(ImageError):
    """The image cannot be used; the reason names what was found."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NoTable(ImageRefused):
    """The image is sound, but not a disk with partitions."""


class TooLong(ImageRefused):
    """The image has more bytes than are allowed."""


class Truncated(ImageError):
    """The file ended before the header that it announces."""


class BadConfigDrive(ImageError):
    """The config drive cannot be built from what was given."""


class NoSpace(ImageError):
    """The file system of the images is full; free some space and import again."""

    def __init__(self) -> None:
        super().__init__("the file system of the images is full; free some space and import again")


class ChecksumMismatch(ImageError):
    """The bytes are not those that the checksum stands for."""

    def __init__(self, expected: str, actual: str, *, algorithm: str) -> None:
        super().__init__(f"the {algorithm} is {actual}, expected {expected[:128]}")
        self.algorithm = algorithm
        self.expected = expected
        self.actual = actual


class FetchFailed(ImageError):
    """The image could not be downloaded."""

    def __init__(self, reason: str, *, retryable: bool) -> None:
        super().__init__(reason)
        self.retryable = retryable


class NoSource(ImageError):
    """apt has no source for the release; add one below /etc/apt/sources.list.d."""


@contextlib.contextmanager
def no_space() -> Iterator[None]:
    """Turn the operating system's way of saying that a disk is full into NoSpace."""
    try:
        yield
    except OSError as cause:
        if cause.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise NoSpace from cause
        raise
