"""Values shared by the protocols: who asks, what it shall boot, which subnet it is on, what it was lent."""

from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network
from typing import NewType

Mac = NewType("Mac", str)
"""An Ethernet address in canonical text: `52:54:00:12:34:56`."""


class Firmware(StrEnum):
    """How a machine loads us; not what it will run."""

    BIOS = "bios"
    UEFI = "uefi"
    UEFI_HTTP = "uefi-http"
    UNKNOWN = "unknown"


class Stage(StrEnum):
    """Which program of the machine sends the request."""

    FIRMWARE = "firmware"
    IPXE = "ipxe"
    OTHER = "other"


class Action(StrEnum):
    """What a machine shall do: boot what we give, boot its own disk, or merely have an address."""

    BOOT = "boot"
    LOCAL = "local"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A machine as its DHCP request describes it. architecture: option 93 (RFC 4578 §2.1)."""

    mac: Mac
    architecture: int | None
    firmware: Firmware
    stage: Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class BootPlan:
    action: Action
    why: str
    node: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """An address kept for one machine, inside or outside of the pool."""

    mac: Mac
    address: IPv4Address
    hostname: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnet:
    """A network that we serve on one interface. The pool is inclusive at both ends.

    relays: addresses (giaddr) of DHCP relays that may speak for clients of this subnet; all others are ignored.
    """

    name: str
    network: IPv4Network
    pool_start: IPv4Address
    pool_end: IPv4Address
    interface: str
    gateway: IPv4Address | None
    domain: str
    lease_s: int
    reservations: tuple[Reservation, ...] = ()
    relays: frozenset[IPv4Address] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """An address lent to a machine until `expires_at` (Unix seconds)."""

    address: IPv4Address
    mac: Mac
    subnet: str
    expires_at: float
    hostname: str | None = None
    client_id: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseChange:
    """One address of the lease book before and after a decision; `None`: nobody has it."""

    address: IPv4Address
    before: Lease | None
    after: Lease | None
