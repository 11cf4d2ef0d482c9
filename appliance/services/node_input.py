"""What people send about a node, checked once into a type: a wish. Unknown fields are refused by name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from appliance.domain import names
from appliance.domain.errors import Invalid
from appliance.domain.secret_names import holds_secret
from appliance.services.vault import MASK
from bmc.registry import DRIVER_NAMES

BOOT_MODES = ("bios", "uefi")
CHANGEABLE = frozenset(
    {
        "name",
        "driver",
        "bmc",
        "driver_options",
        "macs",
        "boot_mode",
        "resource_class",
        "rack",
        "rack_unit",
        "properties",
        "extra",
    }
)


NEEDS_ADDRESS = frozenset({"ipmi", "redfish"})
DEFAULT_PORTS = {"ipmi": 623, "redfish": 443}
BMC_PARTS = frozenset({"address", "udp_port", "username", "password"})


@dataclass(frozen=True, slots=True, kw_only=True)
class BmcAccess:
    """Where the BMC is and how to log in; password None = not known yet. given: the parts that somebody named."""

    address: str | None = None
    udp_port: int = 623
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    given: frozenset[str] = BMC_PARTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """What a node is to those who share machines out, checked; names and meanings as in models.node.

    uuid: None lets us choose. chassis_uuid, parent: of things that must be there (parent: UUID or name). secrets: those
    among driver_options and wishes, as {"driver": {…}, "wishes": {…}}; None leaves the stored ones.
    """

    uuid: str | None = None
    description: str | None = None
    owner: str | None = None
    lessee: str | None = None
    shard: str | None = None
    conductor_group: str = ""
    chassis_uuid: str | None = None
    parent: str | None = None
    instance_uuid: str | None = None
    instance_name: str | None = None
    wishes: Mapping[str, Any] = field(default_factory=dict)
    interfaces: Mapping[str, str] = field(default_factory=dict)
    network_data: Mapping[str, Any] = field(default_factory=dict)
    has_automated_clean: bool | None = None
    is_protected: bool = False
    protected_reason: str | None = None
    is_retired: bool = False
    retired_reason: str | None = None
    keeps_power: bool = False
    secrets: Mapping[str, Mapping[str, Any]] | None = field(default=None, repr=False)


PLAIN_DETAILS = frozenset(Details.__slots__) - {"uuid", "chassis_uuid", "parent", "secrets"}
"""Those that are columns of the same name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewNode:
    """A checked wish for a node. name: of a new one a DNS label, unless a face allows more."""

    name: str | None
    driver: str
    bmc: BmcAccess = field(default_factory=BmcAccess)
    driver_options: Mapping[str, Any] = field(default_factory=dict)
    macs: Sequence[str] = ()
    boot_mode: str | None = None
    resource_class: str | None = None
    rack: str | None = None
    rack_unit: int | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    details: Details = field(default_factory=Details)


def parse(body: Mapping[str, Any], *, partial: bool = False) -> tuple[NewNode, frozenset[str]]:
    """A checked wish from untrusted JSON, and the names of the fields that were given.

    partial: a change, so nothing is required. Raises Invalid naming the field.
    """
    unknown = set(body) - CHANGEABLE
    if unknown:
        raise Invalid(f"unknown field {min(unknown)!r}", next_step=f"known fields: {', '.join(sorted(CHANGEABLE))}")
    driver = _text(body, "driver", default="ipmi") or "ipmi"
    if driver not in DRIVER_NAMES:
        raise Invalid(f"unknown driver {driver!r}", why=f"the drivers are {', '.join(sorted(DRIVER_NAMES))}")
    boot_mode = _text(body, "boot_mode")
    if boot_mode is not None and boot_mode not in BOOT_MODES:
        raise Invalid(f"boot_mode is 'bios' or 'uefi', not {boot_mode!r}")
    name = _text(body, "name")
    access = _bmc(body.get("bmc"), driver)
    if not partial and driver in NEEDS_ADDRESS and access.address is None:
        raise Invalid(
            f"the {driver} driver needs bmc.address",
            next_step="rackwright node enroll NAME --bmc ADDRESS --username USER",
        )
    macs = body.get("macs") or []
    if not isinstance(macs, list) or len(macs) > 64 or not all(isinstance(item, str) for item in macs):
        raise Invalid("macs is a list of at most 64 MAC addresses")
    unit = body.get("rack_unit")
    if unit is not None and (not isinstance(unit, int) or isinstance(unit, bool) or not 1 <= unit <= 100):
        raise Invalid("rack_unit is a number from 1 to 100")
    wish = NewNode(
        name=names.hostname(name) if name is not None else None, driver=driver, bmc=access,
        driver_options=_options(body), macs=[names.mac(item) for item in macs], boot_mode=boot_mode,
        resource_class=_text(body, "resource_class", limit=80), rack=_text(body, "rack"), rack_unit=unit,
        properties=_mapping(body, "properties"), extra=_mapping(body, "extra"),
    )  # fmt: skip
    return wish, frozenset(body)


def _text(body: Mapping[str, Any], key: str, *, default: str | None = None, limit: int = 63) -> str | None:
    value = body.get(key, default)
    if value is not None and (not isinstance(value, str) or len(value) > limit or not value.isprintable()):
        raise Invalid(f"{key} is a text of at most {limit} printable characters")
    return value or None


def _mapping(body: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = body.get(key) or {}
    if not isinstance(value, dict):
        raise Invalid(f"{key} is an object of names and values")
    return value


def _options(body: Mapping[str, Any]) -> dict[str, Any]:
    """They are shown to whoever sees the node; the mask of a secret that another face sealed may come back."""
    options = _mapping(body, "driver_options")
    for name, value in options.items():
        if value != MASK and holds_secret(name, value):
            raise Invalid(f"driver_options hold no secrets, as {name[:40]!r}", next_step="give it as bmc.password")
    return options


def _bmc(value: Any, driver: str) -> BmcAccess:
    if value is None:
        return BmcAccess()
    if not isinstance(value, dict) or set(value) - BMC_PARTS:
        raise Invalid("bmc is an object with address, udp_port, username and password")
    port = value.get("udp_port", DEFAULT_PORTS.get(driver, 623))
    if not isinstance(port, int) or isinstance(port, bool) or not 1 <= port <= 65535:
        raise Invalid("bmc.udp_port is a number from 1 to 65535")
    address = _text(value, "address")
    password = _text(value, "password", limit=64)
    if password is not None and set(password) == {"*"}:
        raise Invalid("bmc.password is the mask, not a password", next_step="leave it out to keep the stored one")
    return BmcAccess(
        address=names.ip_address(address) if address else None,
        udp_port=port,
        username=_text(value, "username"),
        password=password,
        given=frozenset(value),
    )
