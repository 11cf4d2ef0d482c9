"""Subnets, addresses and names: what netboot must know, and what it told us back."""

import hashlib
import ipaddress
import logging
import socket
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import delete as sql_delete
from sqlalchemy import insert, or_, select
from sqlalchemy.orm import Session

from appliance.domain import names, untrusted
from appliance.domain.boot import HOLDS_INSTANCE
from appliance.domain.errors import Conflict, Invalid, NotFound
from appliance.models import event
from appliance.models.database import announce, take_turns
from appliance.models.network import Lease, Subnet
from appliance.models.node import Node, Port

log = logging.getLogger(__name__)

NETBOOT_TOPIC = "netboot"
FIELDS = frozenset({"name", "cidr", "pool", "interface", "gateway", "domain", "lease_s"})


def create_subnet(
    session: Session, body: Mapping[str, Any], *, domain: str = "rack.internal", actor: str, now: datetime
) -> Subnet:
    """A subnet from {name, cidr, pool: "A-B", interface, gateway?, domain?, lease_s?}; refuses overlaps.

    domain: of subnets that name none.
    """
    unknown = set(body) - FIELDS
    if unknown:
        raise Invalid(f"unknown field {min(unknown)!r}", next_step=f"known fields: {', '.join(sorted(FIELDS))}")
    network = _network(body.get("cidr"))
    start, end = _pool(body.get("pool"), network)
    gateway = names.ip_address(str(body["gateway"])) if body.get("gateway") else None
    if gateway is not None and ipaddress.ip_address(gateway) not in network:
        raise Invalid(f"gateway {gateway} is not in {network}")
    if gateway is not None and start <= ipaddress.IPv4Address(gateway) <= end:
        raise Invalid(f"gateway {gateway} lies within the pool", why="it would be lent to a machine")
    lease_s = body.get("lease_s", 3600)
    if not isinstance(lease_s, int) or isinstance(lease_s, bool) or not 120 <= lease_s <= 30 * 86400:
        raise Invalid("lease_s is a number of seconds from 120 to 2592000")
    subnet = Subnet(
        name=names.hostname(str(body.get("name", ""))), cidr=str(network), pool_start=str(start), pool_end=str(end),
        interface=_interface(body.get("interface")), gateway=gateway,
        domain=_domain(body.get("domain") or domain),
        lease_s=lease_s, created_at=now,
    )  # fmt: skip
    take_turns(session, "subnets")
    for other in session.scalars(select(Subnet)):
        if other.name == subnet.name:
            raise Conflict(
                f"a subnet named {subnet.name!r} exists already", next_step=f"rackwright subnet delete {subnet.name}"
            )
        if ipaddress.ip_network(other.cidr).overlaps(network):
            raise Conflict(
                f"{network} overlaps subnet {other.name} ({other.cidr})",
                next_step="choose another network, or delete that subnet",
            )
    session.add(subnet)
    session.flush()
    event.record(
        session,
        at=now,
        kind="subnet.created",
        actor=actor,
        message=f"subnet {subnet.name} {subnet.cidr} on {subnet.interface}",
    )
    announce(session, NETBOOT_TOPIC)
    return subnet


def not_served(subnet: Subnet, *, interfaces: Collection[str], addresses: Collection[str]) -> str | None:
    """Why a machine with these interfaces and addresses cannot serve the subnet now; None when it can.

    No error: interfaces may come later, and another appliance may be the one that serves.
    """
    if subnet.interface not in interfaces:
        return f"this machine has no interface {subnet.interface} now; it has {', '.join(sorted(interfaces))}"
    network = ipaddress.ip_network(subnet.cidr)
    if not any(ipaddress.ip_address(address) in network for address in addresses):
        return f"this machine has no address in {network} now"
    return None


def local_interfaces() -> frozenset[str]:
    return frozenset(name for _index, name in socket.if_nameindex())


def _network(value: object) -> ipaddress.IPv4Network:
    try:
        network = ipaddress.ip_network(str(value), strict=True)
    except ValueError as cause:
        raise Invalid(
            f"cidr {str(value)[:60]!r} is not a network: {cause}", next_step="write it as 10.77.0.0/24"
        ) from cause
    if not isinstance(network, ipaddress.IPv4Network) or not 8 <= network.prefixlen <= 30:
        raise Invalid("cidr is an IPv4 network from /8 to /30")
    return network


def _pool(value: object, network: ipaddress.IPv4Network) -> tuple[ipaddress.IPv4Address, ipaddress.IPv4Address]:
    first, _, last = str(value or "").partition("-")
    try:
        start, end = ipaddress.IPv4Address(first.strip()), ipaddress.IPv4Address(last.strip())
    except ValueError as cause:
        raise Invalid("pool is a range of addresses", next_step="write it as 10.77.0.100-10.77.0.180") from cause
    inside = network.network_address < start and end < network.broadcast_address
    if start > end or not inside:
        raise Invalid(f"pool {start}-{end} does not lie within {network}")
    return start, end


def _interface(value: object) -> str:
    text = str(value or "")
    if not 1 <= len(text) <= 15 or not all(c.isalnum() or c in "._-" for c in text):
        raise Invalid("interface is the name of a network interface of the appliance", next_step="see `ip -brief link`")
    return text


def _domain(value: object) -> str:
    text = str(value).lower()
    if len(text) > 200:
        raise Invalid("domain is longer than 200 characters")
    return ".".join(names.hostname(label) for label in text.rstrip(".").split("."))


def fetch_subnet(session: Session, name: str) -> Subnet:
    subnet = session.scalar(select(Subnet).where(Subnet.name == name.lower()[:63]))
    if subnet is None:
        raise NotFound(f"no subnet {name[:63]!r}", next_step="rackwright subnet list")
    return subnet


def subnets(session: Session) -> Sequence[Subnet]:
    return list(session.scalars(select(Subnet).order_by(Subnet.id)))


def delete_subnet(session: Session, subnet: Subnet, *, actor: str, now: datetime) -> None:
    inside = ipaddress.ip_network(subnet.cidr)
    held = select(Lease.address, Node).join(Port, Port.mac == Lease.mac).join(Node, Node.id == Port.node_id)
    for address, node in session.execute(held.where(Lease.expires_at > now, Node.provision_state.in_(HOLDS_INSTANCE))):
        if ipaddress.ip_address(address) in inside:
            raise Conflict(
                f"subnet {subnet.name} is in use: {node.label} is {node.provision_state} and holds {address}",
                why="its lease could not be renewed, and the instance would lose its address",
                next_step=f"rackwright node undeploy {node.label}, when it is no longer needed",
            )
    event.record(session, at=now, kind="subnet.deleted", actor=actor, message=f"subnet {subnet.name} deleted")
    session.delete(subnet)
    announce(session, NETBOOT_TOPIC)


def picture(session: Session) -> dict[str, Any]:
    """All that netboot needs: subnets with reservations, and the host name of each MAC."""
    owned = list(session.execute(select(Port.mac, Port.address, Node.name).join(Node)))
    return {
        "subnets": [_subnet_picture(subnet, owned) for subnet in subnets(session)],
        "hosts": [{"mac": mac, "hostname": name} for mac, _address, name in owned if name],
    }


def revision(shown: Mapping[str, Any]) -> str:
    """A short hash of a picture: equal pictures have equal revisions, also after a restart."""
    return hashlib.sha256(orjson.dumps(shown, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def _subnet_picture(subnet: Subnet, owned: Sequence[Any]) -> dict[str, Any]:
    network = ipaddress.ip_network(subnet.cidr)
    return {
        "name": subnet.name, "cidr": subnet.cidr, "pool_start": subnet.pool_start, "pool_end": subnet.pool_end,
        "interface": subnet.interface, "gateway": subnet.gateway, "domain": subnet.domain, "lease_s": subnet.lease_s,
        "reservations": [
            {"mac": mac, "address": address, "hostname": name}
            for mac, address, name in owned
            if address and ipaddress.ip_address(address) in network
        ],
    }  # fmt: skip


def store_leases(session: Session, leases: Sequence[Mapping[str, Any]]) -> None:
    """Replace our copy of the given leases; the book itself is netboot's."""
    latest: dict[str, dict[str, Any]] = {}
    for row in filter(None, map(_lease, leases)):
        latest.pop(row["mac"], None)
        latest[row["mac"]] = row
    by_address = {row["address"]: row for row in latest.values()}
    gone = or_(Lease.address.in_(by_address), Lease.mac.in_(latest))
    if by_address:
        session.execute(sql_delete(Lease).where(gone))
        session.execute(insert(Lease), list(by_address.values()))


def _lease(item: Any) -> dict[str, Any] | None:
    """A lease of netboot, checked. A bad one is dropped alone: netboot repeats a batch until all of it is taken."""
    try:
        return {
            "address": names.ip_address(str(item["address"])),
            "mac": names.mac(str(item["mac"])),
            "hostname": untrusted.text(item.get("hostname"), 63) or None,
            "subnet": untrusted.text(item["subnet"], 63),
            "expires_at": datetime.fromtimestamp(float(item["expires_at"]), tz=UTC),
        }
    except (Invalid, KeyError, TypeError, ValueError, OverflowError, OSError, AttributeError) as fault:
        log.warning("lease of netboot dropped fault=%r", fault)
        return None


def leases(session: Session) -> Sequence[Lease]:
    return list(session.scalars(select(Lease).order_by(Lease.address)))


def lease_holder(session: Session, address: str, *, now: datetime) -> str | None:
    """The MAC that holds an address now, as far as netboot told us."""
    return session.scalar(select(Lease.mac).where(Lease.address == address, Lease.expires_at > now))
