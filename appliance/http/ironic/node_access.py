"""Finding a node for a request: by UUID or name, if the caller may see it, and may do what they ask.

What is not the caller's to see is not there (404), in the same words; what they see and may not do is forbidden (403).
"""

import re
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select
from sqlalchemy.orm import Session, lazyload

from appliance.domain.errors import NotFound
from appliance.http.ironic import policy
from appliance.http.ironic.call import Call
from appliance.http.ironic.errors import BadRequest
from appliance.http.ironic.node_fields import Shape
from appliance.http.ironic.policy import Rule
from appliance.models.node import Node, lock

NAMES_SINCE = 5
_UUID = re.compile(r"[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}\Z")
_NAME = re.compile(r"[A-Za-z0-9._~-]{1,255}\Z")
_HOSTNAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*\Z")


def is_uuid(text: str) -> bool:
    return len(text) <= 36 and _UUID.match(text.lower()) is not None


def is_name(text: str, minor: int) -> bool:
    """A logical name: RFC 3986's unreserved characters; host names only, before 1.10."""
    if len(text) > 255:
        return False
    return (_NAME if minor >= 10 else _HOSTNAME).match(text) is not None


def missing(ident: str) -> NotFound:
    return NotFound(f"Node {ident[:255]} could not be found.")


def key(call: Call, ident: str) -> tuple[bool, str]:
    """(whether it is a UUID, what to look for). Raises BadRequest or NotFound for what can be neither."""
    if is_uuid(ident):
        return True, ident.lower()
    if call.minor < NAMES_SINCE:
        raise missing(ident)
    if not is_name(ident, call.minor):
        raise BadRequest(f"Expected a logical name or UUID but received {ident[:255]}.")
    return False, ident


def row(connection: Connection, call: Call, shape: Shape, ident: str) -> Row[Any]:
    """The columns of a shape, for showing only."""
    by_uuid, text = key(call, ident)
    found = connection.execute(shape.by_uuid if by_uuid else shape.by_name, {"ident": text}).first()
    if found is None or not _is_visible(call, found.owner, found.lessee):
        raise missing(ident)
    return found


def _is_visible(call: Call, owner: str | None, lessee: str | None) -> bool:
    return policy.allows(call.actor, policy.PROJECT_READER, owner=owner, lessee=lessee)


_WITHOUT_PORTS = lazyload(Node.ports)
_BY_UUID = select(Node).where(Node.uuid == bindparam("ident")).options(_WITHOUT_PORTS)
_BY_NAME = select(Node).where(Node.name == bindparam("ident")).options(_WITHOUT_PORTS)


def find(session: Session, call: Call, ident: str, rule: Rule, name: str) -> Node:
    """The node, to look at. Raises NotFound or Forbidden."""
    by_uuid, text = key(call, ident)
    node = session.scalar(_BY_UUID if by_uuid else _BY_NAME, {"ident": text})
    if node is None or not _is_visible(call, node.owner, node.lessee):
        raise missing(ident)
    call.demand(rule, name, owner=node.owner, lessee=node.lessee)
    return node


def find_to_change(session: Session, call: Call, ident: str, rule: Rule, name: str) -> Node:
    """The node with its row locked until the transaction ends."""
    node = find(session, call, ident, rule, name)
    live = lock(session, node.id)
    if live is None:
        raise missing(ident)
    return live
