"""From a received file to what machines fetch: look at it, unfold it if it is qcow2, pack it as a stream.

Image.sha256 is that of the received file; the stream carries it, and each of its pieces is checked by the agent. The
raw disk in between exists only here, in the same folder, and is removed.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from images import checksum, convert, formats, stream
from images.errors import ImageRefused, NoTable
from images.formats import Format
from images.stream import Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """disk_format: what the bytes were found to be. virtual_size_bytes: None where nobody knows.

    stream: None if the image can be kept and handed out, but not be deployed; not_deployable says why.
    """

    disk_format: str
    virtual_size_bytes: int | None
    stream: Stream | None
    not_deployable: str = ""

    def to_json(self) -> dict[str, Any] | None:
        return self.stream.to_json() if self.stream else None


def keep(
    source: Path,
    into: Path,
    *,
    disk_format: str,
    container_format: str = "bare",
    image_sha256: str | None = None,
    max_virtual: int = formats.MAX_VIRTUAL,
) -> Prepared:
    """As `prepare`, but what is sound and cannot be deployed is kept: a kernel, an ISO, a file system without a table.

    Raises ImageRefused for what may not be kept as what it is called; then no program ever sees it.
    """
    facts = formats.inspect(source)
    why = formats.keep_refusal(
        facts, disk_format=disk_format, container_format=container_format, max_virtual=max_virtual
    )
    if why is not None:
        raise ImageRefused(why)
    if container_format != "bare" or disk_format not in formats.DEPLOYABLE:
        obstacle: str | None = f"it is {disk_format} in {container_format}; deploy needs raw or qcow2 in bare"
    else:
        obstacle = formats.refusal(facts, max_virtual=max_virtual)
    if obstacle is not None:
        return _kept(facts, obstacle)
    try:
        return prepare(source, into, image_sha256=image_sha256, max_virtual=max_virtual)
    except NoTable as cause:
        return _kept(facts, cause.reason)


def _kept(facts: formats.ImageFacts, why: str) -> Prepared:
    kind, size = facts.format.value, facts.virtual_size_bytes
    return Prepared(disk_format=kind, virtual_size_bytes=size, stream=None, not_deployable=why)


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
            _refuse_inside(formats.inspect(raw))
        packed = stream.pack(raw, into, image_sha256=digest)
    finally:
        unfolded.unlink(missing_ok=True)
    return Prepared(disk_format=facts.format.value, virtual_size_bytes=packed.virtual_size_bytes, stream=packed)


def _refuse_inside(inner: formats.ImageFacts) -> None:
    """What was unfolded is a disk, and not once more an image of one."""
    if inner.format not in formats.PLAIN:
        raise ImageRefused(f"inside the image is another one ({inner.format.value})")
    if inner.table is None:
        raise NoTable("the image has no partition table")
