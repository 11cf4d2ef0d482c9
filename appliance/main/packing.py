"""From the bytes that came in to what agents fetch: look what they are, unfold them, pack them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from images import stream


def pack_image(source: Path, into: Path, *, sha256: str) -> Any:
    s = stream.pack(source, into, image_sha256=sha256)
    return SimpleNamespace(disk_format="raw", virtual_size_bytes=s.virtual_size_bytes, to_json=s.to_json)


def fetch_image(url: str) -> Any: ...
