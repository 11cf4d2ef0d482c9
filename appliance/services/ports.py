"""Ports of nodes and the groups they are joined to. One transaction per call, given by the caller."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ScalarSelect, select
from sqlalchemy.orm import Session, lazyload, load_only, selectinload

from appliance.domain.errors import Conflict, Invalid, Taken
from appliance.domain.lifecycle import State
from appliance.models import event
from appliance.models.node import Node, Port, Portgroup, lock
from appliance.services import belonging, nodes
from appliance.services.belonging import apply, first, keep

_MOST = 64
"""Ports of one node, and groups."""
REWIRED_IN = (State.ENROLL, State.INSPECTING, State.INSPECTWAIT, State.MANAGEABLE)
"""A node in another state is offered to users or carries an instance: its cables are where its ports say."""
_WIRING = {
    "portgroup": "portgroup_uuid", "is_pxe": "pxe_enabled", "link": "local_link_connection",
    "physical_network": "physical_network",
}  # fmt: skip


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
    if group is not None and wish.get("is_pxe") and not group.standalone_ports_supported:
        raise Conflict(
            f"Port group {group.uuid} doesn't support standalone ports. This port cannot be created as a member of "
            "that portgroup as the port's 'pxe_enabled' field was set to True."
        )
    if len(node.ports) >= _MOST:
        raise Invalid(f"node {node.label} has {_MOST} ports already")
    port = Port(created_at=now, **wish)
    port.portgroup = group
    _refuse_unfit(port, node)
    _fit_network(session, port)
    node.ports.append(port)
    keep(session, f"A port with MAC address {port.mac} already exists.")
    nodes.adopt_sightings(session, node)
    _tell(session, node, f"port {port.mac} added", actor, now)
    return port


def change(session: Session, port: Port, changes: dict[str, Any], *, node: Node, actor: str, now: datetime) -> None:
    """Change columns of a port. node: the one it shall belong to, locked. What work and instances rely on stays."""
    changes = {column: value for column, value in changes.items() if getattr(port, column) != value}
    moves = node.id != port.node_id
    if "mac" in changes or moves:
        for one in {port.node, node}:
            nodes.refuse_held(session, one, f"port {port.mac} cannot change now")
            _refuse_in_use(port, one)
    _refuse_rewiring(port, changes, node)
    _refuse_taken(session, changes, but_not=port.id)
    apply(port, changes)
    if moves:
        port.node = node
    _refuse_unfit(port, node)
    if changes.keys() & {"portgroup", "physical_network"}:
        _fit_network(session, port)
    port.updated_at = now
    keep(session, f"A port with MAC address {port.mac} already exists.")
    _tell(session, node, f"port {port.mac} changed: {', '.join(sorted(changes))}", actor, now)


def _refuse_in_use(port: Port, node: Node) -> None:
    if nodes.is_in_use(node):
        raise Conflict(
            f"Cannot update hardware address for port {port.uuid} as node {node.uuid} is active or has instance UUID "
            "assigned",
            next_step=f"rackwright node maintenance on {node.label}",
        )


def _refuse_rewiring(port: Port, changes: Mapping[str, Any], node: Node) -> None:
    if changes.keys() & _WIRING.keys() and node.provision_state not in REWIRED_IN and not node.maintenance:
        raise Conflict(
            f"Port {port.uuid} can not have any connectivity attributes ({', '.join(_WIRING.values())}) updated unless "
            f"node {node.uuid} is in a {', '.join(REWIRED_IN)} state or in maintenance mode. The current state is "
            f"{node.provision_state}.",
            next_step=f"rackwright node maintenance on {node.label}",
        )


def delete(session: Session, port: Port, *, actor: str, now: datetime) -> None:
    """Forget a port; not while work holds its node, nor while a network of an instance is attached to it."""
    node = lock(session, port.node_id) or port.node
    nodes.refuse_held(session, node, f"port {port.mac} cannot be deleted now")
    vif = _vif(port)
    if vif and not node.maintenance:
        raise Conflict(
            f"Cannot delete the port {port.uuid} as it is bound to VIF {vif} for use.",
            next_step="detach the network from the node first",
        )
    if vif:
        node.vifs = [one for one in node.vifs if one["id"] != vif]
    _tell(session, node, f"port {port.mac} deleted", actor, now)
    session.delete(port)


def _vif(port: Port) -> str | None:
    """The network that somebody attached to this very port; a port that is being made has none."""
    vifs = port.node.vifs if port.node_id else []
    return next((str(vif["id"]) for vif in vifs if vif.get("port_uuid") == port.uuid), None)


def _fit_network(session: Session, port: Port) -> None:
    """The ports of a group are on one physical network; the first that has one brings it into the group."""
    group = port.portgroup
    if group is None:
        return
    query = select(Port.physical_network).where(Port.portgroup_id == group.id, Port.id != (port.id or 0)).distinct()
    with session.no_autoflush:
        networks = list(session.scalars(query)) or [name for name in (group.physical_network,) if name is not None]
    if not networks:
        group.physical_network = port.physical_network
    elif networks[0] != port.physical_network:
        raise Conflict(
            f"Port with physical network {port.physical_network} cannot become a member of port group {group.uuid} "
            f"which has ports in physical network {networks[0]}."
        )


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
    if not group.standalone_ports_supported and (reasons := _standing_alone(port)):
        raise Conflict(
            f"Port group {group.uuid} doesn't support standalone ports. This port {port.uuid} cannot be a member of "
            f"that port group because of: {', '.join(reasons)}"
        )


def _standing_alone(port: Port) -> list[str]:
    """Why a port is used by itself, whatever its group is."""
    vif = _vif(port)
    reasons = ["'pxe_enabled' was set to True"] if port.is_pxe else []
    return [*reasons, f"VIF {vif} is attached to the port"] if vif else reasons


def _tell(session: Session, node: Node, message: str, actor: str, now: datetime) -> None:
    event.record(session, at=now, kind="node.ports", actor=actor, node_id=node.id, message=message)
