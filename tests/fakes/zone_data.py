"""A zone with three machines, for the tests of DNS."""

from ipaddress import IPv4Address, IPv4Network

from pxe.dns.zone import Zone


def small_zone() -> Zone:
    zone = Zone(
        nameserver="rackwright.rack.internal",
        domains=["rack.internal"],
        networks=[IPv4Network("10.77.0.0/24")],
        revision=7,
    )
    zone.put("rackwright.rack.internal", [IPv4Address("10.77.0.1")])
    zone.put("n1.rack.internal", [IPv4Address("10.77.0.101")])
    zone.put("n2.row7.rack.internal", [IPv4Address("10.77.0.102"), IPv4Address("10.77.0.103")])
    return zone
