"""What is known of a node beside itself: its history, its last inventory, its children, and whether it is ready."""

from typing import Any

from flask import Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.domain import inventory
from appliance.domain.errors import NotFound
from appliance.domain.lifecycle import State
from appliance.http.ironic import driver_info, hardware, instance_image, node_fields, pages, policy
from appliance.http.ironic.call import Call, Route
from appliance.http.ironic.errors import HOST, BadRequest
from appliance.http.ironic.node_access import find
from appliance.http.json_body import reply
from appliance.models import paging
from appliance.models.event import Event
from appliance.models.node import Inventory, Node

HISTORY_SINCE, INVENTORY_SINCE, CHILDREN_SINCE = 78, 81, 83
KINDS = ("state", "node.enrolled", "node.changed", "node.maintenance", "power.ask", "power", "power.failed",
         "flow.abort", "bmc.set", "node.allocation")  # fmt: skip
"""Events that are the history of a node; what its ports said on the network, and each step, is our own face's."""

_LONGEST = 255
_EVENT_UUID = "00000000-0000-4000-8000-"
"""Events have numbers; clients want UUIDs: the number stands in the last part."""
_HIGHEST = 2**31 - 1


def routes() -> list[Route]:
    node = "/nodes/<ident>"
    return [
        Route(method="GET", path=f"{node}/history", view=_history, since=HISTORY_SINCE),
        Route(method="GET", path=f"{node}/history/<uuid>", view=_one, since=HISTORY_SINCE),
        Route(method="GET", path=f"{node}/inventory", view=_inventory, since=INVENTORY_SINCE),
        Route(method="GET", path=f"{node}/children", view=_children, since=CHILDREN_SINCE),
        Route(method="GET", path=f"{node}/validate", view=_validate),
        Route(method="GET", path="/nodes/validate", view=_validate_old),
    ]


def _history(call: Call, ident: str) -> Response:
    page = pages.parse(call.arguments, call.minor, sortable=frozenset({"created_at", "severity", "event"}))
    if page.fields is not None:
        raise BadRequest("Unexpected arguments: fields")
    pages.only(call.arguments, frozenset())
    with call.context.database.read() as session:
        node = find(session, call, ident, policy.OWNER_READER, "baremetal:node:history:get")
        query = select(Event).where(Event.node_id == node.id, Event.kind.in_(KINDS))
        after = None if page.marker is None else paging.After(value=None, id=_number(page.marker))
        # Events are in the order of their time.
        query = paging.page(query, None, Event.id.expression, after=after, descending=page.descending, limit=page.limit)
        found = list(session.scalars(query))
    items = [_shown(call, node, row, detail=bool(page.detail)) for row in found]
    follows = items[-1]["uuid"] if len(items) == page.limit else None
    url = f"{call.v1}/nodes/{ident}/history"
    return reply(pages.collection("history", items, page, url=url, arguments=call.arguments, after=follows))


def _number(uuid: str) -> int:
    tail = uuid.lower().removeprefix(_EVENT_UUID)
    if len(tail) != 12 or not tail.isascii() or not tail.isdigit() or int(tail) > _HIGHEST:
        raise NotFound(f"Node history record {uuid[:64]} could not be found.")
    return int(tail)


def _one(call: Call, ident: str, uuid: str) -> Response:
    with call.context.database.read() as session:
        node = find(session, call, ident, policy.OWNER_READER, "baremetal:node:history:get")
        row = session.get(Event, _number(uuid))
    if row is None or row.node_id != node.id or row.kind not in KINDS:
        raise NotFound(f"Node history record {uuid[:64]} could not be found.")
    return reply(_shown(call, node, row, detail=True))


def _shown(call: Call, node: Node, row: Event, *, detail: bool) -> dict[str, Any]:
    uuid = f"{_EVENT_UUID}{row.id:012d}"
    text = row.message if detail or len(row.message) <= _LONGEST else f"{row.message[:251]}..."
    shown = {
        "uuid": uuid,
        "created_at": row.at.isoformat(),
        "severity": "ERROR" if _is_failure(row) else "INFO",
        "event": text,
        "links": call.links("nodes", node.uuid, "history", uuid)[:1],
    }
    if detail:
        shown |= {"event_type": _event_type(row.kind), "conductor": HOST, "user": row.actor}
    return shown


def _is_failure(row: Event) -> bool:
    """Work that ends in a state of failure, or falls back; a power state that could not be reached or read."""
    before, after = row.data.get("from"), str(row.data.get("to", ""))
    fell_back = after == State.ERROR or (before, after) == (State.VERIFYING, State.ENROLL)
    return row.kind.endswith("failed") or after.endswith("failed") or fell_back or "fault" in row.data


def _event_type(kind: str) -> str:
    return "provisioning" if kind == "state" else kind.partition(".")[0]


def _inventory(call: Call, ident: str) -> Response:
    with call.context.database.read() as session:
        node = find(session, call, ident, policy.OWNER_READER, "baremetal:node:inventory:get")
        row = session.get(Inventory, node.id)
    if row is None:
        raise NotFound(f"Node inventory record for node {node.uuid} could not be found.")
    return reply({"inventory": inventory.of_the_field(row.report), "plugin_data": row.plugin_data})


def _children(call: Call, ident: str) -> Response:
    with call.context.database.read() as session:
        node = find(session, call, ident, policy.PROJECT_READER, "baremetal:node:get")
        query = select(Node.uuid).where(Node.parent_uuid == node.uuid).order_by(Node.id).limit(pages.MOST)
        project = policy.project_of(call.actor)
        if project is not None:
            query = query.where((Node.owner == project) | (Node.lessee == project))
        found = list(session.scalars(query))
    link = {"href": f"{call.v1}/nodes?parent_node={node.uuid}", "rel": "children"}
    return reply({"children": found, "links": link})


def _validate_old(call: Call) -> Response:
    """The form of the first clients: `/nodes/validate?node=…`."""
    ident = call.arguments.get("node") or call.arguments.get("node_uuid")
    if not ident:
        raise BadRequest("Missing mandatory parameter: node")
    return _validate(call, ident)


def _validate(call: Call, ident: str) -> Response:
    with call.context.database.read() as session:
        node = find(session, call, ident, policy.OWNER_MEMBER_LESSEE_MANAGER, "baremetal:node:validate")
        shown = {kind: _verdict(session, call, node, kind, way) for kind, way in _ways(node)}
    return reply(shown)


def _ways(node: Node) -> list[tuple[str, str]]:
    ways = node_fields.ways_of(node)
    return [(kind, ways[f"{kind}_interface"]) for kind in hardware.KINDS if kind != "vendor"]


def _verdict(session: Session, call: Call, node: Node, kind: str, way: str) -> dict[str, Any]:
    reason = _reason(session, call, node, kind, way)
    return {"result": True} if reason is None else {"result": False, "reason": reason}


def _reason(session: Session, call: Call, node: Node, kind: str, way: str) -> str | None:
    """What stands in the way of doing this with the node; None when nothing does."""
    if way.startswith("no-"):
        return str(hardware.unsupported(node.driver, kind))
    absent = driver_info.missing(node.driver, node.bmc_address)
    if absent and kind in ("power", "management"):
        return f"Missing the following credentials in node's driver_info: {absent}."
    if kind == "deploy" and way == "direct":
        try:
            instance_image.wish(session, call.actor, node, is_rebuild=node.provision_state == State.ACTIVE)
        except BadRequest as fault:
            return f"{fault.message} ({fault.why})" if fault.why else fault.message
    return None
