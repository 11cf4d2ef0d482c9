"""/v1/nodes/{node}/traits: what the machine can do, as words that an allocation or a runbook asks for."""

from collections.abc import Callable

from flask import Response, request

from appliance.domain import traits as grammar
from appliance.domain.errors import NotFound
from appliance.http.ironic import policy
from appliance.http.ironic.call import Call, Route
from appliance.http.ironic.errors import BadRequest
from appliance.http.ironic.node_access import find, find_to_change
from appliance.http.json_body import nothing, read_object, reply
from appliance.models.node import Node

SINCE = 37


def routes() -> list[Route]:
    below = "/nodes/<ident>/traits"
    return [
        Route(method="GET", path=below, view=_list),
        Route(method="PUT", path=below, view=_replace, since=SINCE),
        Route(method="DELETE", path=below, view=_delete, since=SINCE),
        Route(method="PUT", path=f"{below}/<trait>", view=_add, since=SINCE),
        Route(method="DELETE", path=f"{below}/<trait>", view=_delete, since=SINCE),
    ]


def _list(call: Call, ident: str) -> Response:
    call.require(SINCE)
    with call.context.database.read() as session:
        node = find(session, call, ident, policy.PROJECT_READER, "baremetal:node:traits:list")
    return reply({"traits": node.traits})


def _replace(call: Call, ident: str) -> Response:
    body = read_object()
    if set(body) != {"traits"}:
        raise BadRequest(
            "A single node trait may be added via PUT /v1/nodes/<node identifier>/traits/<trait> with no body, or all "
            "node traits may be replaced via PUT /v1/nodes/<node identifier>/traits with the list of traits specified "
            "in the request body."
        )
    _set(call, ident, "set", lambda _node: grammar.traits(body["traits"]))
    return nothing()


def _add(call: Call, ident: str, trait: str) -> Response:
    if request.content_length and read_object():
        raise BadRequest("No body should be provided when adding a trait")
    _set(call, ident, "set", lambda node: [*node.traits, grammar.trait(trait)])
    response = nothing()
    response.headers["Location"] = f"{call.v1}/nodes/{ident}/traits/{trait}"
    return response


def _delete(call: Call, ident: str, trait: str | None = None) -> Response:
    def rest(node: Node) -> list[str]:
        if trait is None:
            return []
        if trait not in node.traits:
            raise NotFound(f"Node {node.uuid} doesn't have a trait '{trait[:255]}'")
        return [one for one in node.traits if one != trait]

    _set(call, ident, "delete", rest)
    return nothing()


def _set(call: Call, ident: str, action: str, new: Callable[[Node], list[str]]) -> None:
    context = call.context
    with context.database.write() as session:
        node = find_to_change(session, call, ident, policy.OWNER_MANAGER, f"baremetal:node:traits:{action}")
        wanted = sorted(set(new(node)))
        if len(wanted) > grammar.MAX_TRAITS:
            raise BadRequest(f"The node cannot have more than {grammar.MAX_TRAITS} traits")
        node.traits, node.updated_at = wanted, context.clock()
