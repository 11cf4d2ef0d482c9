"""Ports follow what an inspection found: new interfaces become ports, those that are gone may go, cables are noted."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.domain import names
from appliance.domain.errors import Invalid
from appliance.models import event
from appliance.models.node import Node, Port

PORTS_MOST = 64


def follow(session: Session, node: Node, report: Mapping[str, Any], *, add: str, keep: str, now: datetime) -> None:
    """add, keep: appliance.services.inspection.Policy. A MAC that another node has is left with it, and said."""
    found = {nic["mac"]: nic for nic in report.get("nics") or [] if nic.get("mac") and nic.get("name") != "lo"}
    booted = _mac(report.get("boot_mac"))
    wanted = [mac for mac, nic in found.items() if _is_wanted(nic, add, booted)]
    held = {port.mac: port for port in node.ports}
    for mac in wanted:
        if mac not in held and len(node.ports) < PORTS_MOST:
            _add(session, node, mac, is_pxe=booted in (None, mac), now=now)
    expected = {"present": set(found), "added": set(wanted)}.get(keep)
    for port in list(node.ports):
        if expected and port.mac not in expected:
            node.ports.remove(port)
            _tell(session, node, f"port {port.mac} went: the inspection did not find it", now)
        elif port.mac in found:
            _note(port, found[port.mac], booted, now)


def _mac(text: object) -> str | None:
    try:
        return names.mac(text) if isinstance(text, str) else None
    except Invalid:
        return None


def _is_wanted(nic: Mapping[str, Any], add: str, booted: str | None) -> bool:
    """Without knowing which one booted, `pxe` takes those with an address."""
    if add == "pxe" and booted is not None:
        return bool(nic["mac"] == booted)
    return add == "all" or (add in {"pxe", "active"} and bool(nic.get("address")))


def _add(session: Session, node: Node, mac: str, *, is_pxe: bool, now: datetime) -> None:
    other = session.scalars(select(Node).join(Port).where(Port.mac == mac)).first()
    if other is not None:
        text = f"the inspection found {mac}, which is a port of {other.label} already; it stays there"
        event.record(session, at=now, kind="alarm", actor="engine", node_id=node.id, mac=mac, message=text)
        return
    node.ports.append(Port(mac=mac, is_pxe=is_pxe, created_at=now))
    _tell(session, node, f"port {mac} found", now)


def _note(port: Port, nic: Mapping[str, Any], booted: str | None, now: datetime) -> None:
    """What booted, and where the cable ends as the switch says (LLDP); what people wrote of the cable stays."""
    link = {**_heard(nic.get("lldp")), **(port.link or {})}
    may_boot = port.portgroup is None or port.portgroup.standalone_ports_supported
    is_pxe = port.is_pxe if booted is None else port.mac == booted and may_boot
    if link != (port.link or {}) or is_pxe != port.is_pxe:
        port.link, port.is_pxe, port.updated_at = link, is_pxe, now


def _heard(lldp: object) -> dict[str, str]:
    """Only a chassis that names itself by a MAC address is a switch_id."""
    if not isinstance(lldp, Mapping):
        return {}
    heard = {
        "port_id": lldp.get("port_id"),
        "switch_info": lldp.get("system_name"),
        "switch_id": _mac(lldp.get("chassis_id")),
    }
    return {key: str(value)[:255] for key, value in heard.items() if value}


def _tell(session: Session, node: Node, message: str, now: datetime) -> None:
    event.record(session, at=now, kind="node.ports", actor="engine", node_id=node.id, message=message)
