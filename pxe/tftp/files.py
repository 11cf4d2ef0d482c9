"""A read-only tree of plain files. Nothing outside of it can be named: each component is opened below the one before,
and links are refused (no stat, no open happens outside of the root).
"""

import os
import re
import stat
from pathlib import Path

from pxe.errors import FileMissing, FileRefused

_COMPONENT = re.compile(r"[A-Za-z0-9_+][A-Za-z0-9._+-]{0,127}\Z")
_DEEPEST = 8


class Tree:
    """Fulfils `pxe.needs.FileSource`. The root is looked up at each open, so it may be replaced by a new folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def open(self, name: str) -> int:
        """name: relative, `/` between components. Raises FileMissing or FileRefused."""
        parts = name.split("/") if len(name) <= 512 else []
        if not 1 <= len(parts) <= _DEEPEST or not all(_COMPONENT.match(part) for part in parts):
            raise FileRefused
        try:
            return self._walk(parts)
        except FileNotFoundError as cause:
            raise FileMissing from cause
        except OSError as cause:  # ELOOP: a link; ENOTDIR; EACCES
            raise FileRefused from cause

    def _walk(self, parts: list[str]) -> int:
        folder = os.open(self._root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in parts[:-1]:
                flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
                inner = os.open(part, flags, dir_fd=folder)
                os.close(folder)
                folder = inner
            # O_NONBLOCK: opening a named pipe must not wait for its writer.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            opened = os.open(parts[-1], flags, dir_fd=folder)
        finally:
            os.close(folder)
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            os.close(opened)
            raise FileRefused
        return opened
