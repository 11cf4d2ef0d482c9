"""What clients call our drivers, and which way of doing a thing (`deploy_interface` and so on) each really has.

The first way of each thing is the usual one. A way that is not listed is refused; so is what has only a `no-` way.
"""

from collections.abc import Mapping
from functools import cache

from appliance.http.ironic.errors import BadRequest
from bmc.registry import DRIVER_NAMES

_WIRE: Mapping[str, str] = {"fake": "fake-hardware", "manual": "manual-management"}
_OURS: Mapping[str, str] = {wire: ours for ours, wire in _WIRE.items()}

KINDS = (
    "bios", "boot", "console", "deploy", "firmware", "inspect", "management", "network", "power", "raid", "rescue",
    "storage", "vendor",
)  # fmt: skip
"""The things that have ways, each with its attribute `KIND_interface`."""

_USUAL: Mapping[str, tuple[str, ...]] = {
    "bios": ("no-bios",),
    "boot": ("ipxe", "pxe"),
    "console": ("no-console",),
    "deploy": ("direct",),
    "firmware": ("no-firmware",),
    "inspect": ("agent",),
    "network": ("noop", "flat"),
    "raid": ("no-raid",),
    "rescue": ("agent",),
    "storage": ("noop",),
    "vendor": ("no-vendor",),
}
_FAKE: Mapping[str, tuple[str, ...]] = {
    "bios": ("fake", "no-bios"),
    "boot": ("fake",),
    "console": ("no-console",),
    "deploy": ("fake", "direct"),
    "firmware": ("fake", "no-firmware"),
    "inspect": ("fake", "agent"),
    "management": ("fake",),
    "network": ("noop", "flat"),
    "power": ("fake",),
    "raid": ("fake", "no-raid"),
    "rescue": ("fake", "agent"),
    "storage": ("noop", "fake"),
    "vendor": ("no-vendor",),
}
_CONTROL: Mapping[str, tuple[str, str]] = {"ipmi": ("ipmitool", "ipmitool"), "manual": ("noop", "fake")}
"""Management and power, where they are not called as the driver is."""


def names() -> list[str]:
    """The drivers that there are, as clients call them."""
    return [to_wire(ours) for ours in DRIVER_NAMES]


def to_wire(ours: str) -> str:
    return _WIRE.get(ours, ours)


def to_ours(wire: str) -> str | None:
    """Our driver of this name; None when there is none."""
    ours = _OURS.get(wire, wire)
    return ours if ours in DRIVER_NAMES and to_wire(ours) == wire else None


def driver(wire: object) -> str:
    """Our driver, for one that a client asks for. Raises BadRequest."""
    ours = to_ours(wire) if isinstance(wire, str) else None
    if ours is None:
        raise BadRequest(
            f"No valid host was found. Reason: No conductor service registered which supports driver "
            f"{str(wire)[:64]} for conductor group ''."
        )
    return ours


@cache
def ways(ours: str) -> Mapping[str, tuple[str, ...]]:
    """By kind: what may be chosen with this driver, the usual one first."""
    if ours == "fake":
        return _FAKE
    management, power = _CONTROL.get(ours, (ours, ours))
    return {**_USUAL, "management": (management,), "power": (power,)}


def check(ours: str, kind: str, way: str) -> None:
    """Refuse a way that the driver does not have. Raises BadRequest."""
    if way not in ways(ours)[kind]:
        raise BadRequest(
            f"Could not find the following interface in the 'ironic.hardware.interfaces.{kind}' entrypoint: "
            f"{way[:64]}. Valid interfaces are {list(ways(ours)[kind])}."
        )


def unsupported(ours: str, what: str) -> BadRequest:
    """The refusal of what no way of this driver can do."""
    return BadRequest(f"Driver {to_wire(ours)} does not support {what} (disabled or not implemented).")
