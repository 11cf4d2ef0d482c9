"""Which transfer options we agree to (RFC 2348 blksize, 2349 tsize and timeout, 7440 windowsize). Pure.

A value out of its range, or not written in plain digits, is treated as if it had not been asked for (RFC 2347 §2).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

LARGEST_BLOCK = 1468  # Ethernet 1500 less IP, UDP and TFTP headers: never a fragment
LARGEST_WINDOW = 16
_DEFAULT_BLOCK = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """accepted: what the OACK says; empty means that no OACK is sent."""

    blksize: int = _DEFAULT_BLOCK
    windowsize: int = 1
    timeout_s: float = 1.0
    accepted: dict[str, str] = field(default_factory=dict)


def negotiate(asked: Mapping[str, str], *, size: int, largest_block: int = LARGEST_BLOCK) -> Terms:
    """size: of the file, in octets."""
    accepted: dict[str, str] = {}
    blksize, windowsize, timeout_s = _DEFAULT_BLOCK, 1, 1.0
    wanted = _number(asked.get("blksize", ""), 8, 65464)
    if wanted is not None:
        blksize = min(wanted, largest_block)
        accepted["blksize"] = str(blksize)
    if _number(asked.get("tsize", ""), 0, 2**63) is not None:
        accepted["tsize"] = str(size)
    wanted = _number(asked.get("timeout", ""), 1, 255)
    if wanted is not None and wanted <= 4:  # a slower clock would outlive the reaping of silent peers
        timeout_s = float(wanted)
        accepted["timeout"] = str(wanted)
    wanted = _number(asked.get("windowsize", ""), 1, 65535)
    if wanted is not None:
        windowsize = min(wanted, LARGEST_WINDOW)
        accepted["windowsize"] = str(windowsize)
    return Terms(blksize=blksize, windowsize=windowsize, timeout_s=timeout_s, accepted=accepted)


def _number(text: str, least: int, most: int) -> int | None:
    if not text.isascii() or not text.isdecimal() or len(text) > 19:
        return None
    value = int(text)
    return value if least <= value <= most else None
