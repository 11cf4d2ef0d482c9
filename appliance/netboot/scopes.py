"""Turns the configuration and the interfaces that are there into what DHCP serves: one address book per subnet."""

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address

from appliance.netboot.config import NetbootConfig
from appliance.netboot.interfaces import Interface
from pxe.dhcp4.book import AddressBook
from pxe.dhcp4.conversation import Network
from pxe.dhcp4.responder import Place
from pxe.types import Lease, Mac, Subnet


class Scopes:
    """The books in use. They outlive interfaces: a subnet whose interface is gone keeps its leases."""

    def __init__(self, leases: Iterable[Lease], *, http_port: int) -> None:
        self._http_port = http_port
        self._leases = list(leases)
        self._books: dict[str, AddressBook] = {}
        self._faults: dict[str, str] = {}
        self.networks: Mapping[str, Sequence[Network]] = {}

    def arrange(self, config: NetbootConfig, interfaces: Mapping[str, Interface]) -> Mapping[str, Sequence[Network]]:
        """Networks by interface. A subnet that did not change keeps its book, with its offers and its quarantine."""
        former = self._books
        leases = self._all_leases()
        self._leases = leases
        self._books, self._faults = {}, {}
        networks: dict[str, list[Network]] = {}
        for subnet in config.subnets:
            server = server_address(subnet, interfaces)
            book = former.get(subnet.name)
            if book is None or book.subnet != subnet or server not in (None, *book.taken):
                book = AddressBook(subnet, leases, taken=[server] if server is not None else [])
            self._books[subnet.name] = book
            if server is None:
                self._faults[subnet.name] = _missing(subnet, interfaces)
                continue
            place = Place(subnet=subnet, server=server, http_port=self._http_port)
            networks.setdefault(subnet.interface, []).append(
                Network(book=book, place=place, hostnames=config.hostnames)
            )
        self.networks = networks
        return networks

    def _all_leases(self) -> list[Lease]:
        """Of the books, and of subnets that were not served lately."""
        known = [lease for book in self._books.values() for lease in book.leases()]
        return known + [lease for lease in self._leases if lease.subnet not in self._books]

    @property
    def faults(self) -> Mapping[str, str]:
        """Why a subnet is not served, by its name."""
        return dict(self._faults)

    def servers(self) -> list[IPv4Address]:
        return [net.place.server for nets in self.networks.values() for net in nets]

    def owner(self, address: IPv4Address, now: float) -> Mac | None:
        """The machine that holds the live lease of an address."""
        for book in self._books.values():
            lease = book.owner(address, now) if address in book.subnet.network else None
            if lease is not None:
                return lease.mac
        return None

    def address_of(self, subnet: Subnet, mac: Mac, now: float) -> IPv4Address | None:
        book = self._books.get(subnet.name)
        if book is None:
            return None
        lease = book.lease_of(mac)
        if lease is not None and lease.expires_at > now:
            return lease.address
        kept = book.reservation_of(mac)
        return kept.address if kept is not None else None


def server_address(subnet: Subnet, interfaces: Mapping[str, Interface]) -> IPv4Address | None:
    """Our address in a subnet: the first one of its interface that lies in it."""
    interface = interfaces.get(subnet.interface)
    if interface is None:
        return None
    return next((address for address in interface.addresses if address in subnet.network), None)


def _missing(subnet: Subnet, interfaces: Mapping[str, Interface]) -> str:
    if subnet.interface not in interfaces:
        return f"subnet {subnet.name}: there is no interface {subnet.interface}"
    return f"subnet {subnet.name}: interface {subnet.interface} has no address in {subnet.network}"
