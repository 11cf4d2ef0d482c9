"""Hardware that is not there at all: nodes of driver `fake` whose deploy interface is `fake`. Pure and repeatable.

Nothing boots and nothing is written: each piece of work takes as long as it is told to, fails as often as it is told
to, and ends. Machines with a pretend agent (appliance.domain.pretend) are the other kind of the same driver.
driver_options: {"fake_deploy_delay": 2, "fake_clean_delay": "1,5", "fail": {"deploy": 0.02}}; a delay is in seconds,
one number or a range, and those of the configuration ([fake]) hold where a node names none.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Protocol

from appliance.domain import pretend

Range = tuple[float, float]

NO_DELAY: Range = (0.0, 0.0)
LONGEST_S = 86400.0

KINDS = ("power", "deploy", "inspect", "raid", "bios", "rescue", "firmware", "clean", "service")
"""What can be slow, each with its option `fake_KIND_delay`."""


class Hardware(Protocol):
    """What of a node tells how its work is carried out."""

    @property
    def driver(self) -> str: ...
    @property
    def driver_options(self) -> Mapping[str, Any]: ...
    @property
    def interfaces(self) -> Mapping[str, Any]: ...


def is_fake(node: Hardware) -> bool:
    """Whether this node's work is only acted out: no agent, no image, no boot."""
    chosen = node.interfaces.get("deploy") or node.driver_options.get("deploy_interface")
    return node.driver == "fake" and chosen == "fake"


def delay_range(value: object) -> Range | None:
    """Seconds from..to; of a number, of "2", of "1,5" or of [1, 5]. None when it is none of these."""
    parts: list[Any] = value.split(",") if isinstance(value, str) else [value]
    if isinstance(value, list | tuple):
        parts = list(value)
    if not 1 <= len(parts) <= 2 or any(isinstance(part, bool) for part in parts):
        return None
    try:
        numbers = [float(part) for part in parts]
    except (TypeError, ValueError):
        return None
    low, high = numbers[0], numbers[-1]
    return (low, high) if 0 <= low <= high <= LONGEST_S else None


def delay_s(options: Mapping[str, Any], usual: Mapping[str, Range], kind: str, occasion: str) -> float:
    """How long one thing takes. occasion: names the one try, so that asking twice gives one answer."""
    low, high = delay_range(options.get(f"fake_{kind}_delay")) or usual.get(kind, NO_DELAY)
    if high <= low:
        return low
    draw = int.from_bytes(hashlib.sha256(f"delay {kind} {occasion}".encode()).digest()[:8], "big") / 2**64
    return low + (high - low) * draw


def fault(options: Mapping[str, Any], kind: str, occasion: str) -> str | None:
    """The public sentence of a failure that strikes this time, if one does."""
    return f"pretended fault: {kind}" if pretend.strikes(options, kind, occasion) else None
