from ipaddress import IPv4Address

from appliance.netboot.config import NetbootConfig
from appliance.netboot.names import Names
from pxe.types import Mac
from tests.appliance.netboot.test_scopes import subnet

ONE, TWO, STRANGER = (Mac(f"52:54:00:00:00:0{number}") for number in (1, 2, 3))
CONFIG = NetbootConfig(subnets=(subnet(),), hostnames={ONE: "n1", TWO: "n1"})


def test_names_follow_leases():
    addresses = {ONE: IPv4Address("10.77.0.101")}
    names = Names(CONFIG, located=lambda _, mac: addresses.get(mac), now=1.0)
    names.publish_all([IPv4Address("10.77.0.1")])
    zone = names.zone
    assert zone.addresses("n1.rack.internal") == (IPv4Address("10.77.0.101"),)
    assert zone.addresses("rackwright.rack.internal") == (IPv4Address("10.77.0.1"),)
    addresses[TWO] = IPv4Address("10.77.0.102")
    names.publish(TWO)
    assert len(zone.addresses("n1.rack.internal")) == 2
    addresses.clear()
    names.publish_all([IPv4Address("10.77.0.1")])
    assert not zone.exists("n1.rack.internal")
    addresses[STRANGER] = IPv4Address("10.77.0.103")
    names.publish(STRANGER)
    assert set(zone.names()) == {"rackwright.rack.internal"}


def test_no_machine_can_have_our_own_name():
    config = NetbootConfig(subnets=(subnet(),), hostnames={ONE: "rackwright"})
    names = Names(config, located=lambda _, __: IPv4Address("10.77.0.101"), now=1.0)
    names.publish_all([IPv4Address("10.77.0.1")])
    assert names.zone.addresses("rackwright.rack.internal") == (IPv4Address("10.77.0.1"),)
