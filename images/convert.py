"""qcow2 to raw by qemu-img, in a child with limits, and only after images.formats has looked at the file."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from images import formats, tools
from images.errors import ImageRefused, NoSpace, no_space
from images.formats import Format
from images.space import refuse_scarce

MEMORY = 1024**3
CPU_S = 3600
TIMEOUT_S = 7200.0
SLACK = 16 * 1024**2


def to_raw(source: Path, out: Path, *, max_virtual: int = formats.MAX_VIRTUAL) -> formats.ImageFacts:
    """Write the disk of a qcow2 file to `out`, sparse. Raises ImageRefused, also if qemu-img refuses the file.

    The file is inspected here again, whatever the caller did: what is inspected and what is read must be the same file.
    """
    facts = formats.inspect(source)
    why = formats.refusal(facts, declared=Format.QCOW2.value, max_virtual=max_virtual)
    if why is not None:
        raise ImageRefused(why)
    limits = [f"--as={MEMORY}", f"--cpu={CPU_S}", f"--fsize={(facts.virtual_size_bytes or 0) + SLACK}", "--core=0"]
    # --image-opts would open the door to json: names; an absolute path with -f cannot be anything but a file.
    argv = ["prlimit", *limits, "--", "qemu-img", "convert", "-f", "qcow2", "-O", "raw", "-S", "64k"]
    with no_space(), _removed_when_scarce(out) as watch:
        try:
            tools.run([*argv, str(source.absolute()), str(out.absolute())], timeout_s=TIMEOUT_S, watch=watch)
        except tools.ToolFailed as cause:
            out.unlink(missing_ok=True)
            if "No space left" in str(cause):
                raise OSError(28, "No space left on device") from cause
            raise ImageRefused(f"qemu-img could not read the image: {str(cause)[-200:]}") from cause
    if out.stat().st_size != facts.virtual_size_bytes:
        out.unlink()
        raise ImageRefused("qemu-img made a disk of another size than the header says")
    return facts


@contextlib.contextmanager
def _removed_when_scarce(out: Path) -> Iterator[Callable[[], None]]:
    """What looks whether the disk gets full: a small file may unfold to a thousand times its size."""
    folder = os.open(out.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield lambda: refuse_scarce(folder)
    except NoSpace:
        out.unlink(missing_ok=True)
        raise
    finally:
        os.close(folder)
