"""Nodes that other resources name: in a filter, in a path, as what they hang on."""

from collections.abc import Callable
from typing import Any

from flask import Response
from sqlalchemy.orm import InstrumentedAttribute, Session

from appliance.domain.errors import NotFound
from appliance.http.ironic import pages, policy, shelf
from appliance.http.ironic.call import Call
from appliance.http.ironic.errors import BadRequest
from appliance.http.ironic.kinds import Kind
from appliance.http.ironic.policy import Rule
from appliance.models.node import Node
from appliance.services import belonging

NAMES_SINCE = 5


def node_of(session: Session, call: Call, ident: str) -> Node:
    """The node of a path or a filter. Raises NotFound when it is not the caller's to see."""
    if not belonging.is_uuid(ident) and call.minor < NAMES_SINCE:
        raise NotFound(f"Node {ident[:255]} could not be found.")
    return belonging.node(session, ident, project=policy.project_of(call.actor))


def node_to_hang_on(session: Session, call: Call, ident: str, rule: Rule, name: str) -> Node:
    """The node, locked, that a thing is put on. One that is not there, or not visible, is the request's fault (400)

    for whom may put things somewhere; who may not at all is told so (403).
    """
    try:
        node = belonging.node(session, ident, project=policy.project_of(call.actor))
    except NotFound as cause:
        call.demand(rule, name)
        raise BadRequest(cause.message) from cause
    call.demand(rule, name, owner=node.owner, lessee=node.lessee)
    return belonging.node_to_write(session, node.uuid, project=None)


def node_to_move_to(session: Session, call: Call, ident: str, rule: Rule, name: str, *, home: Node) -> Node:
    """The node, locked, that a thing of `home` is to hang on, which has the same owner.

    Whom a node is lent to must not carry off what hangs on it, secrets and all.
    """
    node = node_to_hang_on(session, call, ident, rule, name)
    if node.owner != home.owner:
        raise BadRequest(f"Unable to apply the requested node_uuid '{ident[:255]}'. Requested value was invalid.")
    return node


def child_list(
    call: Call,
    kind: Kind,
    scoped: Callable[[str | None], Any],
    column: InstrumentedAttribute[Any],
    ident: str,
    *,
    path: str,
    is_detail: bool = False,
) -> Response:
    """What hangs on the node of the path."""
    pages.only(call.arguments, frozenset())
    with call.context.database.read() as session:
        node = node_of(session, call, ident)
        query = scoped(policy.project_of(call.actor)).where(column == node.id)
        return shelf.listing(session, call, kind, query, path=path, is_detail=is_detail)
