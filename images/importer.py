"""From a received file to what machines fetch: look at it, unfold it if it is qcow2, pack it as a stream.

Image.sha256 is that of the received file; the stream carries it, and each of its pieces is checked by the agent. The
raw disk in between exists only here, in the same folder, and is removed.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from images import checksum, convert, formats, stream
from images.errors import ImageRefused
from images.formats import Format
from images.stream import Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """disk_format: what the bytes were found to be."""

    disk_format: str
    virtual_size_bytes: int
    stream: Stream

    def to_json(self) -> dict[str, Any]:
        return self.stream.to_json()


def prepare(
    source: Path,
    into: Path,
    *,
    image_sha256: str | None = None,
    declared: str | None = None,
    max_virtual: int = formats.MAX_VIRTUAL,
) -> Prepared:
    """Write the stream's files into the folder `into`, which must exist; repeating it starts over.

    image_sha256: of the source, if it was taken when the file arrived; else it is taken now. Raises ImageRefused with
    the reason, NoSpace, tools.ToolMissing.
    """
    facts = formats.inspect(source)
    why = formats.refusal(facts, declared=declared, max_virtual=max_virtual)
    if why is not None:
        raise ImageRefused(why)
    digest = image_sha256 or checksum.of(source)
    raw, unfolded = source, into / "unfolded.raw"
    try:
        if facts.format is Format.QCOW2:
            convert.to_raw(source, unfolded, max_virtual=max_virtual)
            raw = unfolded
            if formats.inspect(raw).table is None:
                raise ImageRefused("the image has no partition table")
        packed = stream.pack(raw, into, image_sha256=digest)
    finally:
        unfolded.unlink(missing_ok=True)
    return Prepared(disk_format=facts.format.value, virtual_size_bytes=packed.virtual_size_bytes, stream=packed)
