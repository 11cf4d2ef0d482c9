"""Readings of the event log."""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, Select, func, or_, select, text
from sqlalchemy.orm import Session

from appliance.models.event import Event
from appliance.models.flow import Flow
from appliance.models.node import Node

TOPIC = "events"


def newest(session: Session, *, limit: int, node: Node | None) -> list[Event]:
    """The last `limit` events, oldest of them first; all, or one node's."""
    query = select(Event).order_by(Event.id.desc()).limit(limit)
    if node is not None:
        query = query.where(_mine(node))
    return list(session.scalars(query))[::-1]


def labels(session: Session, rows: Iterable[Event | Flow]) -> dict[int, str]:
    """What the nodes of these events or flows are called, by id."""
    wanted = {row.node_id for row in rows if row.node_id is not None}
    named = select(Node.id, func.coalesce(Node.name, Node.uuid).label("label")).where(Node.id.in_(wanted))
    return {row.id: row.label for row in session.execute(named)} if wanted else {}


def of_node(session: Session, node: Node, *, after: int, limit: int) -> list[Event]:
    """Events of a node in order, with what its MAC addresses did on the network (also before it was a node)."""
    return _following(session, select(Event).where(_mine(node)), after, limit)


def _mine(node: Node) -> ColumnElement[bool]:
    macs = [port.mac for port in node.ports]
    return or_(Event.node_id == node.id, Event.mac.in_(macs)) if macs else Event.node_id == node.id


def stream(session: Session, *, after: int, limit: int, node: Node | None) -> list[Event]:
    """Events after an id; all, or one node's."""
    if node is not None:
        return of_node(session, node, after=after, limit=limit)
    return _following(session, select(Event), after, limit)


# PostgreSQL gives an id out before the commit, so a later one may be seen before an earlier one. Whoever reads on from
# the last id would never see the earlier: so events are shown once no older transaction runs any more.
_SETTLED = text(
    "age(event.xmin) > age((pg_snapshot_xmin(pg_current_snapshot())::text::numeric % 4294967296)::text::xid)"
)


def _following(session: Session, query: Select[Event], after: int, limit: int) -> list[Event]:
    if session.get_bind().dialect.name == "postgresql":
        query = query.where(_SETTLED)
    return list(session.scalars(query.where(Event.id > after).order_by(Event.id).limit(limit)))
