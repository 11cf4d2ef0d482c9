"""What the native API's JSON looks like, as JSON Schema 2020-12 (OpenAPI 3.1). Tests hold answers against it."""

from typing import Any

from appliance.domain.lifecycle import State
from bmc.registry import DRIVER_NAMES
from bmc.types import BootDevice, PowerAction, PowerState

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
MAYBE_TEXT: Schema = {"type": ["string", "null"]}
BOOLEAN: Schema = {"type": "boolean"}
INTEGER: Schema = {"type": "integer"}
MAYBE_INTEGER: Schema = {"type": ["integer", "null"]}
MAYBE_NUMBER: Schema = {"type": ["number", "null"]}
OBJECT: Schema = {"type": "object"}
TIME: Schema = {"type": "string", "format": "date-time"}
MAYBE_TIME: Schema = {"type": ["string", "null"], "format": "date-time"}
UUID: Schema = {"type": "string", "format": "uuid"}
DRIVERS: Schema = {"type": "string", "enum": list(DRIVER_NAMES)}
MAC: Schema = {"type": "string", "examples": ["52:54:00:12:34:56"]}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def array(of: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": of, **more}


def maybe(what: Schema) -> Schema:
    return {"anyOf": [what, {"type": "null"}]}


def shown(**fields: Schema) -> Schema:
    """An answer: each field is always there."""
    return {"type": "object", "properties": fields, "required": list(fields)}


def wish(*required: str, **fields: Schema) -> Schema:
    """A request: other fields are refused by name."""
    made: Schema = {"type": "object", "properties": fields, "additionalProperties": False}
    return made | ({"required": list(required)} if required else {})


def page(of: Schema, *, marker: Schema = MAYBE_TEXT) -> Schema:
    """items, and what to give as `marker` (or `after`) for the next page; null at the end."""
    return shown(items=array(of), next=marker)


_BMC = {"address": MAYBE_TEXT, "udp_port": {"type": "integer", "minimum": 1, "maximum": 65535}, "username": MAYBE_TEXT}
_TEXTS = {"type": "object", "additionalProperties": True}
NODE_WISH: dict[str, Schema] = {
    "name": {"type": ["string", "null"], "maxLength": 63},
    "driver": DRIVERS,
    "bmc": maybe(wish(**_BMC, password={"type": ["string", "null"], "maxLength": 64, "writeOnly": True})),
    "driver_options": _TEXTS,
    "macs": array(MAC, maxItems=64),
    "boot_mode": {"enum": ["bios", "uefi", None]},
    "resource_class": {"type": ["string", "null"], "maxLength": 80},
    "rack": {"type": ["string", "null"], "maxLength": 63},
    "rack_unit": {"type": ["integer", "null"], "minimum": 1, "maximum": 100},
    "properties": _TEXTS,
    "extra": _TEXTS,
}
STEP = wish(
    "interface", "step", interface=TEXT, step=TEXT, args=OBJECT, order=INTEGER, priority=INTEGER
)  # fmt: skip
_WAITING = shown(**{"for": TEXT, "since": MAYBE_TIME, "deadline": MAYBE_TIME, "then": MAYBE_TEXT})
_FLOW: dict[str, Schema] = {
    "uuid": UUID, "kind": TEXT, "status": {"enum": ["active", "done", "failed", "aborted"]}, "step": MAYBE_TEXT,
    "actor": MAYBE_TEXT, "created_at": TIME, "updated_at": TIME, "finished_at": MAYBE_TIME, "reason": MAYBE_TEXT,
    "abort_asked": MAYBE_TEXT, "waiting": maybe(_WAITING), "deadline": MAYBE_TIME, "node": MAYBE_TEXT,
}  # fmt: skip
_SUBNET: dict[str, Schema] = {
    "uuid": UUID, "name": TEXT, "cidr": TEXT, "pool": TEXT, "interface": TEXT, "gateway": MAYBE_TEXT, "domain": TEXT,
    "lease_s": INTEGER, "created_at": TIME,
}  # fmt: skip

SCHEMAS: dict[str, Schema] = {
    "Error": shown(error=shown(code=TEXT, message=TEXT, why=TEXT, next=TEXT, request_id=TEXT)),
    "Node": shown(
        uuid=UUID, name=MAYBE_TEXT, version=INTEGER,
        provision_state={"enum": [str(state) for state in State]}, target_provision_state=MAYBE_TEXT,
        power_state={"enum": [*(state.value for state in PowerState), "error", None]}, target_power_state=MAYBE_TEXT,
        driver=DRIVERS,
        bmc=shown(**_BMC, password={"enum": ["******", None]}, verified_at=MAYBE_TIME),
        maintenance=BOOLEAN, maintenance_reason=MAYBE_TEXT, fault=MAYBE_TEXT, last_error=MAYBE_TEXT,
        failure=maybe(OBJECT), boot_mode={"enum": ["bios", "uefi", None]}, architecture=TEXT,
        resource_class=MAYBE_TEXT, rack=MAYBE_TEXT, rack_unit=MAYBE_INTEGER, properties=OBJECT, extra=OBJECT,
        driver_options=OBJECT, macs=array(MAC),
        ports=array(shown(uuid=UUID, mac=MAC, name=MAYBE_TEXT, address=MAYBE_TEXT, is_pxe=BOOLEAN)),
        instance=maybe(shown(image=MAYBE_TEXT, hostname=MAYBE_TEXT, address=MAYBE_TEXT)),
        agent=maybe(shown(address=MAYBE_TEXT, version=MAYBE_TEXT, seen_at=MAYBE_TIME)),
        waiting=maybe(_WAITING), progress=maybe(OBJECT),
        created_at=TIME, updated_at=TIME, provision_updated_at=TIME,
    ),
    "NodeWish": wish(**NODE_WISH),
    "NodeChange": wish(**NODE_WISH, version={"type": "integer", "description": "the row version that you saw"}),
    "Started": shown(node=ref("Node"), flow=shown(uuid=UUID)),
    "Flow": shown(**_FLOW),
    "FlowWithSteps": shown(
        **_FLOW,
        steps=array(shown(at=TIME, kind=TEXT, step=MAYBE_TEXT, message=TEXT, duration_s=MAYBE_NUMBER)),
    ),
    "Event": shown(
        id=INTEGER, at=TIME, kind=TEXT, actor=MAYBE_TEXT, message=TEXT, node=MAYBE_TEXT, mac=MAYBE_TEXT, data=OBJECT,
        duration_s=MAYBE_NUMBER,
    ),
    "Image": shown(
        uuid=UUID, name=MAYBE_TEXT, status=TEXT, problem=MAYBE_TEXT, waits_for=MAYBE_TEXT, disk_format=MAYBE_TEXT,
        not_deployable=MAYBE_TEXT, owner=MAYBE_TEXT, visibility=TEXT, protected=BOOLEAN, size_bytes=MAYBE_INTEGER,
        virtual_size_bytes=MAYBE_INTEGER, sha256=MAYBE_TEXT, properties=OBJECT, created_at=TIME, updated_at=TIME,
    ),
    "Subnet": shown(**_SUBNET),
    "NewSubnet": shown(**_SUBNET, warning=MAYBE_TEXT),
    "Lease": shown(address=TEXT, mac=MAC, hostname=MAYBE_TEXT, subnet=TEXT, expires_at=TIME),
    "Sighting": shown(
        mac=MAC, address=MAYBE_TEXT, firmware=MAYBE_TEXT, times_seen=INTEGER, first_seen_at=TIME, last_seen_at=TIME,
        product=MAYBE_TEXT, serial=MAYBE_TEXT, memory_mib=MAYBE_INTEGER,
    ),
    "Why": shown(
        sentence=TEXT, state=TEXT, target=MAYBE_TEXT, step=MAYBE_TEXT, waiting=maybe(_WAITING), failure=maybe(OBJECT),
        next=TEXT,
    ),
    "PowerAction": {"enum": [action.value for action in PowerAction]},
    "BootDevice": {"enum": [device.value for device in BootDevice]},
    "Sensor": shown(name=TEXT, kind=TEXT, value=MAYBE_NUMBER, unit=TEXT, health=TEXT),
    "SelEntry": shown(record_id=INTEGER, at_s=MAYBE_INTEGER, sensor=TEXT, event=TEXT, severity=TEXT),
    "BmcInfo": shown(
        firmware_version=TEXT, ipmi_version=TEXT, manufacturer_id=INTEGER, product_id=INTEGER, guid=MAYBE_TEXT,
        cipher_suite=MAYBE_INTEGER, address=TEXT, netmask=TEXT, gateway=TEXT, mac=TEXT, source=TEXT,
    ),
    "BulkResult": shown(line=INTEGER, ok=BOOLEAN, node=MAYBE_TEXT, error=maybe(OBJECT)),
    "Check": shown(name=TEXT, ok=BOOLEAN, detail=TEXT, next=TEXT),
}  # fmt: skip
