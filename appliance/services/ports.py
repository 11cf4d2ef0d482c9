"""Ports of nodes and the groups they are joined to. One transaction per call, given by the caller."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ScalarSelect, select
from sqlalchemy.orm import Session, lazyload, load_only, selectinload

from appliance.domain.errors import Conflict, Invalid, Taken
from appliance.models import event
from appliance.models.node import Node, Port, Portgroup
from appliance.services import belonging, nodes
from appliance.services.belonging import apply, first, keep

_MOST = 64
"""Ports of one node, and groups."""


class Busy(Conflict):
    """The port's node is in work that changes its ports."""

    code = "node-busy"


def scoped(project: str | None) -> Any:
    """The ports that a project sees, with the UUID of their group."""
    group = selectinload(Port.portgroup).options(
        load_only(Portgroup.uuid, Portgroup.name, Portgroup.standalone_ports_supported)
    )
    return belonging.of_nodes(Port, project).options(group)


def group_uuid() -> ScalarSelect[str]:
    """The UUID of a port's group, for a list that is read as rows."""
    return select(Portgroup.uuid).where(Portgroup.id == Port.portgroup_id).scalar_subquery()


def fetch(session: Session, ident: str, *, project: str | None) -> Port:
    """The port with this UUID or name."""
    column = Port.uuid if belonging.is_uuid(ident) else Port.name
    found: Port = first(
        session, scoped(project).where(column == ident[:255]), otherwise=f"Port {ident[:255]} could not be found."
    )
    return found


def create(
    session: Session, wish: Mapping[str, Any], *, node: Node, group: Portgroup | None, actor: str, now: datetime
) -> Port:
    """A port of the locked node. wish: columns of Port, checked. Raises Conflict or Invalid."""
    _refuse_taken(session, wish, but_not=None)
    if len(node.ports) >= _MOST:
        raise Invalid(f"node {node.label} has {_MOST} ports already")
    port = Port(created_at=now, **wish)
    port.portgroup = group
    _refuse_unfit(port, node)
    node.ports.append(port)
    keep(session, f"A port with MAC address {port.mac} already exists.")
    nodes.adopt_sightings(session, node)
    _tell(session, node, f"port {port.mac} added", actor, now)
    return port


def change(session: Session, port: Port, changes: dict[str, Any], *, node: Node, actor: str, now: datetime) -> None:
    """Change columns of a port. node: the one it shall belong to, locked. What work relies on stays while it runs."""
    if "mac" in changes or node.id != port.node_id:
        nodes.refuse_held(session, node, f"port {port.mac} cannot change now")
    _refuse_taken(session, changes, but_not=port.id)
    if "physical_network" in changes and (changes.get("portgroup", port.portgroup)) is not None:
        raise Invalid("physical_network cannot be changed while the port belongs to a portgroup.")
    apply(port, changes)
    if node.id != port.node_id:
        port.node = node
    _refuse_unfit(port, node)
    port.updated_at = now
    keep(session, f"A port with MAC address {port.mac} already exists.")
    _tell(session, node, f"port {port.mac} changed: {', '.join(sorted(changes))}", actor, now)


def delete(session: Session, port: Port, *, actor: str, now: datetime) -> None:
    """Forget a port; not while work holds its node, nor while a network of an instance is attached to it."""
    nodes.refuse_held(session, port.node, f"port {port.mac} cannot be deleted now")
    _tell(session, port.node, f"port {port.mac} deleted", actor, now)
    session.delete(port)


def _refuse_taken(session: Session, wish: Mapping[str, Any], *, but_not: int | None) -> None:
    """A MAC, a name and a UUID belong to one port; the refusal names its node."""
    for column, said in (
        (Port.mac, "MAC address"), (Port.name, "name"), (Port.uuid, "UUID"),
    ):  # fmt: skip
        value = wish.get(column.key)
        if value is None:
            continue
        query = select(Node).join(Port).where(column == value, Port.id != (but_not or 0)).options(lazyload(Node.ports))
        holder = session.scalars(query).first()
        if holder is not None:
            raise Taken(f"A port with {said} {value} already exists.", why=f"it is a port of node {holder.label}")


def _refuse_unfit(port: Port, node: Node) -> None:
    """What the values of a port must be to one another."""
    group = port.portgroup
    if port.is_smartnic and not {"port_id", "hostname"} <= set(port.link or {}):
        raise Invalid("Smart NIC port must have port_id and hostname in local_link_connection")
    if group is None:
        return
    if group.node_id != node.id:
        raise Invalid("Port can not be added to a portgroup belonging to a different node.")
    if port.is_pxe and not group.standalone_ports_supported:
        raise Conflict(
            f"Port group {group.uuid} doesn't support standalone ports. This port cannot be a member of that portgroup "
            "as the port's 'pxe_enabled' field was set to True."
        )


def _tell(session: Session, node: Node, message: str, actor: str, now: datetime) -> None:
    event.record(session, at=now, kind="node.ports", actor=actor, node_id=node.id, message=message)
