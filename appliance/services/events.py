"""Readings of the event log."""

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from appliance.models.event import Event
from appliance.models.node import Node

TOPIC = "events"


def of_node(session: Session, node: Node, *, after: int, limit: int) -> list[Event]:
    """Events of a node in order, with what its MAC addresses did on the network (also before it was a node)."""
    macs = [port.mac for port in node.ports]
    mine = or_(Event.node_id == node.id, Event.mac.in_(macs)) if macs else Event.node_id == node.id
    return list(session.scalars(select(Event).where(mine, Event.id > after).order_by(Event.id).limit(limit)))


def stream(session: Session, *, after: int, limit: int, node: Node | None) -> list[Event]:
    """Events after an id; all, or one node's."""
    if node is not None:
        return of_node(session, node, after=after, limit=limit)
    return list(session.scalars(select(Event).where(Event.id > after).order_by(Event.id).limit(limit)))
