"""Subnets, the picture for netboot, and leases."""

import pytest

from appliance.domain.errors import Conflict, Invalid
from appliance.services import network, nodes
from tests.fakes.rack import MAC, NOW, vault, wish

LAB = {"name": "lab", "cidr": "10.77.0.0/24", "pool": "10.77.0.100-10.77.0.180", "interface": "br0"}


def create(database, **changes):
    with database.write() as session:
        return network.create_subnet(session, LAB | changes, actor="ann", now=NOW)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"cidr": "10.77.0.1/24"}, "cidr"),
        ({"cidr": "fd77::/64"}, "IPv4"),
        ({"cidr": "10.0.0.0/31"}, "/30"),
        ({"pool": "10.77.0.180-10.77.0.100"}, "does not lie"),
        ({"pool": "10.77.0.0-10.77.0.10"}, "does not lie"),
        ({"pool": "10.77.0.100-10.77.0.255"}, "does not lie"),
        ({"pool": "10.77.0.100"}, "range"),
        ({"gateway": "10.78.0.1"}, "gateway"),
        ({"interface": "br0; reboot"}, "interface"),
        ({"lease_s": 1}, "lease_s"),
        ({"domain": "a..b"}, "host name"),
        ({"vlan": 7}, "unknown field"),
    ],
)
def test_a_bad_subnet_says_which_field(database, changes, said):
    with pytest.raises(Invalid) as refusal:
        create(database, **changes)
    assert said in str(refusal.value)


def test_a_subnet_that_names_no_domain_has_the_configured_one(database):
    with database.write() as session:
        plain = network.create_subnet(session, LAB, domain="dc1.example", actor="ann", now=NOW)
        other = {"name": "b", "cidr": "10.78.0.0/24", "pool": "10.78.0.5-10.78.0.9", "domain": "own.example"}
        named = network.create_subnet(session, LAB | other, domain="dc1.example", actor="ann", now=NOW)
    assert (plain.domain, named.domain) == ("dc1.example", "own.example")


@pytest.mark.parametrize(
    ("interfaces", "addresses", "said"),
    [
        (["br0", "lo"], ["127.0.0.1", "10.77.0.1", "fe80::1"], None),
        (["lo", "eth0"], ["10.77.0.1"], "this machine has no interface br0 now; it has eth0, lo"),
        (["br0"], ["10.78.0.1", "fe80::1"], "this machine has no address in 10.77.0.0/24 now"),
    ],
)
def test_a_subnet_that_cannot_be_served_from_here_says_why(database, interfaces, addresses, said):
    assert network.not_served(create(database), interfaces=interfaces, addresses=addresses) == said


def test_subnets_do_not_overlap(database):
    create(database)
    with pytest.raises(Conflict):
        create(database, name="other", cidr="10.77.0.128/25", pool="10.77.0.130-10.77.0.140")


def test_the_picture_names_hosts_and_reservations_and_its_revision_is_its_content(database):
    create(database)
    with database.write() as session:
        node = nodes.create(session, vault(), wish(), actor="ann", now=NOW)
        node.ports[0].address = "10.77.0.50"
    with database.read() as session:
        shown = network.picture(session)
        again = network.picture(session)
    assert shown["hosts"] == [{"mac": MAC, "hostname": "n1"}]
    assert shown["subnets"][0]["reservations"] == [{"mac": MAC, "address": "10.77.0.50", "hostname": "n1"}]
    assert network.revision(shown) == network.revision(again)
    assert network.revision(shown) != network.revision(shown | {"hosts": []})


def test_a_lease_moves_with_its_machine(database):
    create(database)
    lease = {"address": "10.77.0.100", "mac": MAC, "hostname": None, "subnet": "lab", "expires_at": NOW.timestamp()}
    with database.write() as session:
        network.store_leases(session, [lease])
        network.store_leases(session, [lease | {"address": "10.77.0.101"}])
    with database.read() as session:
        assert [(row.address, row.mac) for row in network.leases(session)] == [("10.77.0.101", MAC)]


def test_a_subnet_that_an_instance_lives_on_is_not_deleted(database):
    create(database)
    lease = {"address": "10.77.0.100", "mac": MAC, "hostname": None, "subnet": "lab"}
    with database.write() as session:
        nodes.create(session, vault(), wish(), actor="ann", now=NOW).provision_state = "active"
        network.store_leases(session, [lease | {"expires_at": NOW.timestamp() + 600}])
    with database.write() as session, pytest.raises(Conflict) as refusal:
        network.delete_subnet(session, network.fetch_subnet(session, "lab"), actor="ann", now=NOW)
    assert "n1" in str(refusal.value)
    with database.write() as session:
        network.store_leases(session, [lease | {"expires_at": NOW.timestamp() - 1}])
        network.delete_subnet(session, network.fetch_subnet(session, "lab"), actor="ann", now=NOW)
        assert network.subnets(session) == []


def test_a_gateway_is_not_lent_to_a_machine(database):
    with pytest.raises(Invalid, match="pool"):
        create(database, gateway="10.77.0.150")


def test_no_domain_is_the_usual_one(database):
    assert create(database, domain=None).domain == "rack.internal"
