"""What the image library and the disk say when something goes wrong, in our words. The only place that translates."""

import contextlib
import errno
from collections.abc import Iterator

from appliance.domain.errors import Conflict, Invalid, RackwrightError, StorageFull, TooLarge, Unavailable
from images import errors, tools

_MAKE_ROOM = "delete images or enlarge the disk, then send it again"


class ImageRefused(Invalid):
    """The image was refused."""

    code = "image-refused"


class ChecksumDiffers(ImageRefused):
    """The bytes are not those that were promised."""


@contextlib.contextmanager
def in_our_words() -> Iterator[None]:
    """Raises ImageRefused, TooLarge, StorageFull, Unavailable, Conflict or RackwrightError instead."""
    try:
        yield
    except errors.ImageError as cause:
        raise _of_the_library(cause) from cause
    except (tools.ToolFailed, tools.ToolMissing) as cause:
        raise RackwrightError(str(cause), next_step="rackwright doctor") from cause
    except ConnectionError:  # the peer's, not the disk's
        raise
    except OSError as cause:
        raise _of_the_disk(cause) from cause


def _of_the_library(cause: errors.ImageError) -> RackwrightError:
    match cause:
        case errors.NoSpace():
            return StorageFull(next_step=_MAKE_ROOM)
        case errors.FetchFailed(retryable=True):
            return Unavailable(str(cause), next_step="try again")
        case errors.FetchFailed():
            return ImageRefused(str(cause), next_step="check the address")
        case errors.ChecksumMismatch():
            return ChecksumDiffers(
                f"the {cause.algorithm} checksum of the image differs",
                why=f"expected {cause.expected}, the bytes that came have {cause.actual}",
                next_step="fetch the image anew; nothing of it was kept",
            )
        case errors.TooLong():
            return TooLarge(str(cause))
        case _:
            return ImageRefused(str(cause))


def _of_the_disk(cause: OSError) -> RackwrightError:
    if isinstance(cause, FileNotFoundError):
        return Conflict("the image was deleted meanwhile", next_step="rackwright image list")
    if cause.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StorageFull(next_step=_MAKE_ROOM)
    return Unavailable(f"the image cannot be stored: {cause.strerror or cause}", next_step="rackwright doctor")
