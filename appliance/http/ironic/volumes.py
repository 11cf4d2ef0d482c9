"""/v1/volume: connectors and targets, and those of a node. Secrets of a target are sealed, and shown as a mask."""

from collections.abc import Mapping
from typing import Any

import orjson
from flask import Response
from sqlalchemy.orm import Session

from appliance.http.ironic import pages, policy, readers, secrets_masked, shelf
from appliance.http.ironic.call import Call, Route
from appliance.http.ironic.errors import BadRequest
from appliance.http.ironic.kinds import Attribute, Kind
from appliance.http.ironic.node_reference import child_list, node_of, node_to_hang_on, node_to_move_to
from appliance.http.json_body import nothing, reply
from appliance.models.columns import new_uuid
from appliance.models.volume import VolumeConnector, VolumeTarget
from appliance.services import volumes

SINCE = 32
_CREATE = _DELETE = policy.OWNER_MANAGER_LESSEE_MANAGER
_UPDATE = policy.OWNER_MEMBER_LESSEE_MANAGER
_TYPES = ("iqn", "ip", "mac", "wwnn", "wwpn", "port", "portgroup")
_NODE = {"node_uuid": Attribute(read=readers.ident, get=lambda row: row.node.uuid)}


def _type(name: str, value: Any) -> str:
    if value not in _TYPES or not isinstance(value, str):
        raise BadRequest(f"Schema error for {name}: {str(value)[:32]!r} is not one of {', '.join(_TYPES)}")
    return value


_TEXT = readers.text(255, least=1, is_nullable=False)
CONNECTORS = Kind(
    detail_since=SINCE,
    word="volume connector", path="volume/connectors", key="connectors", model=VolumeConnector,
    brief=("uuid", "node_uuid", "type", "connector_id"), required=("node_uuid", "type", "connector_id"),
    attributes={
        "uuid": Attribute(read=readers.uuid, is_fixed=True),
        **_NODE,
        "type": Attribute(read=_type),
        "connector_id": Attribute(read=_TEXT),
        "extra": Attribute(read=readers.mapping),
    },
    sortable={
        "uuid": VolumeConnector.uuid, "type": VolumeConnector.type, "connector_id": VolumeConnector.connector_id,
        "node_uuid": VolumeConnector.node_id, "created_at": VolumeConnector.created_at,
        "updated_at": VolumeConnector.updated_at,
    },
)  # fmt: skip
TARGETS = Kind(
    detail_since=SINCE,
    word="volume target", path="volume/targets", key="targets", model=VolumeTarget,
    brief=("uuid", "node_uuid", "volume_type", "boot_index", "volume_id"),
    required=("node_uuid", "volume_type", "volume_id", "boot_index"),
    attributes={
        "uuid": Attribute(read=readers.uuid, is_fixed=True),
        **_NODE,
        "volume_type": Attribute(read=readers.text(64, least=1, is_nullable=False)),
        "volume_id": Attribute(read=_TEXT),
        "boot_index": Attribute(read=readers.number(-1, 2**31 - 1)),
        "properties": Attribute(read=readers.mapping),
        "extra": Attribute(read=readers.mapping),
    },
    sortable={
        "uuid": VolumeTarget.uuid, "volume_type": VolumeTarget.volume_type, "volume_id": VolumeTarget.volume_id,
        "boot_index": VolumeTarget.boot_index, "node_uuid": VolumeTarget.node_id,
        "created_at": VolumeTarget.created_at, "updated_at": VolumeTarget.updated_at,
    },
)  # fmt: skip


def routes() -> list[Route]:
    found = [
        Route(method="GET", path="/volume", since=SINCE, view=_root),
        Route(method="GET", path="/nodes/<ident>/volume", since=SINCE, view=_root_of_node),
    ]
    for kind in (CONNECTORS, TARGETS):
        found += _routes_of(kind)
    return found


def _routes_of(kind: Kind) -> list[Route]:
    path, of_node = f"/{kind.path}", f"/nodes/<ident>/{kind.path}"
    return [
        Route(method="GET", path=path, since=SINCE, view=lambda call: _list(call, kind)),
        Route(method="POST", path=path, since=SINCE, view=lambda call: _create(call, kind)),
        Route(method="GET", path=path + "/<ident>", since=SINCE, view=lambda call, ident: _show(call, kind, ident)),
        Route(method="PATCH", path=path + "/<ident>", since=SINCE, view=lambda call, ident: _change(call, kind, ident)),
        Route(
            method="DELETE", path=path + "/<ident>", since=SINCE, view=lambda call, ident: _delete(call, kind, ident)
        ),
        Route(method="GET", path=of_node, since=SINCE, view=lambda call, ident: _of_node(call, kind, ident)),
    ]


def _root(call: Call) -> Response:
    body = {"links": call.links("volume", "")}
    return reply(body | {kind.key: call.links("volume", kind.key) for kind in (CONNECTORS, TARGETS)})


def _root_of_node(call: Call, ident: str) -> Response:
    with call.context.database.read() as session:
        node = node_of(session, call, ident)
    paths = {kind.key: call.links("nodes", node.uuid, "volume", kind.key) for kind in (CONNECTORS, TARGETS)}
    return reply({"links": call.links("nodes", node.uuid, "volume"), **paths})


def _list(call: Call, kind: Kind) -> Response:
    pages.only(call.arguments, frozenset({"node"}))
    with call.context.database.read() as session:
        query = volumes.scoped(kind.model, policy.project_of(call.actor))
        if node := call.arguments.get("node"):
            query = query.where(kind.model.node_id == node_of(session, call, node).id)
        return shelf.listing(session, call, kind, query)


def _of_node(call: Call, kind: Kind, ident: str) -> Response:
    def scoped(project: str | None) -> Any:
        return volumes.scoped(kind.model, project)

    return child_list(call, kind, scoped, kind.model.node_id, ident, path=f"nodes/{ident}/{kind.path}")


def _fetch(session: Session, call: Call, kind: Kind, ident: str) -> Any:
    readers.uuid_of_path(f"{kind.key.removesuffix('s')}_uuid", ident)
    return volumes.fetch(session, kind.model, ident, project=policy.project_of(call.actor))


def _show(call: Call, kind: Kind, ident: str) -> Response:
    with call.context.database.read() as session:
        return shelf.one(call, kind, _fetch(session, call, kind, ident))


def _create(call: Call, kind: Kind) -> Response:
    wish = shelf.wish(call, kind)
    ident = wish.pop("node_uuid")
    wish["uuid"] = wish.get("uuid") or new_uuid()
    if "properties" in wish:
        wish |= _sealed(call, wish["properties"], wish["uuid"], {})
    with call.context.database.write() as session:
        node = node_to_hang_on(session, call, ident, _CREATE, "baremetal:volume:create")
        row = volumes.create(session, kind.model, wish, node=node, actor=call.actor.name, now=call.context.clock())
        return shelf.made(call, kind, row)


def _sealed(call: Call, given: Mapping[str, Any], uuid: str, before: Mapping[str, Any]) -> dict[str, Any]:
    clear, secrets = secrets_masked.split(given, before, "properties")
    sealed = call.context.vault.seal(orjson.dumps(secrets), f"volume-target:{uuid}") if secrets else None
    return {"properties": clear, "secret": sealed}


def _change(call: Call, kind: Kind, ident: str) -> Response:
    operations = shelf.operations(call)
    with call.context.database.write() as session:
        row = _fetch(session, call, kind, ident)
        call.demand(_UPDATE, "baremetal:volume:update", owner=row.node.owner, lessee=row.node.lessee)
        changes = kind.changes(row, operations, call.minor)
        if "properties" in changes:
            vault = call.context.vault
            before = orjson.loads(vault.open(row.secret, f"volume-target:{row.uuid}")) if row.secret else {}
            changes |= _sealed(call, changes["properties"], row.uuid, before)
        target = changes.pop("node_uuid", row.node.uuid)
        node = node_to_move_to(session, call, target, _UPDATE, "baremetal:volume:update", home=row.node)
        volumes.change(session, row, changes, node=node, actor=call.actor.name, now=call.context.clock())
        return shelf.one(call, kind, row)


def _delete(call: Call, kind: Kind, ident: str) -> Response:
    with call.context.database.write() as session:
        row = _fetch(session, call, kind, ident)
        call.demand(_DELETE, "baremetal:volume:delete", owner=row.node.owner, lessee=row.node.lessee)
        volumes.delete(session, row, actor=call.actor.name, now=call.context.clock())
    return nothing()
