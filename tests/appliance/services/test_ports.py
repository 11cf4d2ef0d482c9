"""Ports and their groups: who holds a MAC or a name, which groups fit, what waits for work to end."""

import threading

import pytest
from sqlalchemy import select

from appliance.domain.errors import Conflict, Invalid, NodeLocked, NotFound
from appliance.models import flow
from appliance.models.node import Node, Port, Sighting
from appliance.services import nodes, portgroups, ports
from tests.fakes.rack import MAC, NOW, vault, wish

OTHER = "52:54:00:77:00:02"


@pytest.fixture
def node(database):
    with database.write() as session:
        return nodes.create(session, vault(), wish(), actor="ann", now=NOW).id


def add(database, node, *, group=None, **values):
    with database.write() as session:
        row = session.get(Node, node)
        found = portgroups.fetch(session, group, project=None) if group else None
        return ports.create(session, {"mac": OTHER, **values}, node=row, group=found, actor="ann", now=NOW).uuid


def add_group(database, node, **values):
    with database.write() as session:
        return portgroups.create(session, values, node=session.get(Node, node), actor="ann", now=NOW).uuid


def change(database, uuid, **changes):
    with database.write() as session:
        port = ports.fetch(session, uuid, project=None)
        ports.change(session, port, changes, node=port.node, actor="ann", now=NOW)


def test_a_port_is_found_by_uuid_and_name(database, node):
    uuid = add(database, node, name="eth7")
    with database.read() as session:
        assert ports.fetch(session, uuid, project=None).mac == OTHER
        assert ports.fetch(session, "eth7", project=None).node.name == "n1"
        for ident in ("nope", "", "' OR 1=1"):
            with pytest.raises(NotFound):
                ports.fetch(session, ident, project=None)


def test_a_mac_and_a_name_belong_to_one_port(database, node):
    with pytest.raises(Conflict) as refusal:
        add(database, node, mac=MAC)
    assert "n1" in refusal.value.why
    add(database, node, name="eth7")
    with pytest.raises(Conflict, match="name eth7"):
        add(database, node, mac="52:54:00:77:00:03", name="eth7")
    with pytest.raises(Conflict):
        change(database, "eth7", mac=MAC)


def test_a_sighted_machine_becomes_the_node_of_the_port(database, node):
    with database.write() as session:
        session.add(Sighting(mac=OTHER, first_seen_at=NOW, last_seen_at=NOW, appliance_address="10.77.0.1"))
    add(database, node)
    with database.read() as session:
        assert session.get(Node, node).appliance_address == "10.77.0.1"
        assert session.scalars(select(Sighting)).all() == []


def test_a_group_takes_ports_of_its_own_node(database, node):
    group = add_group(database, node, name="bond0")
    add(database, node, group="bond0")
    with database.write() as session:
        other = nodes.create(session, vault(), wish("n2", macs=[], driver="fake"), actor="ann", now=NOW).id
    with pytest.raises(Invalid, match="different node"):
        add(database, other, group=group, mac="52:54:00:77:00:09")
    with pytest.raises(Invalid, match="contains ports"), database.write() as session:
        portgroups.delete(session, portgroups.fetch(session, group, project=None), actor="ann", now=NOW)


def test_a_group_without_standalone_ports_takes_none_that_boots(database, node):
    group = add_group(database, node, standalone_ports_supported=False)
    with pytest.raises(Conflict, match="standalone"):
        add(database, node, group=group, is_pxe=True)
    uuid = add(database, node, group=group, is_pxe=False)
    with pytest.raises(Conflict, match="standalone"):
        change(database, uuid, is_pxe=True)


def test_a_group_with_booting_ports_stays_as_it_is(database, node):
    group = add_group(database, node)
    add(database, node, group=group)
    with database.write() as session:
        row = portgroups.fetch(session, group, project=None)
        wish = {"standalone_ports_supported": False}
        with pytest.raises(Conflict, match="pxe_enabled"):
            portgroups.change(session, row, wish, node=row.node, actor="ann", now=NOW)


def test_a_smart_nic_says_where_it_is(database, node):
    with pytest.raises(Invalid, match="Smart NIC"):
        add(database, node, is_smartnic=True, link={})
    add(database, node, is_smartnic=True, link={"port_id": "p", "hostname": "h"})


def test_what_work_relies_on_waits_for_its_end(database, node):
    uuid = add(database, node)
    with database.write() as session:
        flow.enqueue(session, kind="inspect", node_id=node, data={}, now=NOW, actor="ann")
    change(database, uuid, description="blue cable")
    with pytest.raises(NodeLocked):
        change(database, uuid, mac="52:54:00:77:00:05")
    with pytest.raises(NodeLocked), database.write() as session:
        ports.delete(session, ports.fetch(session, uuid, project=None), actor="ann", now=NOW)


def test_a_port_goes(database, node):
    uuid = add(database, node)
    with database.write() as session:
        ports.delete(session, ports.fetch(session, uuid, project=None), actor="ann", now=NOW)
    with database.read() as session:
        assert [port.mac for port in session.scalars(select(Port))] == [MAC]


def test_projects_see_the_ports_of_their_nodes(database, node):
    uuid = add(database, node)
    with database.write() as session:
        session.get(Node, node).lessee = "p1"
    with database.read() as session:
        assert ports.fetch(session, uuid, project="p1").uuid == uuid
        for project in ("p2", ""):
            with pytest.raises(NotFound):
                ports.fetch(session, uuid, project=project)


def test_of_many_who_add_one_mac_at_once_one_succeeds(database, node):
    outcomes = []

    def attempt():
        try:
            outcomes.append(add(database, node))
        except Conflict as refusal:
            outcomes.append(refusal)

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([one for one in outcomes if isinstance(one, str)]) == 1
    assert all("already exists" in str(one) for one in outcomes if not isinstance(one, str))
    assert len(outcomes) == 8
