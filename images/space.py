"""Some of the file system stays free of images: the database lies on the same one, and has to go on."""

import os

from images.errors import NoSpace

SPARE_MOST = 1 << 30
SPARE_PART = 20


def refuse_scarce(handle: int) -> None:
    """Raises NoSpace when what is left on the file system of this open file is the spare part.

    That is a twentieth, and at most 1 GiB. A file system that does not say its size has none.
    """
    facts = os.fstatvfs(handle)
    if facts.f_bavail * facts.f_frsize < min(SPARE_MOST, facts.f_blocks * facts.f_frsize // SPARE_PART):
        raise NoSpace
