"""Files that must be whole or absent, whatever happens while they are written."""

import errno
import os
import secrets
from pathlib import Path

from appliance.domain.errors import StorageFull

_FULL = {errno.ENOSPC, errno.EDQUOT}


def write_durably(path: Path, content: bytes, *, mode: int) -> None:
    """Write beside, flush to disk, rename: a reader or a power cut sees the old file or the new one, never half.

    mode: permissions from the first moment on. Raises StorageFull when the disk is; other OSErrors pass.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        sync_directory(path.parent)
    except OSError as cause:
        beside.unlink(missing_ok=True)
        if cause.errno in _FULL:
            raise StorageFull(f"{path} could not be written: {cause.strerror}", next_step="free space") from cause
        raise


def sync_directory(path: Path) -> None:
    """Make a rename in this directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
