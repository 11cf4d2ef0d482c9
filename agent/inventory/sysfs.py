"""Small readers of sysfs. A file that is absent or cannot be read is None: devices come and go while we look."""

from pathlib import Path

_MAX_BYTES = 64 * 1024


def raw(path: Path) -> bytes | None:
    try:
        with path.open("rb") as source:
            return source.read(_MAX_BYTES)
    except OSError:
        return None


def line(path: Path) -> str | None:
    data = raw(path)
    return None if data is None else data.decode("utf-8", errors="replace").strip()


def link(path: Path) -> str | None:
    """The last part of a symbolic link's target."""
    try:
        return path.readlink().name
    except OSError:
        return None


def names(path: Path) -> list[str]:
    """Entries of a folder, sorted; empty if it is absent."""
    try:
        return sorted(child.name for child in path.iterdir())
    except OSError:
        return []


def text(path: Path) -> str:
    """A whole file of procfs, however long within reason; empty if it is absent."""
    try:
        with path.open("rb") as source:
            return source.read(4 * 1024 * 1024).decode("utf-8", errors="replace")
    except OSError:
        return ""
