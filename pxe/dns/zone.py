"""The names that we are the authority for, in memory, forward and reverse. Fulfils `pxe.needs.ZoneData`.

Reverse zones are cut at whole octets, the longest that still hold the network: 10.77.0.0/24 is `0.77.10.in-addr.arpa`,
10.77.0.0/22 is `77.10.in-addr.arpa`.
"""

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network


def reverse_origin(network: IPv4Network) -> str:
    octets = str(network.network_address).split(".")[: network.prefixlen // 8]
    return ".".join([*reversed(octets), "in-addr.arpa"])


class Zone:
    """Names are lower case, without the final dot, and below one of the origins."""

    def __init__(
        self, *, nameserver: str, domains: Iterable[str], networks: Iterable[IPv4Network], revision: int
    ) -> None:
        reverse = [reverse_origin(network) for network in networks]
        # A network shorter than /8 would make us the authority of all addresses.
        self._origins = sorted({*domains, *(origin for origin in reverse if origin != "in-addr.arpa")})
        self._nameserver = nameserver
        self._revision = revision & 0xFFFFFFFF
        self._forward: dict[str, tuple[IPv4Address, ...]] = {}
        self._reverse: dict[str, str] = {}
        self._parents: dict[str, int] = {}

    @property
    def revision(self) -> int:
        return self._revision

    @property
    def origins(self) -> Sequence[str]:
        return self._origins

    @property
    def nameserver(self) -> str:
        return self._nameserver

    def addresses(self, name: str) -> Sequence[IPv4Address]:
        return self._forward.get(name, ())

    def pointer(self, name: str) -> str | None:
        return self._reverse.get(name)

    def exists(self, name: str) -> bool:
        return name in self._parents or name in self._origins

    def names(self) -> Mapping[str, tuple[IPv4Address, ...]]:
        return dict(self._forward)

    def put(self, name: str, addresses: Sequence[IPv4Address]) -> bool:
        """Give the name exactly these addresses; none removes it. True when that changed something."""
        new, old = tuple(addresses), self._forward.get(name, ())
        if new == old:
            return False
        for address in old:
            if self._reverse.get(address.reverse_pointer) == name:
                del self._reverse[address.reverse_pointer]
                self._count(address.reverse_pointer, -1)
        self._forward.pop(name, None)
        if new:
            self._forward[name] = new
        self._count(name, bool(new) - bool(old))
        for address in new:
            if address.reverse_pointer not in self._reverse:
                self._count(address.reverse_pointer, 1)
            self._reverse[address.reverse_pointer] = name
        self._revision = (self._revision + 1) & 0xFFFFFFFF
        return True

    def _count(self, name: str, by: int) -> None:
        """Keep count of the names at and below each name, so that empty ones in between exist too."""
        while by and name and name not in self._origins:
            count = self._parents.get(name, 0) + by
            if count:
                self._parents[name] = count
            else:
                self._parents.pop(name, None)
            name = name.partition(".")[2]
