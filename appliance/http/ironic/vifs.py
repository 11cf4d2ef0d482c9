"""/v1/nodes/{node}/vifs: networks that a client attaches to a node.

The networks of this appliance are flat: an attachment is written down, with the port that it is meant for, and moves no
cable. It is refused where it could not be so: an interface that another node has, a port that is not this node's.
"""

from typing import Any

from flask import Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.domain.errors import Conflict
from appliance.http.ironic import node_body, policy
from appliance.http.ironic.call import Call, Route
from appliance.http.ironic.errors import BadRequest
from appliance.http.ironic.node_access import find, find_to_change, is_name
from appliance.http.json_body import nothing, read_object, reply
from appliance.models.node import Node, Port, Portgroup

SINCE = 28
PORTS_SINCE = 67
MOST = 64


def routes() -> list[Route]:
    below = "/nodes/<ident>/vifs"
    return [
        Route(method="GET", path=below, view=_list, since=SINCE),
        Route(method="POST", path=below, view=_attach, since=SINCE),
        Route(method="DELETE", path=f"{below}/<vif>", view=_detach, since=SINCE),
    ]


def _list(call: Call, ident: str) -> Response:
    with call.context.database.read() as session:
        node = find(session, call, ident, policy.PROJECT_READER, "baremetal:node:vif:list")
    return reply({"vifs": [{"id": vif["id"]} for vif in node.vifs]})


def _attach(call: Call, ident: str) -> Response:
    body = read_object()
    vif = body.get("id")
    if not isinstance(vif, str) or not is_name(vif, call.minor):
        raise BadRequest(f"Expected UUID or name for id: {str(vif)[:64]}")
    wanted: dict[str, Any] = {"id": vif}
    if call.minor >= PORTS_SINCE:
        if "port_uuid" in body and "portgroup_uuid" in body:
            raise BadRequest("Cannot specify both port_uuid and portgroup_uuid")
        wanted |= {key: node_body.uuid(key, body[key]) for key in ("port_uuid", "portgroup_uuid") if key in body}
    context = call.context
    with context.database.write() as session:
        node = find_to_change(session, call, ident, policy.OWNER_MEMBER_LESSEE_MANAGER, "baremetal:node:vif:attach")
        _refuse(session, node, wanted)
        node.vifs, node.updated_at = [*node.vifs, wanted], context.clock()
    return nothing()


def _refuse(session: Session, node: Node, wanted: dict[str, Any]) -> None:
    if any(vif["id"] == wanted["id"] for vif in node.vifs):
        raise Conflict(
            f"Unable to attach VIF because VIF {wanted['id']} is already attached to Ironic Node {node.uuid}"
        )
    if len(node.vifs) >= MOST:
        raise BadRequest(f"Unable to attach VIF {wanted['id']}, node {node.uuid} has {MOST} already.")
    port, group = wanted.get("port_uuid"), wanted.get("portgroup_uuid")
    if port and not session.scalar(select(Port.id).where(Port.uuid == port, Port.node_id == node.id)):
        raise BadRequest(f"Port {port} could not be found on node {node.uuid}.")
    if group and not session.scalar(select(Portgroup.id).where(Portgroup.uuid == group, Portgroup.node_id == node.id)):
        raise BadRequest(f"Portgroup {group} could not be found on node {node.uuid}.")


def _detach(call: Call, ident: str, vif: str) -> Response:
    context = call.context
    with context.database.write() as session:
        node = find_to_change(session, call, ident, policy.OWNER_MEMBER_LESSEE_MANAGER, "baremetal:node:vif:detach")
        rest = [one for one in node.vifs if one["id"] != vif]
        if len(rest) == len(node.vifs):
            raise BadRequest(
                f"Unable to detach VIF {vif[:255]} from node {node.uuid} because it is not attached to it."
            )
        node.vifs, node.updated_at = rest, context.clock()
    return nothing()
