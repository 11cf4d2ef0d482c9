"""Which names DNS knows: the machines of the configuration, at their reserved or leased addresses.

Names that clients put into DHCP requests never get here, so nobody can take the name of another machine.
"""

from collections.abc import Callable, Iterable
from ipaddress import IPv4Address

from appliance.netboot.config import NetbootConfig
from pxe.dns.zone import Zone
from pxe.types import Mac, Subnet

Located = Callable[[Subnet, Mac], IPv4Address | None]
"""The address of a machine in a subnet: reserved, or of its live lease."""


class Names:
    """Fills a Zone from a configuration and keeps it up to date as leases come and go."""

    def __init__(self, config: NetbootConfig, *, located: Located, now: float) -> None:
        self._config = config
        self._located = located
        domains = {config.domain, *(subnet.domain for subnet in config.subnets)} - {""}
        self._home = config.domain or next(iter(sorted(domains)), "rack.internal")
        self.zone = Zone(
            nameserver=f"rackwright.{self._home}",
            domains=domains or {self._home},
            networks=[subnet.network for subnet in config.subnets],
            revision=int(now),
        )
        self._owners: dict[str, set[Mac]] = {}
        self._names: dict[Mac, set[str]] = {}
        for mac, hostname in config.hostnames.items():
            self._own(mac, hostname)
        for subnet in config.subnets:
            for entry in subnet.reservations:
                if entry.hostname:
                    self._own(entry.mac, entry.hostname)

    def publish_all(self, servers: Iterable[IPv4Address]) -> None:
        """servers: our own addresses."""
        self.zone.put(self.zone.nameserver, sorted(servers))
        for hostname in self._owners:
            self._publish(hostname)

    def publish(self, mac: Mac) -> None:
        """A lease of this machine changed."""
        for hostname in self._names.get(mac, ()):
            self._publish(hostname)

    def _own(self, mac: Mac, hostname: str) -> None:
        self._owners.setdefault(hostname, set()).add(mac)
        self._names.setdefault(mac, set()).add(hostname)

    def _publish(self, hostname: str) -> None:
        by_domain: dict[str, set[IPv4Address]] = {}
        for subnet in self._config.subnets:
            found = by_domain.setdefault(subnet.domain or self._home, set())
            found |= {address for mac in self._owners[hostname] if (address := self._located(subnet, mac)) is not None}
        for domain, addresses in by_domain.items():
            name = f"{hostname}.{domain}"
            if name != self.zone.nameserver:
                self.zone.put(name, sorted(addresses))
