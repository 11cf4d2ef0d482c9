"""Readings of the event log."""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, func, or_, select
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
    return list(session.scalars(select(Event).where(_mine(node), Event.id > after).order_by(Event.id).limit(limit)))


def _mine(node: Node) -> ColumnElement[bool]:
    macs = [port.mac for port in node.ports]
    return or_(Event.node_id == node.id, Event.mac.in_(macs)) if macs else Event.node_id == node.id


def stream(session: Session, *, after: int, limit: int, node: Node | None) -> list[Event]:
    """Events after an id; all, or one node's."""
    if node is not None:
        return of_node(session, node, after=after, limit=limit)
    return list(session.scalars(select(Event).where(Event.id > after).order_by(Event.id).limit(limit)))
