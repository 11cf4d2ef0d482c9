"""What control tells netboot to serve, parsed once at the edge, and kept on the disk for when control is away."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import orjson

from appliance.domain import names
from appliance.domain.errors import Invalid
from pxe.types import Mac, Reservation, Subnet


class BadConfig(Exception):
    """The configuration from control, or the kept copy, is not usable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetbootConfig:
    """hostnames: the machines that control knows, by MAC address."""

    revision: str = ""
    discovery: bool = False
    domain: str = "rack.internal"
    subnets: tuple[Subnet, ...] = ()
    hostnames: Mapping[Mac, str] = field(default_factory=dict)

    def knows(self, mac: Mac) -> bool:
        return mac in self.hostnames or any(entry.mac == mac for net in self.subnets for entry in net.reservations)


def parse(body: bytes) -> NetbootConfig:
    """Raises BadConfig that names what is wrong."""
    try:
        tree: Any = orjson.loads(body)
        return NetbootConfig(
            revision=str(tree["revision"]),
            discovery=bool(tree["discovery"]),
            domain=_domain(tree["domain"]),
            subnets=tuple(_subnet(entry) for entry in tree["subnets"]),
            hostnames={_mac(entry["mac"]): names.hostname(entry["hostname"]) for entry in tree["hosts"]},
        )
    except (ValueError, KeyError, TypeError, AttributeError, Invalid) as cause:
        raise BadConfig(f"netboot configuration: {cause!r}") from cause


def keep(path: Path, body: bytes) -> None:
    """Replace the kept copy; a crash leaves the old or the new one. Raises OSError."""
    fresh = path.with_suffix(".new")
    with fresh.open("wb") as out:
        out.write(body)
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(path)


def _subnet(tree: Mapping[str, Any]) -> Subnet:
    gateway = tree.get("gateway")
    return Subnet(
        name=str(tree["name"]),
        network=IPv4Network(tree["cidr"]),
        pool_start=IPv4Address(tree["pool_start"]),
        pool_end=IPv4Address(tree["pool_end"]),
        interface=str(tree["interface"]),
        gateway=IPv4Address(gateway) if gateway else None,
        domain=_domain(tree["domain"]),
        lease_s=max(60, int(tree["lease_s"])),
        reservations=tuple(_reservation(entry) for entry in tree.get("reservations", ())),
        relays=frozenset(IPv4Address(entry) for entry in tree.get("relays", ())),
    )


def _reservation(tree: Mapping[str, Any]) -> Reservation:
    hostname = tree.get("hostname")
    return Reservation(
        mac=_mac(tree["mac"]),
        address=IPv4Address(tree["address"]),
        hostname=names.hostname(hostname) if hostname else None,
    )


def _mac(text: str) -> Mac:
    return Mac(names.mac(text))


def _domain(text: str) -> str:
    """Labels joined by dots; an empty text stays empty."""
    return ".".join(names.hostname(label) for label in text.rstrip(".").split(".")) if text else ""
