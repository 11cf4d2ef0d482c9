"""A node as clients write it: each attribute checked once, into a wish of ours.

The tables here are all that may be written: an attribute that is in none is refused, at creation as in a patch.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from appliance.http.ironic import driver_info, hardware, secrets_masked
from appliance.http.ironic.errors import BadRequest
from appliance.http.ironic.node_access import is_name, is_uuid
from appliance.services.node_input import BmcAccess, Details, NewNode

LONGEST_DESCRIPTION = 4096
RESERVED_NAMES = ("detail", "validate", "states", "vendor_passthru", "management", "maintenance")
_GROUP = re.compile(r"[a-zA-Z0-9_.-]{0,255}\Z")
_TRUE, _FALSE = {"1", "t", "true", "on", "y", "yes"}, {"0", "f", "false", "off", "n", "no"}

Parser = Callable[[str, Any], Any]


def boolean(name: str, value: Any) -> bool | None:
    """True, false or null, or one of the words that the field takes for them."""
    if value is None or isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) and len(value) < 8 else ""
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise BadRequest(f"Expected boolean for {name}: {str(value)[:64]!r}")


def mark(name: str, value: Any) -> bool:
    return bool(boolean(name, value))


def text(limit: int) -> Parser:
    def parse(name: str, value: Any) -> str | None:
        if value is None:
            return None
        if not isinstance(value, str) or len(value) > limit or "\0" in value:
            raise BadRequest(f"Schema error for {name}: it is a text of at most {limit} characters")
        return value

    return parse


def word(limit: int) -> Parser:
    """As `text`; an empty one is none at all."""
    parse = text(limit)
    return lambda name, value: parse(name, value) or None


def uuid(name: str, value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not is_uuid(value):
        raise BadRequest(f"Expected UUID for {name}: {str(value)[:64]}")
    return value.lower()


def mapping(name: str, value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadRequest(f"Schema error for {name}: the {type(value).__name__} is not of type 'object'")  # maybe secret
    return value


def group(name: str, value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or not _GROUP.match(value):
        raise BadRequest(f"Expected a conductor group but received {str(value)[:64]} for {name}.")
    return value.lower()


def network_data(name: str, value: Any) -> dict[str, Any]:
    data = mapping(name, value)
    if set(data) - {"links", "networks", "services"} or not all(isinstance(part, list) for part in data.values()):
        raise BadRequest("Invalid network_data: it is an object with the lists links, networks and services")
    return data


def boot_mode(name: str, value: Any) -> str | None:
    if value not in (None, "bios", "uefi"):
        raise BadRequest(f"Invalid {name} {str(value)[:32]!r}. Allowed boot modes are: bios, uefi")
    return value if isinstance(value, str) else None


DETAILS: Mapping[str, tuple[str, Parser]] = {
    "description": ("description", text(LONGEST_DESCRIPTION)),
    "owner": ("owner", text(255)),
    "lessee": ("lessee", text(255)),
    "shard": ("shard", text(255)),
    "conductor_group": ("conductor_group", group),
    "chassis_uuid": ("chassis_uuid", uuid),
    "parent_node": ("parent", text(255)),
    "instance_uuid": ("instance_uuid", uuid),
    "instance_name": ("instance_name", text(255)),
    "network_data": ("network_data", network_data),
    "automated_clean": ("has_automated_clean", boolean),
    "protected": ("is_protected", mark),
    "protected_reason": ("protected_reason", text(4096)),
    "retired": ("is_retired", mark),
    "retired_reason": ("retired_reason", text(4096)),
    "disable_power_off": ("keeps_power", mark),
}
"""attribute -> (the detail of ours, its parser)."""

PLAIN: Mapping[str, Parser] = {"resource_class": word(80), "properties": mapping, "extra": mapping}
INTERFACES = {f"{kind}_interface": kind for kind in hardware.KINDS}
PATCHABLE = frozenset({*DETAILS, *PLAIN, *INTERFACES, "name", "driver", "driver_info", "instance_info", "maintenance"})
CREATABLE = (PATCHABLE - {"protected", "protected_reason"}) | {"uuid", "boot_mode", "secure_boot", "console_enabled"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What the node had before: of it depends what a mask stands for. secrets: as services.node_rules.unseal gives.

    uuid: of the node; empty for one that is being made.
    """

    uuid: str = ""
    driver: str = ""
    has_bmc_secret: bool = False
    secrets: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"driver": {}, "wishes": {}})


def name(value: Any, minor: int, *, of: str) -> str | None:
    """of: the UUID of the node that is renamed; empty for a new one."""
    if value is None:
        return None
    if not isinstance(value, str) or not is_name(value, minor) or is_uuid(value):
        what = f"Node {of}: Cannot change name to" if of else "Cannot create node with"
        raise BadRequest(f"{what} invalid name '{str(value)[:255]}'")
    if value in RESERVED_NAMES:
        raise BadRequest(
            f'The word "{value}" is reserved and can not be used as a node name. '
            f"Reserved words are: {', '.join(RESERVED_NAMES)}."
        )
    return value


def parse(body: Mapping[str, Any], minor: int, stored: Stored) -> tuple[NewNode, frozenset[str]]:
    """A wish made of attributes that may be written, and the names of ours that it gives. Raises BadRequest.

    `driver` is always among them. maintenance is not part of the wish: it is an act of its own.
    """
    driver = hardware.driver(body.get("driver"))
    given: set[str] = set()
    details: dict[str, Any] = {}
    for attribute, (ours, parser) in DETAILS.items():
        if attribute in body:
            details[ours] = parser(attribute, body[attribute])
            given.add(ours)
    plain = {key: parser(key, body[key]) for key, parser in PLAIN.items() if key in body}
    chosen = _interfaces(driver, body)
    access, options, secrets = _driver_info(driver, body, stored, deploy=chosen.pop("deploy", None))
    wishes, hidden = secrets_masked.split(
        mapping("instance_info", body.get("instance_info")), stored.secrets["wishes"], "instance_info"
    )
    secrets = {"driver": secrets, "wishes": hidden}
    wish = NewNode(
        name=name(body.get("name"), minor, of=stored.uuid), driver=driver, bmc=access, driver_options=options,
        boot_mode=boot_mode("boot_mode", body.get("boot_mode")),
        details=Details(
            **details, wishes=wishes, interfaces=chosen, uuid=uuid("uuid", body.get("uuid")), secrets=secrets
        ),
        **plain,
    )  # fmt: skip
    return wish, frozenset({*given, *plain, "name", "driver", "bmc", "driver_options", "wishes", "interfaces"})


def _interfaces(driver: str, body: Mapping[str, Any]) -> dict[str, str]:
    """What was chosen, by kind; the usual way is not kept, so that it may become another one."""
    chosen = {}
    for attribute, kind in INTERFACES.items():
        way = body.get(attribute)
        if way is None:
            continue
        if not isinstance(way, str):
            raise BadRequest(f"Schema error for {attribute}: it is a text")
        hardware.check(driver, kind, way)
        if way != hardware.ways(driver)[kind][0]:
            chosen[kind] = way
    return chosen


def _driver_info(
    driver: str, body: Mapping[str, Any], stored: Stored, *, deploy: str | None
) -> tuple[BmcAccess, dict[str, Any], dict[str, Any]]:
    """(access, options, secrets). A fake machine is deployed without an agent unless `direct` is asked for."""
    info = mapping("driver_info", body.get("driver_info"))
    if stored.driver and stored.driver != driver:  # the password of another driver's BMC goes nowhere else
        info = {key: value for key, value in info.items() if key != f"{stored.driver}_password"}
    access, rest = driver_info.parse(driver, info, has_secret=stored.has_bmc_secret and stored.driver == driver)
    options, secrets = secrets_masked.split(rest, stored.secrets["driver"], "driver_info")
    if driver == "fake" and (deploy or "fake") == "fake":
        options["deploy_interface"] = "fake"
    return access, options, secrets


def refuse_unknown(body: Mapping[str, Any]) -> None:
    """Attributes that cannot be written at creation, and those that would be without effect."""
    unknown = sorted(set(body) - CREATABLE)
    if unknown:
        raise BadRequest(
            f"Schema error for node: Additional properties are not allowed ('{unknown[0][:64]}' was unexpected)"
        )
    if "driver" not in body:
        raise BadRequest("Schema error for node: 'driver' is a required property")
    for attribute in ("secure_boot", "console_enabled"):
        if boolean(attribute, body.get(attribute)):
            raise BadRequest(f"{attribute} cannot be set when a node is created")
