"""Port groups: ports of one node that are joined to a bond."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.domain.errors import Conflict, Invalid, Taken
from appliance.models import event
from appliance.models.node import Node, Port, Portgroup
from appliance.services import belonging, nodes, ports
from appliance.services.belonging import apply, first, keep


def scoped(project: str | None) -> Any:
    return belonging.of_nodes(Portgroup, project)


def fetch(session: Session, ident: str, *, project: str | None) -> Portgroup:
    """The group with this UUID or name."""
    column = Portgroup.uuid if belonging.is_uuid(ident) else Portgroup.name
    missing = f"Portgroup {ident[:255]} could not be found."
    found: Portgroup = first(session, scoped(project).where(column == ident[:255]), otherwise=missing)
    return found


def create(session: Session, wish: Mapping[str, Any], *, node: Node, actor: str, now: datetime) -> Portgroup:
    """A group on the locked node."""
    _refuse_taken(session, wish, but_not=0)
    group = Portgroup(created_at=now, node=node, **wish)
    session.add(group)
    keep(session, "A portgroup with that name or MAC address already exists.")
    _tell(session, node, f"port group {group.name or group.uuid} added", actor, now)
    return group


def change(
    session: Session, group: Portgroup, changes: dict[str, Any], *, node: Node, actor: str, now: datetime
) -> None:
    """node: the one it shall belong to, locked; a group with ports stays where it is."""
    changes = {column: value for column, value in changes.items() if getattr(group, column) != value}
    _refuse_taken(session, changes, but_not=group.id)
    members = list(session.scalars(select(Port).where(Port.portgroup_id == group.id)))
    if node.id != group.node_id:
        _refuse_move(session, group, node, members)
        group.node = node
    if changes.get("standalone_ports_supported") is False and any(port.is_pxe for port in members):
        raise Conflict(
            f"standalone_ports_supported can not be set to False, because the port group {group.uuid} contains port "
            "with 'pxe_enabled' is set to True"
        )
    apply(group, changes)
    if "physical_network" in changes:
        for port in members:
            port.physical_network, port.updated_at = group.physical_network, now
    group.updated_at = now
    keep(session, "A portgroup with that name or MAC address already exists.")
    _tell(session, node, f"port group {group.name or group.uuid} changed", actor, now)


def _refuse_move(session: Session, group: Portgroup, node: Node, members: list[Port]) -> None:
    for one in {group.node, node}:
        nodes.refuse_held(session, one, "its port groups cannot change now")
        if one.provision_state not in ports.REWIRED_IN and not one.maintenance:
            raise Conflict(
                f"Portgroup {group.uuid} can not be associated to node {node.uuid} unless the node is in a "
                f"{', '.join(ports.REWIRED_IN)} state or in maintenance mode. Current state is "
                f"'{one.provision_state}'."
            )
    if members:
        raise Invalid(
            f"Portgroup {group.uuid} can not be associated with node {node.uuid} because there are ports associated "
            "with this portgroup."
        )


def delete(session: Session, group: Portgroup, *, actor: str, now: datetime) -> None:
    if session.scalar(select(Port.id).where(Port.portgroup_id == group.id).limit(1)) is not None:
        raise Invalid(
            f"Cannot complete the requested action because portgroup {group.uuid} contains ports.",
            next_step="take its ports out of it first",
        )
    nodes.refuse_held(session, group.node, "its port groups cannot change now")
    _tell(session, group.node, f"port group {group.name or group.uuid} deleted", actor, now)
    session.delete(group)


def _refuse_taken(session: Session, wish: Mapping[str, Any], *, but_not: int) -> None:
    for column, said in ((Portgroup.name, "name"), (Portgroup.address, "MAC address"), (Portgroup.uuid, "UUID")):
        value = wish.get(column.key)
        if value is None:
            continue
        query = belonging.of_nodes(Portgroup, None).where(column == value, Portgroup.id != but_not)
        holder = session.scalars(query).first()
        if holder is not None:
            raise Taken(f"A portgroup with {said} {value} already exists.", why=f"it is on node {holder.node.label}")


def _tell(session: Session, node: Node, message: str, actor: str, now: datetime) -> None:
    event.record(session, at=now, kind="node.ports", actor=actor, node_id=node.id, message=message)
