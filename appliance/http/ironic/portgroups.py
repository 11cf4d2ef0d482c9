"""/v1/portgroups and the groups of a node."""

from typing import Any

from flask import Response
from sqlalchemy import Select, false
from sqlalchemy.orm import Session

from appliance.http.ironic import pages, policy, readers, shelf
from appliance.http.ironic.call import Call, Route
from appliance.http.ironic.errors import BadRequest
from appliance.http.ironic.kinds import Attribute, Kind
from appliance.http.ironic.node_reference import child_list, node_of, node_to_hang_on, node_to_move_to
from appliance.http.ironic.ports import by_place, refuse_inspected
from appliance.http.json_body import nothing
from appliance.models.node import Node, Portgroup
from appliance.services import portgroups

SINCE = 23
_OF_NODES_SINCE, _SHARDS_SINCE = 24, 106
FILTERS = frozenset({"node", "address", "shard", "conductor_groups"})
_CREATE = _DELETE = policy.OWNER_MANAGER_SYSTEM_ADMIN
_UPDATE = policy.OWNER_MANAGER
_DEFAULT_MODE = "active-backup"


def _mode(name: str, value: Any) -> str:
    """In the words of Linux' bonding, or of a switch; None is the usual one."""
    return _DEFAULT_MODE if value is None else str(readers.text(32, least=1)(name, value))


KIND = Kind(
    word="portgroup", path="portgroups", key="portgroups", model=Portgroup, brief=("uuid", "address", "name"),
    required=("node_uuid",),
    attributes={
        "uuid": Attribute(read=readers.uuid, is_fixed=True),
        "name": Attribute(read=readers.logical_name),
        "address": Attribute(read=readers.mac),
        "node_uuid": Attribute(read=readers.ident, get=lambda row: row.node.uuid),
        "standalone_ports_supported": Attribute(read=readers.flag(otherwise=True)),
        "mode": Attribute(since=26, read=_mode),
        "properties": Attribute(since=26, read=readers.mapping),
        "extra": Attribute(read=readers.mapping),
        "internal_info": Attribute(),
        "physical_network": Attribute(since=102, read=readers.text(64, least=1)),
        "category": Attribute(since=103, read=readers.text(80)),
        "dynamic_portgroup": Attribute(since=111, get=lambda _row: False),  # people make them all; we never do
        "ports": Attribute(since=_OF_NODES_SINCE),
    },
    sortable={
        "uuid": Portgroup.uuid, "name": Portgroup.name, "address": Portgroup.address, "node_uuid": Portgroup.node_id,
        "created_at": Portgroup.created_at, "updated_at": Portgroup.updated_at, "mode": Portgroup.mode,
        "standalone_ports_supported": Portgroup.standalone_ports_supported,
    },
    links=("ports",), elsewhere={"node_uuid": Node.__table__.c.uuid, "dynamic_portgroup": false()},
)  # fmt: skip


def routes() -> list[Route]:
    return [
        Route(method="GET", path="/portgroups", since=SINCE, view=lambda call: _list(call, is_detail=False)),
        Route(method="GET", path="/portgroups/detail", since=SINCE, view=lambda call: _list(call, is_detail=True)),
        Route(method="POST", path="/portgroups", since=SINCE, view=_create),
        Route(method="GET", path="/portgroups/<ident>", since=SINCE, view=_show),
        Route(method="PATCH", path="/portgroups/<ident>", since=SINCE, view=_change),
        Route(method="DELETE", path="/portgroups/<ident>", since=SINCE, view=_delete),
        Route(
            method="GET", path="/nodes/<ident>/portgroups", since=_OF_NODES_SINCE,
            view=lambda call, ident: _of_node(call, ident, is_detail=False),
        ),
        Route(
            method="GET", path="/nodes/<ident>/portgroups/detail", since=_OF_NODES_SINCE,
            view=lambda call, ident: _of_node(call, ident, is_detail=True),
        ),
    ]  # fmt: skip


def _list(call: Call, *, is_detail: bool) -> Response:
    pages.only(call.arguments, FILTERS)
    path = "portgroups/detail" if is_detail else ""
    with call.context.database.read() as session:
        query = _narrowed(session, call, portgroups.scoped(policy.project_of(call.actor)))
        return shelf.listing(session, call, KIND, query, path=path, is_detail=is_detail)


def _narrowed(session: Session, call: Call, query: Select[Any]) -> Select[Any]:
    node, address = call.arguments.get("node"), call.arguments.get("address")
    if sum(map(bool, (node, address, call.arguments.get("shard")))) > 1:
        raise BadRequest("Filtering by node, address, or shard simultaneously is not supported.")
    if node:
        query = query.where(Portgroup.node_id == node_of(session, call, node).id)
    if address:
        query = query.where(Portgroup.address == readers.mac("address", address))
    return by_place(call, query, is_other=bool(node or address), shards_since=_SHARDS_SINCE)


def _of_node(call: Call, ident: str, *, is_detail: bool) -> Response:
    path = f"nodes/{ident}/portgroups" + ("/detail" if is_detail else "")
    return child_list(call, KIND, portgroups.scoped, Portgroup.node_id, ident, path=path, is_detail=is_detail)


def _fetch(session: Session, call: Call, ident: str) -> Portgroup:
    return portgroups.fetch(session, readers.ident_of_path(ident), project=policy.project_of(call.actor))


def _show(call: Call, ident: str) -> Response:
    with call.context.database.read() as session:
        return shelf.one(call, KIND, _fetch(session, call, ident))


def _create(call: Call) -> Response:
    wish = shelf.wish(call, KIND)
    ident = wish.pop("node_uuid")
    with call.context.database.write() as session:
        node = node_to_hang_on(session, call, ident, _CREATE, "baremetal:portgroup:create")
        row = portgroups.create(session, wish, node=node, actor=call.actor.name, now=call.context.clock())
        return shelf.made(call, KIND, row)


def _change(call: Call, ident: str) -> Response:
    operations = shelf.operations(call)
    if any(one.op == "remove" and one.path == "/mode" for one in operations):
        raise BadRequest("'mode' is a mandatory attribute and can not be removed")
    with call.context.database.write() as session:
        row = _fetch(session, call, ident)
        call.demand(_UPDATE, "baremetal:portgroup:update", owner=row.node.owner, lessee=row.node.lessee)
        changes = KIND.changes(row, operations, call.minor)
        target = changes.pop("node_uuid", row.node.uuid)
        node = node_to_move_to(session, call, target, _UPDATE, "baremetal:portgroup:update", home=row.node)
        refuse_inspected(session, call, f'portgroup "{row.uuid}" on node', node)
        portgroups.change(session, row, changes, node=node, actor=call.actor.name, now=call.context.clock())
        return shelf.one(call, KIND, row)


def _delete(call: Call, ident: str) -> Response:
    with call.context.database.write() as session:
        row = _fetch(session, call, ident)
        call.demand(_DELETE, "baremetal:portgroup:delete", owner=row.node.owner, lessee=row.node.lessee)
        portgroups.delete(session, row, actor=call.actor.name, now=call.context.clock())
    return nothing()
