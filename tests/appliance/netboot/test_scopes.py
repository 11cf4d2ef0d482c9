from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from appliance.netboot.config import NetbootConfig
from appliance.netboot.interfaces import Interface
from appliance.netboot.scopes import Scopes
from pxe.types import Lease, Mac, Reservation, Subnet

MAC = Mac("52:54:00:00:00:01")
LEASE = Lease(address=IPv4Address("10.77.0.120"), mac=MAC, subnet="lab", expires_at=100.0)


def subnet(**changes):
    found = Subnet(
        name="lab",
        network=IPv4Network("10.77.0.0/24"),
        pool_start=IPv4Address("10.77.0.100"),
        pool_end=IPv4Address("10.77.0.180"),
        interface="br0",
        gateway=None,
        domain="rack.internal",
        lease_s=3600,
    )
    return replace(found, **changes)


def there(*addresses, name="br0"):
    return {name: Interface(name=name, index=2, addresses=tuple(IPv4Address(text) for text in addresses))}


def test_server_address_is_the_one_within_the_subnet():
    scopes = Scopes([], http_port=8080)
    networks = scopes.arrange(NetbootConfig(subnets=(subnet(),)), there("192.168.1.5", "10.77.0.9", "10.77.0.1"))
    assert networks["br0"][0].place.server == IPv4Address("10.77.0.9")
    assert scopes.faults == {}


def test_interface_missing_or_without_address_is_named():
    scopes = Scopes([], http_port=8080)
    config = NetbootConfig(subnets=(subnet(),))
    assert scopes.arrange(config, {}) == {}
    assert scopes.faults == {"lab": "subnet lab: there is no interface br0"}
    scopes.arrange(config, there("192.168.1.5"))
    assert scopes.faults == {"lab": "subnet lab: interface br0 has no address in 10.77.0.0/24"}


def test_leases_outlive_interface_and_subnet_and_change_of_pool():
    scopes = Scopes([LEASE], http_port=8080)
    config = NetbootConfig(subnets=(subnet(),))
    for interfaces in (there("10.77.0.1"), {}, there("10.77.0.1")):
        scopes.arrange(config, interfaces)
        assert scopes.owner(LEASE.address, 50.0) == MAC
    scopes.arrange(NetbootConfig(), {})
    assert scopes.owner(LEASE.address, 50.0) is None
    scopes.arrange(NetbootConfig(subnets=(subnet(pool_start=IPv4Address("10.77.0.150")),)), there("10.77.0.1"))
    assert scopes.owner(LEASE.address, 50.0) == MAC


def test_address_of_a_machine():
    other = Mac("52:54:00:00:00:02")
    net = subnet(reservations=(Reservation(mac=other, address=IPv4Address("10.77.0.7")),))
    scopes = Scopes([LEASE], http_port=8080)
    scopes.arrange(NetbootConfig(subnets=(net,)), there("10.77.0.1"))
    assert scopes.address_of(net, MAC, 50.0) == LEASE.address
    assert scopes.address_of(net, MAC, 100.0) is None
    assert scopes.address_of(net, other, 50.0) == IPv4Address("10.77.0.7")
    assert scopes.address_of(subnet(name="other"), MAC, 50.0) is None


def test_unchanged_subnet_keeps_its_offers_and_a_changed_one_its_leases():
    scopes = Scopes([LEASE], http_port=8080)
    config = NetbootConfig(subnets=(subnet(),))
    first = scopes.arrange(config, there("10.77.0.1"))["br0"][0].book
    scopes.arrange(config, {})
    assert scopes.arrange(replace(config, hostnames={MAC: "n1"}), there("10.77.0.1"))["br0"][0].book is first
    moved = scopes.arrange(config, there("10.77.0.2"))["br0"][0]
    assert moved.book is not first
    assert moved.book.leases() == [LEASE]
    assert moved.place.server == IPv4Address("10.77.0.2")
