from ipaddress import IPv4Address, IPv4Network

import pytest

from pxe.dns.zone import Zone, reverse_origin
from tests.fakes.zone_data import small_zone


@pytest.mark.parametrize(
    ("network", "origin"),
    [
        ("10.77.0.0/24", "0.77.10.in-addr.arpa"),
        ("10.77.0.0/22", "77.10.in-addr.arpa"),
        ("10.0.0.0/8", "10.in-addr.arpa"),
        ("10.77.0.4/30", "0.77.10.in-addr.arpa"),
    ],
)
def test_reverse_origin(network, origin):
    assert reverse_origin(IPv4Network(network)) == origin


def test_never_the_authority_of_all_addresses():
    zone = Zone(nameserver="a.b", domains=["b"], networks=[IPv4Network("0.0.0.0/4")], revision=1)
    assert zone.origins == ["b"]


def test_names_in_between_exist():
    zone = small_zone()
    assert zone.exists("row7.rack.internal")
    assert zone.exists("rack.internal")
    assert not zone.exists("row8.rack.internal")
    zone.put("n2.row7.rack.internal", [])
    assert not zone.exists("row7.rack.internal")


def test_changes_grow_the_revision_and_no_change_does_not():
    zone = small_zone()
    before = zone.revision
    assert not zone.put("n1.rack.internal", [IPv4Address("10.77.0.101")])
    assert zone.revision == before
    assert zone.put("n1.rack.internal", [IPv4Address("10.77.0.111")])
    assert zone.revision == before + 1
    assert zone.pointer("101.0.77.10.in-addr.arpa") is None
    assert not zone.exists("101.0.77.10.in-addr.arpa")
    assert zone.pointer("111.0.77.10.in-addr.arpa") == "n1.rack.internal"


def test_an_address_that_moves_takes_its_pointer_along():
    zone = small_zone()
    zone.put("n3.rack.internal", [IPv4Address("10.77.0.101")])
    zone.put("n1.rack.internal", [])
    assert zone.pointer("101.0.77.10.in-addr.arpa") == "n3.rack.internal"
    zone.put("n3.rack.internal", [])
    assert not zone.exists("101.0.77.10.in-addr.arpa")
