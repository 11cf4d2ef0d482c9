"""The attributes of a node on this face: since which version each is there, and where each comes from.

Plain ones are a column of ours as it is, or after one small step; the others are worked out from several columns.
A `Shape` is one wish of a client (which attributes, in which version) made ready: the columns to read, and the function
that makes the answer of a row. Shapes are kept, for clients ask the same again and again.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache, lru_cache
from typing import Any

import orjson
from sqlalchemy import Row, Select

from appliance.http.ironic import driver_info, hardware
from appliance.http.ironic.errors import HOST
from appliance.http.ironic.fields import Fields
from appliance.http.ironic.kind_rows import EPOCH
from appliance.models.node import Node
from appliance.services import node_reading

SINCE: Mapping[str, int] = {
    "uuid": 1, "name": 5, "instance_uuid": 1, "instance_name": 104, "driver": 1, "driver_info": 1,
    "driver_internal_info": 3, "instance_info": 1, "properties": 1, "extra": 1, "chassis_uuid": 1, "resource_class": 21,
    "traits": 37, "provision_state": 1, "target_provision_state": 1, "provision_updated_at": 1, "power_state": 1,
    "target_power_state": 1, "last_error": 1, "maintenance": 1, "maintenance_reason": 1, "fault": 42, "reservation": 1,
    "console_enabled": 1, "clean_step": 7, "deploy_step": 44, "service_step": 87, "raid_config": 12,
    "target_raid_config": 12, "boot_mode": 75, "secure_boot": 75, "inspection_started_at": 6,
    "inspection_finished_at": 6, "conductor": 49, "conductor_group": 46, "owner": 50, "lessee": 65, "shard": 82,
    "parent_node": 83, "description": 51, "allocation_uuid": 52, "automated_clean": 47, "protected": 48,
    "protected_reason": 48, "retired": 61, "retired_reason": 61, "network_data": 66, "disable_power_off": 95,
    "health": 109, "bios_interface": 40, "boot_interface": 31, "console_interface": 31, "deploy_interface": 31,
    "firmware_interface": 86, "inspect_interface": 31, "management_interface": 31, "network_interface": 20,
    "power_interface": 31, "raid_interface": 31, "rescue_interface": 38, "storage_interface": 33,
    "vendor_interface": 31, "created_at": 1, "updated_at": 1, "links": 1, "ports": 1, "states": 14, "portgroups": 23,
    "volume": 32,
}  # fmt: skip
FIELDS = Fields(
    SINCE, brief=("instance_uuid", "maintenance", "power_state", "provision_state", "uuid", "name", "links")
)
NOT_ASKABLE = frozenset({"ports", "states", "portgroups", "volume"})
"""Links that come with a whole node and cannot be named in `fields`."""


def _time(microseconds: int) -> datetime:
    """Without a zone, for that is serialized many times faster."""
    return EPOCH + timedelta(microseconds=microseconds)


_json = orjson.Fragment
"""JSON that is passed on unread."""


Step = Callable[[Any], Any]
PLAIN: Mapping[str, tuple[str, Step | None]] = {
    "uuid": ("uuid", None), "name": ("name", None), "instance_uuid": ("instance_uuid", None),
    "instance_name": ("instance_name", None), "driver": ("driver", hardware.to_wire),
    "instance_info": ("wishes", _json), "properties": ("properties", _json), "extra": ("extra", _json),
    "chassis_uuid": ("chassis_uuid", None), "resource_class": ("resource_class", None), "traits": ("traits", _json),
    "provision_state": ("provision_state", None), "target_provision_state": ("target_provision_state", None),
    "provision_updated_at": ("provision_updated_at", _time), "power_state": ("power_state", None),
    "target_power_state": ("target_power_state", None), "last_error": ("last_error", None),
    "maintenance": ("maintenance", None), "maintenance_reason": ("maintenance_reason", None),
    "fault": ("fault", None), "reservation": ("held_by", None), "boot_mode": ("boot_mode", None),
    "secure_boot": ("has_secure_boot", None),
    "inspection_started_at": ("inspection_started_at", _time),
    "inspection_finished_at": ("inspection_finished_at", _time), "conductor_group": ("conductor_group", None),
    "owner": ("owner", None), "lessee": ("lessee", None), "shard": ("shard", None),
    "parent_node": ("parent_uuid", None), "description": ("description", None),
    "allocation_uuid": ("allocation_uuid", None), "automated_clean": ("has_automated_clean", None),
    "protected": ("is_protected", None), "protected_reason": ("protected_reason", None),
    "target_raid_config": ("target_raid", _json),
    "retired": ("is_retired", None), "retired_reason": ("retired_reason", None),
    "network_data": ("network_data", _json), "disable_power_off": ("keeps_power", None),
    "created_at": ("created_at", _time), "updated_at": ("updated_at", _time),
}  # fmt: skip
"""attribute -> (our column, the step that makes the attribute of it)."""

CONSTANT: Mapping[str, Any] = {
    "console_enabled": False, "raid_config": {}, "health": None,
}  # fmt: skip
"""What no driver of ours can change or tell."""

_SUBRESOURCES = ("ports", "states", "portgroups", "volume")
_STEPS: Mapping[str, frozenset[str]] = {
    "clean_step": frozenset({"cleaning", "clean wait", "clean hold"}),
    "deploy_step": frozenset({"deploying", "wait call-back", "deploy hold"}),
    "service_step": frozenset({"servicing", "service wait", "service hold"}),
}
_INTERFACES = tuple(f"{kind}_interface" for kind in hardware.KINDS)
_FROM: Mapping[str, tuple[str, ...]] = {
    "driver_info": ("driver", "bmc_address", "bmc_udp_port", "bmc_username", "has_bmc_secret", "driver_options"),
    "driver_internal_info": ("agent_version", "agent_seen_at", "agent_address"),
    "conductor": ("held_by",),
    **dict.fromkeys(_STEPS, ("provision_state", "work_kind", "work_step")),
    **dict.fromkeys(_INTERFACES, ("driver", "driver_options", "interfaces")),
}
"""Attributes that are worked out -> the columns that it takes."""

assert set(SINCE) == {*PLAIN, *CONSTANT, *_FROM, *_SUBRESOURCES, "links"}

_REDACTED: Mapping[str, Any] = {
    "last_error": "** Value Redacted - Requires baremetal:node:get:last_error permission. **",
    "reservation": "** Redacted - requires baremetal:node:get:reservation permission. **",
    "driver_internal_info": {
        "content": "** Redacted - Requires baremetal:node:get:driver_internal_info permission. **"
    },
    "driver_info": {"content": "** Redacted - requires baremetal:node:get:driver_info permission. **"},
}
"""What a project sees of a machine that it has on loan only."""


def _driver_info(row: Any) -> orjson.Fragment:
    has_secret = bool(row.has_bmc_secret)
    return _access((row.driver, row.bmc_address, row.bmc_udp_port, row.bmc_username, has_secret, row.driver_options))


@lru_cache(2048)  # the same for each fake machine, and a rack's worth of others; masks, no secrets
def _access(parts: tuple[str, str | None, int, str | None, bool, str]) -> orjson.Fragment:
    driver, address, udp_port, username, has_secret, options = parts
    shown = driver_info.shown(
        driver, address=address, udp_port=udp_port, username=username, has_secret=has_secret,
        options=orjson.loads(options),
    )  # fmt: skip
    return _json(orjson.dumps(shown))


def _internal_info(row: Any) -> dict[str, Any]:
    if row.agent_seen_at is None:
        return {}
    return {
        "agent_version": row.agent_version, "agent_last_heartbeat": _time(row.agent_seen_at),
        "agent_address": row.agent_address,
    }  # fmt: skip


def _step(attribute: str) -> Callable[[Any], dict[str, Any]]:
    """The step that runs, as clients see it: our steps have no interface but that of deploying."""

    def shown(row: Any) -> dict[str, Any]:
        if row.work_step and row.provision_state in _STEPS[attribute]:
            return {"interface": "deploy", "step": row.work_step, "args": {}, "priority": 0}
        return {}

    return shown


FAKE_DEPLOY = '"deploy_interface":"fake"'
"""In the JSON of a node's options: its deploys are only acted out. Both databases keep the text as we write it."""


@cache
def _usual(driver: str) -> dict[str, str]:
    return {f"{kind}_interface": ways[0] for kind, ways in hardware.ways(driver).items()}


def interfaces(driver: str, options: str, chosen: str) -> dict[str, str]:
    """All ways of a node. options, chosen: JSON. A fake machine with an agent is deployed as a real one is."""
    ways = dict(_usual(driver))
    if driver == "fake" and FAKE_DEPLOY not in options:
        ways |= {"deploy_interface": "direct", "inspect_interface": "agent", "rescue_interface": "agent"}
    if chosen != "{}":
        ways |= {f"{kind}_interface": way for kind, way in orjson.loads(chosen).items()}
    return ways


class Shape:
    """One wish made ready. render(row, root): the answer of a row of `statement`, `root` being our address."""

    def __init__(self, names: Sequence[str], minor: int) -> None:
        self.names = tuple(names)
        self._plain = [name for name in names if name in PLAIN]
        worked = [name for name in names if name in _FROM]
        self._interfaces = frozenset(name for name in worked if name in _INTERFACES)
        self._worked: list[tuple[str, Callable[[Any], Any]]] = [
            (name, _WORK[name]) for name in worked if name not in _INTERFACES
        ]
        self._constant = {name: CONSTANT[name] for name in names if name in CONSTANT}
        self._below = tuple(name for name in _SUBRESOURCES if name in names)
        self._has_links = "links" in names
        first = [PLAIN[name][0] for name in self._plain]
        more = ["uuid", "owner", "lessee", "version", *(column for name in worked for column in _FROM[name])]
        self.columns = tuple(dict.fromkeys([*first, *more]))
        assert self.columns[: len(first)] == tuple(first), "one attribute, one column: render pairs them in order"
        self._steps = [(name, step) for name in self._plain if (step := _step_of(name, minor)) is not None]
        self._redactable = [name for name in names if name in _REDACTED]
        base = node_reading.statement(self.columns)
        self.statement: Select[Any] = base
        self.weight = node_reading.weight(self.columns)
        self.by_uuid, self.by_name = node_reading.by_uuid(base), node_reading.by_name(base)

    def render(self, row: Row[Any], root: str, *, project: str | None = None) -> dict[str, Any]:
        """project: whose eyes it is for; None for those who see all."""
        shown: dict[str, Any] = dict(zip(self._plain, row, strict=False))  # the plain columns come first
        for name, step in self._steps:
            value = shown[name]
            if value is not None:
                shown[name] = step(value)
        if self._constant:
            shown.update(self._constant)
        if self._interfaces:
            ways = interfaces(row.driver, row.driver_options, row.interfaces)
            shown.update(ways if len(ways) == len(self._interfaces) else {n: ways[n] for n in self._interfaces})
        for name, work in self._worked:
            shown[name] = work(row)
        if self._has_links:
            uuid = row.uuid
            shown["links"] = _links(root, uuid)
            for name in self._below:
                shown[name] = _links(root, f"{uuid}/{name}")
        if project is not None and self._redactable and row.owner != project:
            shown.update({name: _REDACTED[name] for name in self._redactable})
        return shown


def _links(root: str, tail: str) -> orjson.Fragment:
    """JSON already: five of these in each node cost more than all its columns. root and tail need no quoting."""
    return _json(
        f'[{{"href":"{root}/v1/nodes/{tail}","rel":"self"}},{{"href":"{root}/nodes/{tail}","rel":"bookmark"}}]'
    )


def _step_of(name: str, minor: int) -> Step | None:
    if name == "provision_state" and minor < 39:
        return lambda state: _older_state(state, minor)
    return PLAIN[name][1]


def _older_state(state: str, minor: int) -> str | None:
    """Before 1.2 `available` had no word; before 1.39 `inspect wait` was `inspecting`."""
    if minor < 2 and state == "available":
        return None
    return "inspecting" if state == "inspect wait" else state


_WORK: Mapping[str, Callable[[Any], Any]] = {
    "driver_info": _driver_info,
    "driver_internal_info": _internal_info,
    "conductor": lambda row: row.held_by or HOST,
    **{name: _step(name) for name in _STEPS},
}

_MOST_SHAPES = 256
_shapes: dict[tuple[tuple[str, ...], int], Shape] = {}


def shape(names: Sequence[str], minor: int) -> Shape:
    """The shape of these attributes. Only the oldest versions show states in other words."""
    key = (tuple(names), min(minor, 39))
    known = _shapes.get(key)
    if known is None:
        if len(_shapes) >= _MOST_SHAPES:
            _shapes.clear()
        known = _shapes[key] = Shape(names, minor)
    return known


def whole(minor: int) -> Shape:
    """Everything that a request of this version may see of a node."""
    return shape(FIELDS.every(minor), minor)


def ways_of(node: Node) -> dict[str, str]:
    """The ways of a loaded node: `KIND_interface` -> the way."""
    is_fake = node.driver_options.get("deploy_interface") == "fake"
    return {
        **interfaces(node.driver, FAKE_DEPLOY if is_fake else "{}", "{}"),
        **{f"{kind}_interface": way for kind, way in node.interfaces.items()},
    }


def way(node: Node, kind: str) -> str:
    return ways_of(node)[f"{kind}_interface"]
