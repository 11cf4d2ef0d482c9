"""What a virtual rack consists of: values, their JSON form, and nothing that runs.

A rack is one network namespace with one bridge. Machine k (counted from 1) has the tap `tapK`, the MAC
`52:54:00:4c:00:KK` and a BMC on `10.77.0.(200+k)`. Everything can be told apart from the specification alone, so that
tearing down never has to guess.
"""

import ipaddress
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal, TypeVar, cast

from appliance.domain import names
from appliance.domain.errors import Invalid

Firmware = Literal["bios", "uefi"]
_Spec = TypeVar("_Spec", "NodeSpec", "RackSpec")

_FIRMWARES = ("bios", "uefi")
_BMC_OFFSET = 200
_MAX_NODES = 50
_UUID_SPACE = uuid.UUID("6a0c6c3e-7d1f-4d0b-9b53-0d9a5a8f5f10")


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSpec:
    """One machine. disk_gib 0 means no disk at all; firmware_order is what it tries first when the BMC asks nothing."""

    name: str
    firmware: Firmware
    mac: str
    bmc_address: str
    tap: str
    uuid: str
    serial: str
    memory_mib: int = 1024
    cpus: int = 1
    disk_gib: int = 8
    firmware_order: Literal["network", "disk"] = "network"
    bmc_username: str = "admin"
    bmc_password: str = "factory"  # noqa: S105  (the default that a BMC leaves the factory with; the appliance makes its own)

    @property
    def is_uefi(self) -> bool:
        return self.firmware == "uefi"


@dataclass(frozen=True, slots=True, kw_only=True)
class RackSpec:
    """The rack: `address` is the appliance's own, on the bridge; `prefix` its network."""

    namespace: str
    nodes: tuple[NodeSpec, ...]
    bridge: str = "br0"
    address: str = "10.77.0.1"
    prefix: int = 24
    address6: str = "fd77::1"

    @property
    def cidr(self) -> str:
        return str(ipaddress.ip_network(f"{self.address}/{self.prefix}", strict=False))

    def node(self, name: str) -> NodeSpec:
        for node in self.nodes:
            if node.name == name:
                return node
        raise Invalid(f"the rack has no machine {name!r}", why=f"it has {', '.join(n.name for n in self.nodes)}")


def rack(
    firmwares: Sequence[str],
    *,
    namespace: str = "rackwright-lab",
    prefix_name: str = "node",
    memory_mib: int = 1024,
    disk_gib: int = 8,
) -> RackSpec:
    """A rack with one machine per entry of firmwares (`bios` or `uefi`), named node1, node2, …"""
    if not 1 <= len(firmwares) <= _MAX_NODES:
        raise Invalid(f"a virtual rack has 1 to {_MAX_NODES} machines, not {len(firmwares)}")
    return RackSpec(
        namespace=_namespace(namespace),
        nodes=tuple(
            _node(f"{prefix_name}{k}", k, firmware, namespace=namespace, memory_mib=memory_mib, disk_gib=disk_gib)
            for k, firmware in enumerate(firmwares, start=1)
        ),
    )


def _node(name: str, k: int, firmware: str, *, namespace: str, memory_mib: int, disk_gib: int) -> NodeSpec:
    if firmware not in _FIRMWARES:
        raise Invalid(f"firmware {firmware!r} is not known", why="the lab has bios and uefi")
    return NodeSpec(
        name=name,
        firmware=cast("Firmware", firmware),
        mac=f"52:54:00:4c:00:{k:02x}",
        bmc_address=f"10.77.0.{_BMC_OFFSET + k}",
        tap=f"tap{k}",
        uuid=str(uuid.uuid5(_UUID_SPACE, f"{namespace}/{name}")),
        serial=f"LAB{k:05d}",
        memory_mib=memory_mib,
        disk_gib=disk_gib,
    )


def _namespace(name: str) -> str:
    if not name or len(name) > 60 or not all(c.isalnum() or c in "-_" for c in name):
        raise Invalid(f"{name[:80]!r} cannot name a network namespace", why="use letters, digits, hyphens")
    return name


def to_json(value: RackSpec | NodeSpec) -> str:
    return json.dumps(asdict(value), indent=1)


def rack_from_json(text: str) -> RackSpec:
    """Raises Invalid for anything that is not exactly a rack: unknown keys, missing keys, wrong types."""
    data = _object(text, "rack")
    nodes = data.pop("nodes", None)
    if not isinstance(nodes, list):
        raise Invalid("a rack needs a list `nodes`")
    made = tuple(_build(NodeSpec, node, "machine") for node in nodes)
    found = _build(RackSpec, {**data, "nodes": made}, "rack")
    _check(found)
    return found


def node_from_json(text: str) -> NodeSpec:
    return _build(NodeSpec, _object(text, "machine"), "machine")


def read_node(path: Path) -> NodeSpec:
    return node_from_json(path.read_text())


def _object(text: str, what: str) -> dict[str, object]:
    try:
        data = json.loads(text)
    except ValueError as cause:
        raise Invalid(f"the {what} is not JSON", why=str(cause)) from cause
    if not isinstance(data, dict):
        raise Invalid(f"the {what} is not a JSON object")
    return data


def _build(kind: type[_Spec], data: object, what: str) -> _Spec:
    if not isinstance(data, Mapping):
        raise Invalid(f"the {what} is not a JSON object")
    known = {f.name: f for f in fields(kind)}
    unknown = sorted(set(data) - set(known))
    if unknown:
        raise Invalid(f"the {what} has unknown keys: {', '.join(map(str, unknown))[:200]}")
    for name, value in data.items():
        wanted = {"int": int, "str": str}.get(getattr(known[name].type, "__name__", ""))
        if wanted is not None and (not isinstance(value, wanted) or isinstance(value, bool)):
            raise Invalid(f"{name} of the {what} is not a {wanted.__name__}")
    for name, allowed in (("firmware", _FIRMWARES), ("firmware_order", ("network", "disk"))):
        if name in data and data[name] not in allowed:
            raise Invalid(f"{name} {data[name]!r} of the {what} is not known", why=f"it is one of {', '.join(allowed)}")
    try:
        return kind(**data)
    except TypeError as cause:
        raise Invalid(f"the {what} is incomplete", why=str(cause)) from cause


def _check(found: RackSpec) -> None:
    """Refuse what would collide on the bridge."""
    _namespace(found.namespace)
    for node in found.nodes:
        names.hostname(node.name)  # it names a directory, too
        names.mac(node.mac)
        names.ip_address(node.bmc_address)
    for field, values in (
        ("name", [n.name for n in found.nodes]),
        ("mac", [n.mac for n in found.nodes]),
        ("tap", [n.tap for n in found.nodes]),
        ("bmc_address", [n.bmc_address for n in found.nodes]),
    ):
        if len(set(values)) != len(values):
            raise Invalid(f"two machines of the rack have the same {field}")
