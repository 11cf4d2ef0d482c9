"""An image that lies elsewhere, as somebody names it: its address, what its bytes must be, and how they are packed.

The address may hold what opens it (a signature behind the question mark): it is sealed, never logged, and `shown`
without that.
"""

import hashlib
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from appliance.domain.errors import Invalid
from images import fetch
from images.errors import ImageRefused

DIGITS = {"md5": 32, "sha256": 64, "sha512": 128}
"""Algorithm -> hexadecimal digits of its checksum."""
FORMATS = ("raw", "qcow2")
MAX_FILE = 1024 * 1024
"""Bytes of a file of checksums."""

Checksum = tuple[str, str]
_NEXT = "give it as sha256:DIGITS, or as the URL of a file of checksums"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """checksum: (algorithm, digits); None when it stands in the file behind checksum_url. disk_format: None: any."""

    url: str = field(repr=False)
    checksum: Checksum | None
    checksum_url: str | None = field(repr=False)
    disk_format: str | None

    def open_part(self) -> dict[str, Any]:
        """What a flow may keep in the clear: enough to know the same image again."""
        return {
            "address": hashlib.sha256(self.url.encode()).hexdigest(), "shown": shown(self.url),
            "checksum": list(self.checksum) if self.checksum else None, "disk_format": self.disk_format,
        }  # fmt: skip

    def hidden_part(self) -> dict[str, str | None]:
        """All of it, as `read` takes it: to be sealed."""
        checksum = ":".join(self.checksum) if self.checksum else self.checksum_url
        return {"url": self.url, "checksum": checksum, "disk_format": self.disk_format}


def is_address(ref: object) -> bool:
    return isinstance(ref, str) and "://" in ref


def read(url: str, checksum: object, disk_format: object = None) -> Source:
    """What somebody asks for, checked as far as one can without asking anybody. Raises Invalid."""
    _refuse_odd("the image", url)
    if checksum is None or checksum == "":
        raise Invalid("an image that is fetched from a URL needs a checksum", next_step=_NEXT)
    if disk_format not in (None, *FORMATS):
        raise Invalid(f"an image that is fetched is {' or '.join(FORMATS)}", why=f"not {str(disk_format)[:40]!r}")
    text = str(checksum).strip()
    kind = str(disk_format) if disk_format else None
    if is_address(text):
        _refuse_odd("the checksum", text)
        return Source(url=url, checksum=None, checksum_url=text, disk_format=kind)
    return Source(url=url, checksum=_checksum(text), checksum_url=None, disk_format=kind)


def _refuse_odd(what: str, url: str) -> None:
    try:
        fetch.parsed(url)
    except ImageRefused as cause:
        raise Invalid(f"{what} cannot be fetched from there: {cause.reason}") from cause


def _checksum(text: str) -> Checksum:
    """`sha256:DIGITS`, or digits whose number tells the algorithm."""
    named, _, digits = text.rpartition(":")
    algorithm = named.lower() or next((name for name, count in DIGITS.items() if count == len(digits)), "")
    if algorithm not in DIGITS or not re.fullmatch(f"[0-9a-fA-F]{{{DIGITS[algorithm]}}}", digits):
        known = ", ".join(f"{name} ({count})" for name, count in DIGITS.items())
        raise Invalid("the checksum is not hexadecimal digits of an algorithm that is known", why=known)
    return algorithm, digits.lower()


def shown(url: str) -> str:
    """The address for people: without user, password, query and fragment."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "a malformed address"
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}{port}{parts.path}"[:2048]


def in_file(text: str, url: str) -> Checksum:
    """The checksum of the file that `url` names, in a file of checksums; or the only one there. Raises Invalid.

    Lines as of sha256sum (`DIGITS  NAME`, `DIGITS *NAME`) and BSD (`SHA256 (NAME) = DIGITS`).
    """
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if len(lines) == 1 and len(lines[0].split()) == 1:
        return _checksum(lines[0])
    name = urlsplit(url).path.rpartition("/")[2]
    for line in lines:
        words = line.split()
        if len(words) == 2 and words[1].removeprefix("*").removeprefix("./") == name:
            return _checksum(words[0])
        if len(words) == 4 and words[1:3] == [f"({name})", "="]:
            return _checksum(f"{words[0].lower()}:{words[3]}")
    raise Invalid(f"the file of checksums has no line for {name[:120]!r}")
