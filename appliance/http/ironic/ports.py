"""/v1/ports and the ports of a node or a group."""

from typing import Any

from flask import Response
from sqlalchemy import Select
from sqlalchemy.orm import Session

from appliance.domain.errors import Invalid, NotFound
from appliance.domain.lifecycle import State
from appliance.http.ironic import pages, policy, readers, shelf
from appliance.http.ironic.call import Call, Route
from appliance.http.ironic.errors import BadRequest
from appliance.http.ironic.kinds import Attribute, Kind
from appliance.http.ironic.links_of_ports import link
from appliance.http.ironic.node_change import INSPECT_WAIT_SINCE
from appliance.http.ironic.node_reference import child_list, node_of, node_to_hang_on, node_to_move_to
from appliance.http.json_body import nothing, read_object
from appliance.models import flow
from appliance.models.node import Node, Port
from appliance.services import portgroups, ports

NODE_NAMES_SINCE, GROUPS_SINCE, SHARDS_SINCE, CONDUCTOR_GROUPS_SINCE, NAMES_SINCE = 94, 24, 82, 99, 88
GROUP_NETWORKS_SINCE = 102
FILTERS = frozenset({"node", "node_uuid", "address", "portgroup", "shard", "conductor_groups", "description_contains"})
_CREATE = _DELETE = policy.OWNER_MANAGER_SYSTEM_ADMIN
_UPDATE = policy.OWNER_MANAGER


def _physical_network(name: str, value: Any) -> str | None:
    read = readers.text(64, least=1)
    found: str | None = read(name, value)
    return found


KIND = Kind(
    word="port", path="ports", key="ports", model=Port, brief=("uuid", "address"), required=("address",),
    attributes={
        "uuid": Attribute(read=readers.uuid, is_fixed=True),
        "address": Attribute(column="mac", read=readers.required_mac),
        "node_uuid": Attribute(read=readers.ident, get=lambda row: row.node.uuid),
        "extra": Attribute(read=readers.mapping),
        "internal_info": Attribute(since=18),
        "local_link_connection": Attribute(since=19, column="link", read=link),
        "pxe_enabled": Attribute(since=19, column="is_pxe", read=readers.flag(otherwise=True)),
        "portgroup_uuid": Attribute(
            since=GROUPS_SINCE, read=readers.uuid, get=lambda row: row.portgroup.uuid if row.portgroup else None
        ),
        "physical_network": Attribute(since=34, read=_physical_network),
        "is_smartnic": Attribute(since=53, read=readers.flag(otherwise=False)),
        "name": Attribute(since=NAMES_SINCE, read=readers.logical_name),
        "description": Attribute(since=97, read=readers.text(255)),
        "vendor": Attribute(since=100, read=readers.text(32)),
        "category": Attribute(since=101, read=readers.text(80)),
        "available_for_dynamic_portgroup": Attribute(
            since=111, column="may_be_bonded", read=readers.flag(otherwise=True)
        ),
    },
    sortable={
        "uuid": Port.uuid, "address": Port.mac, "node_uuid": Port.node_id, "created_at": Port.created_at,
        "updated_at": Port.updated_at, "pxe_enabled": Port.is_pxe, "physical_network": Port.physical_network,
        "is_smartnic": Port.is_smartnic, "name": Port.name, "description": Port.description, "vendor": Port.vendor,
        "category": Port.category, "available_for_dynamic_portgroup": Port.may_be_bonded,
    },
    elsewhere={"node_uuid": Node.__table__.c.uuid, "portgroup_uuid": ports.group_uuid()},
)  # fmt: skip


def routes() -> list[Route]:
    return [
        Route(method="GET", path="/ports", view=lambda call: _list(call, is_detail=False)),
        Route(method="GET", path="/ports/detail", view=lambda call: _list(call, is_detail=True)),
        Route(method="POST", path="/ports", view=_create),
        Route(method="GET", path="/ports/<ident>", view=_show),
        Route(method="PATCH", path="/ports/<ident>", view=_change),
        Route(method="DELETE", path="/ports/<ident>", view=_delete),
        Route(
            method="GET", path="/nodes/<ident>/ports",
            view=lambda call, ident: _of_node(call, ident, is_detail=False),
        ),
        Route(
            method="GET", path="/nodes/<ident>/ports/detail",
            view=lambda call, ident: _of_node(call, ident, is_detail=True),
        ),
        Route(method="GET", path="/portgroups/<ident>/ports", since=GROUPS_SINCE, view=_of_group),
    ]  # fmt: skip


def _list(call: Call, *, is_detail: bool) -> Response:
    arguments = call.arguments
    pages.only(arguments, FILTERS)
    chosen = [name for name in ("portgroup", "shard") if arguments.get(name)]
    node = arguments.get("node_uuid") or arguments.get("node")
    if len(chosen) + bool(node) > 1:
        raise BadRequest("The request not allowed by the API: give one of node, portgroup and shard.")
    path = "ports/detail" if is_detail else ""
    with call.context.database.read() as session:
        query = _narrowed(session, call, ports.scoped(policy.project_of(call.actor)), node)
        return shelf.listing(session, call, KIND, query, path=path, is_detail=is_detail)


def _narrowed(session: Session, call: Call, query: Select[Any], node: str | None) -> Select[Any]:
    arguments = call.arguments
    if node:
        query = query.where(Port.node_id == node_of(session, call, node).id)
    if address := arguments.get("address"):
        query = query.where(Port.mac == readers.mac("address", address))
    if group := arguments.get("portgroup"):
        call.require(GROUPS_SINCE)
        project = policy.project_of(call.actor)
        query = query.where(Port.portgroup_id == portgroups.fetch(session, group, project=project).id)
    if words := arguments.get("description_contains"):
        query = query.where(Port.description.icontains(words[:255], autoescape=True))
    return by_place(call, query, is_other=bool(node or group or address))


def by_place(call: Call, query: Select[Any], *, is_other: bool, shards_since: int = SHARDS_SINCE) -> Select[Any]:
    """`shard` and `conductor_groups`: of the nodes. is_other: another filter is there that excludes the groups."""
    shards, groups = call.arguments.get("shard"), call.arguments.get("conductor_groups")
    if shards:
        call.require(shards_since)
        query = query.where(Node.shard.in_(shards.split(",")[:100]))
    if groups is not None:
        call.require(CONDUCTOR_GROUPS_SINCE)
        if is_other:
            raise BadRequest(
                "Filtering by conductor_groups cannot be combined with node_ident, portgroup_ident, or node address "
                "filters."
            )
        query = query.where(Node.conductor_group.in_([name.strip().lower() for name in groups.split(",")[:100]]))
    return query


def _of_node(call: Call, ident: str, *, is_detail: bool) -> Response:
    path = f"nodes/{ident}/ports" + ("/detail" if is_detail else "")
    return child_list(call, KIND, ports.scoped, Port.node_id, ident, path=path, is_detail=is_detail)


def _of_group(call: Call, ident: str) -> Response:
    project = policy.project_of(call.actor)
    with call.context.database.read() as session:
        group = portgroups.fetch(session, ident, project=project)
        query = ports.scoped(project).where(Port.portgroup_id == group.id)
        return shelf.listing(session, call, KIND, query, path=f"portgroups/{ident}/ports")


def _fetch(session: Session, call: Call, ident: str) -> Port:
    return ports.fetch(session, readers.ident_of_path(ident), project=policy.project_of(call.actor))


def _show(call: Call, ident: str) -> Response:
    with call.context.database.read() as session:
        return shelf.one(call, KIND, _fetch(session, call, ident))


def _create(call: Call) -> Response:
    body = read_object()
    node_ident = body.pop("node_ident", None)
    if node_ident is not None:
        call.require(NODE_NAMES_SINCE)
    given = readers.ident("node_uuid", node_ident if node_ident is not None else body.get("node_uuid"))
    wish = KIND.wish(body, call.minor)
    if (node_ident is None) == ("node_uuid" not in body):
        raise BadRequest("Schema error for port: one of node_uuid and node_ident is required")
    wish.pop("node_uuid", None)
    group_uuid = wish.pop("portgroup_uuid", None)
    with call.context.database.write() as session:
        node = node_to_hang_on(session, call, given, _CREATE, "baremetal:port:create")
        group = _group(session, call, group_uuid)
        row = ports.create(session, wish, node=node, group=group, actor=call.actor.name, now=call.context.clock())
        return shelf.made(call, KIND, row)


def _group(session: Session, call: Call, uuid: str | None) -> Any:
    if uuid is None:
        return None
    try:
        return portgroups.fetch(session, uuid, project=policy.project_of(call.actor))
    except NotFound as cause:
        raise Invalid(cause.message) from cause


def _change(call: Call, ident: str) -> Response:
    operations = shelf.operations(call)
    with call.context.database.write() as session:
        row = _fetch(session, call, ident)
        call.demand(_UPDATE, "baremetal:port:update", owner=row.node.owner, lessee=row.node.lessee)
        changes = KIND.changes(row, operations, call.minor)
        target = changes.pop("node_uuid", row.node.uuid)
        node = node_to_move_to(session, call, target, _UPDATE, "baremetal:port:update", home=row.node)
        refuse_inspected(session, call, f'port "{row.uuid}" on', node)
        if "portgroup_uuid" in changes:
            changes["portgroup"] = _group(session, call, changes.pop("portgroup_uuid"))
        is_grouped = changes.get("portgroup", row.portgroup) is not None
        if "physical_network" in changes and is_grouped and call.minor >= GROUP_NETWORKS_SINCE:
            raise Invalid("physical_network cannot be changed while the port belongs to a portgroup.")
        ports.change(session, row, changes, node=node, actor=call.actor.name, now=call.context.clock())
        return shelf.one(call, KIND, row)


def refuse_inspected(session: Session, call: Call, what: str, node: Node) -> None:
    """The agent's report is about to change the ports and their groups itself. what: the thing, for a sentence."""
    if node.provision_state == State.INSPECTING and call.minor >= INSPECT_WAIT_SINCE:
        raise ports.Busy(
            f'Cannot update {what} "{node.uuid}" while it is in state "{node.provision_state}".',
            why=flow.holder(session, node.id),
        )


def _delete(call: Call, ident: str) -> Response:
    with call.context.database.write() as session:
        row = _fetch(session, call, ident)
        call.demand(_DELETE, "baremetal:port:delete", owner=row.node.owner, lessee=row.node.lessee)
        ports.delete(session, row, actor=call.actor.name, now=call.context.clock())
    return nothing()
