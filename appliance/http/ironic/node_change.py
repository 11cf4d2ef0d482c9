"""PATCH /v1/nodes/{node}: which operations there may be, who may do each, and what becomes of the node."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from appliance.domain.errors import Conflict
from appliance.domain.lifecycle import State
from appliance.http.ironic import driver_info, hardware, node_access, node_body, node_fields, patch, policy, versions
from appliance.http.ironic.call import Call
from appliance.http.ironic.errors import BadRequest
from appliance.http.ironic.node_body import DETAILS, INTERFACES, PATCHABLE, Stored
from appliance.http.ironic.patch import Operation
from appliance.http.ironic.policy import Rule
from appliance.http.json_body import read_value
from appliance.models import flow
from appliance.models.chassis import Chassis
from appliance.models.node import Node, lock
from appliance.services import node_rules, nodes

RULES: Mapping[str, tuple[Rule, str]] = {
    "instance_info": (policy.OWNER_MEMBER_LESSEE_MANAGER, "update_instance_info"),
    "instance_name": (policy.OWNER_MEMBER_LESSEE_MANAGER, "update_instance_info"),
    "extra": (policy.PROJECT_MEMBER, "update_extra"),
    "driver_info": (policy.OWNER_MEMBER, "update:driver_info"),
    "properties": (policy.OWNER_MEMBER, "update:properties"),
    "chassis_uuid": (policy.SYSTEM_ADMIN, "update:chassis_uuid"),
    "instance_uuid": (policy.OWNER_MEMBER, "update:instance_uuid"),
    "lessee": (policy.OWNER_MEMBER, "update:lessee"),
    "owner": (policy.SYSTEM_MEMBER, "update:owner"),
    "driver": (policy.OWNER_MANAGER, "update:driver_interfaces"),
    "network_data": (policy.OWNER_MEMBER, "update:network_data"),
    "conductor_group": (policy.SYSTEM_MEMBER, "update:conductor_group"),
    "name": (policy.OWNER_MEMBER, "update:name"),
    "retired": (policy.OWNER_MEMBER, "update:retired"),
    "retired_reason": (policy.OWNER_MEMBER, "update:retired"),
    "shard": (policy.SYSTEM_ADMIN, "update:shard"),
    "parent_node": (policy.SYSTEM_MEMBER, "update:parent_node"),
    "disable_power_off": (policy.SYSTEM_ADMIN, "update:disable_power_off"),
    **dict.fromkeys(INTERFACES, (policy.OWNER_MANAGER, "update:driver_interfaces")),
}
"""Attribute -> who may change it, and the policy's name; of others: whoever may change the node at all."""

INSPECT_WAIT_SINCE = 39
ANY_OTHER = (policy.PROJECT_MEMBER, "update")
_OWNER_OF_ACTIVE = policy.SYSTEM_ADMIN


def read(call: Call, *, reset: bool) -> list[Operation]:
    """The operations of the request, each on an attribute that may be changed, in this version."""
    operations = patch.parse(read_value(), escapes=call.minor >= 98)
    for one in operations:
        if one.field == "traits":
            raise BadRequest(
                "Cannot update node traits via node patch. Node traits should be updated via the node traits API."
            )
        if one.field not in PATCHABLE:
            raise BadRequest(
                f"Cannot patch {one.path}. Only the following can be updated: {', '.join(sorted(PATCHABLE))}"
            )
        versions.require(call.minor, node_fields.SINCE[one.field])
        if one.field == "chassis_uuid" and one.op == "remove":
            versions.require(call.minor, 25)
    if reset and not any(one.field == "driver" for one in operations):
        raise BadRequest("The reset_interfaces parameter can only be used when changing the node's driver.")
    return operations


def find(session: Session, call: Call, ident: str, operations: list[Operation]) -> Node:
    """The node, locked, if the caller may do all of this to it."""
    node = node_access.find(session, call, ident, policy.PROJECT_READER, "baremetal:node:get")
    for rule, name in {_rule(one) for one in operations} or {ANY_OTHER}:
        call.demand(rule, f"baremetal:node:{name}", owner=node.owner, lessee=node.lessee)
    live = lock(session, node.id)
    if live is None:
        raise node_access.missing(ident)
    return live


def _rule(one: Operation) -> tuple[Rule, str]:
    if one.field == "automated_clean" and node_body.boolean("automated_clean", one.value) is False:
        return policy.SYSTEM_ADMIN, "disable_cleaning"
    return RULES.get(one.field, ANY_OTHER)


def apply(session: Session, call: Call, node: Node, operations: list[Operation], *, reset: bool) -> None:
    """Change the node as asked, or refuse all of it. What an inspection finds is not written over."""
    if node.provision_state == State.INSPECTING and call.minor >= INSPECT_WAIT_SINCE:
        raise Conflict(
            f'Cannot update node "{node.uuid}" while it is in state "{State.INSPECTING}".',
            why=flow.holder(session, node.id),
        )
    secrets = node_rules.unseal(node, call.context.vault)
    before = document(session, node)
    after = patch.apply(before, operations)
    changed = {name for name in before if after.get(name) != before[name]}
    _name_instance(before, after)
    if "driver" in changed and reset:
        _reset(before, after)
    changed = {name for name in before if after.get(name) != before[name]}
    stored = Stored(uuid=node.uuid, driver=node.driver, has_bmc_secret=node.bmc_secret is not None, secrets=secrets)
    wish, _all = node_body.parse({**after, "uuid": node.uuid}, call.minor, stored)
    if "driver_info" in changed and policy.project_of(call.actor) is not None:
        driver_info.refuse_near(wish.bmc.address)
    given = frozenset(ours for name in changed for ours in _ours(name))
    kinds = frozenset(INTERFACES[name] for name in changed if name in INTERFACES)
    node_rules.refuse_change(session, node, wish.details, given, interfaces=kinds)
    _refuse_owner(call, node, changed)
    now = call.context.clock()
    nodes.change(session, call.context.vault, node, wish, given, actor=call.actor.name, now=now)
    if "maintenance" in changed:
        on = node_body.mark("maintenance", after.get("maintenance"))
        nodes.set_maintenance(session, node, on=on, reason=None, actor=call.actor.name, now=now)


def _name_instance(before: Mapping[str, Any], after: dict[str, Any]) -> None:
    """An instance without a name takes a new display_name for one."""
    info = after.get("instance_info")
    if isinstance(info, dict) and info != before["instance_info"] and not after.get("instance_name"):
        after["instance_name"] = info.get("display_name")


def document(session: Session, node: Node) -> dict[str, Any]:
    """All that a patch may name, as clients see it."""
    chassis = session.get(Chassis, node.chassis_id) if node.chassis_id is not None else None
    shown: dict[str, Any] = {name: getattr(node, ours, None) for name, (ours, _parser) in DETAILS.items()}
    return shown | {
        "parent_node": node.parent_uuid,
        "chassis_uuid": chassis.uuid if chassis else None,
        "name": node.name,
        "driver": hardware.to_wire(node.driver),
        "driver_info": driver_info.shown(
            node.driver, address=node.bmc_address, udp_port=node.bmc_udp_port, username=node.bmc_username,
            has_secret=node.bmc_secret is not None, options=node.driver_options,
        ),
        "instance_info": node.wishes,
        "properties": node.properties,
        "extra": node.extra,
        "resource_class": node.resource_class,
        "maintenance": node.maintenance,
        **node_fields.ways_of(node),
    }  # fmt: skip


def _reset(before: Mapping[str, Any], after: dict[str, Any]) -> None:
    """With another driver: its own usual ways, but for those that the patch names."""
    for name in INTERFACES:
        if after.get(name) == before[name]:
            after[name] = None


def _ours(attribute: str) -> tuple[str, ...]:
    """The names of ours that an attribute changes."""
    if attribute in DETAILS:
        return (DETAILS[attribute][0],)
    if attribute in INTERFACES:
        return ("interfaces", "driver_options") if attribute == "deploy_interface" else ("interfaces",)
    return {
        "driver": ("driver", "bmc", "driver_options", "interfaces"),
        "driver_info": ("bmc", "driver_options"),
        "instance_info": ("wishes",),
        "maintenance": (),
    }.get(attribute, (attribute,))


def _refuse_owner(call: Call, node: Node, changed: set[str]) -> None:
    if "owner" in changed and node.provision_state == "active" and not policy.allows(call.actor, _OWNER_OF_ACTIVE):
        raise Conflict(f'Cannot update owner of node "{node.uuid}" while it is in state "active".')
