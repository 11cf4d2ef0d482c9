"""The end of an inspection: properties, ports, cables, rules."""

import pytest
from sqlalchemy import select

from appliance.models.event import Event
from appliance.models.node import Inventory, Node, Port
from appliance.services import inspection, inspection_rules, nodes
from appliance.services.inspection import Policy, properties_of
from tests.fakes.rack import MAC, NOW, inventory, vault, wish

SECOND, THIRD = "52:54:00:77:00:02", "52:54:00:77:00:03"


@pytest.fixture
def node(database):
    with database.write() as session:
        return nodes.create(session, vault(), wish(macs=[]), actor="ann", now=NOW).id


def finish(database, node, *, policy=Policy(), **changes):  # noqa: B008  (a frozen value)
    report = {**inventory(), **changes}
    with database.write() as session:
        rules = inspection_rules.in_order(session, vault())
        return inspection.finish(session, session.get(Node, node), report, policy=policy, rules=rules, now=NOW)


def add_rule(database, *actions, conditions=(), **changes):
    with database.write() as session:
        wish = {"conditions": list(conditions), "actions": list(actions), **changes}
        inspection_rules.create(session, vault(), wish, now=NOW)


def read(database, node):
    with database.read() as session:
        return session.get(Node, node)


LLDP = {"chassis_id": "0A:1B:2C:3D:4E:5F", "port_id": "e1", "system_name": "sw"}
NICS = [
    {"name": "eth0", "mac": MAC, "address": "10.77.0.5", "lldp": LLDP},
    {"name": "eth1", "mac": SECOND, "address": None, "lldp": None},
    {"name": "lo", "mac": THIRD, "address": "127.0.0.1"},
]  # fmt: skip


def test_the_node_follows_the_report(database, node):
    cpu = {"threads": 4, "architecture": "x86_64", "flags": ["vmx", "aes"]}
    assert finish(database, node, cpu=cpu, is_secure_boot=True) is None
    found = read(database, node)
    assert found.properties == {
        "cpus": 4, "cpu_arch": "x86_64", "memory_mb": 1024, "local_gb": 8,
        "capabilities": "cpu_vt:true,cpu_aes:true,boot_mode:bios",
    }  # fmt: skip
    assert (found.boot_mode, found.has_secure_boot) == ("bios", True)
    with database.read() as session:
        assert session.scalars(select(Inventory)).one().plugin_data == {}


@pytest.mark.parametrize(
    ("report", "expected"),
    [({}, {"local_gb": 0}), ({"cpu": {"cores": 4}, "disks": [{"size_bytes": None}]}, {"cpus": 4, "local_gb": 0})],
)
def test_a_poor_report_gives_what_it_has(report, expected):
    assert properties_of(report) == expected


@pytest.mark.parametrize(
    ("policy", "boot_mac", "expected"),
    [
        (Policy(), MAC, {MAC: True}),
        (Policy(), None, {MAC: True}),
        (Policy(add_ports="all"), MAC, {MAC: True, SECOND: False}),
        (Policy(add_ports="active"), SECOND, {MAC: False}),
        (Policy(add_ports="disabled"), MAC, {}),
    ],
)
def test_interfaces_become_ports(database, node, policy, boot_mac, expected):
    finish(database, node, policy=policy, nics=NICS, boot_mac=boot_mac)
    assert {port.mac: port.is_pxe for port in read(database, node).ports} == expected


@pytest.mark.parametrize(
    ("keep", "left"), [("all", {MAC, SECOND, THIRD}), ("present", {MAC, SECOND}), ("added", {MAC})]
)
def test_ports_that_are_gone_may_go(database, node, keep, left):
    with database.write() as session:
        row = session.get(Node, node)
        row.ports = [Port(mac=mac, created_at=NOW) for mac in (MAC, SECOND, THIRD)]
    finish(database, node, policy=Policy(keep_ports=keep), nics=NICS)
    assert {port.mac for port in read(database, node).ports} == left


def test_a_mac_of_another_node_stays_there(database, node):
    with database.write() as session:
        nodes.create(session, vault(), wish("n2", driver="fake", macs=[MAC]), actor="ann", now=NOW)
    assert finish(database, node, nics=NICS) is None
    assert read(database, node).ports == []
    with database.read() as session:
        alarms = session.scalars(select(Event).where(Event.kind == "alarm")).all()
        assert "n2" in alarms[0].message


def test_the_switch_tells_where_the_cable_ends(database, node):
    finish(database, node, nics=NICS)
    (port,) = read(database, node).ports
    assert port.link == {"port_id": "e1", "switch_info": "sw", "switch_id": "0a:1b:2c:3d:4e:5f"}
    with database.write() as session:
        session.get(Port, port.id).link = {"port_id": "by hand"}
    finish(database, node, nics=NICS)
    assert read(database, node).ports[0].link["port_id"] == "by hand"


def test_rules_are_applied_by_priority(database, node):
    add_rule(database, {"op": "set-attribute", "args": {"path": "/extra/who", "value": "low"}}, priority=1)
    add_rule(
        database,
        {"op": "set-attribute", "args": {"path": "/extra/who", "value": "high"}},
        {"op": "set-attribute", "args": {"path": "resource_class", "value": "m-{inventory[memory][physical_mb]}"}},
        {"op": "set-attribute", "args": {"path": "name", "value": "{inventory[system_vendor][serial_number]}"}},
        {"op": "add-trait", "args": {"name": "CUSTOM_B"}},
        {"op": "add-trait", "args": {"name": "CUSTOM_A"}},
        {"op": "set-capability", "args": {"name": "raid", "value": "1"}},
        {"op": "set-plugin-data", "args": {"path": "seen", "value": True}},
        {"op": "set-port-attribute", "args": {"port_id": "0", "path": "category", "value": "fast"}},
        {"op": "log", "args": {"msg": "hello", "level": "warning"}},
        conditions=[{"op": "eq", "args": {"values": ["{inventory[system_vendor][manufacturer]}", "Lab"]}}],
        priority=9,
    )
    add_rule(
        database,
        {"op": "fail", "args": {"msg": "no"}},
        conditions=[{"op": "is-none", "args": {"value": "{node.uuid}"}}],
    )
    assert finish(database, node) is None
    found = read(database, node)
    assert (found.extra, found.resource_class, found.name) == ({"who": "low"}, "m-1024", "S1")
    assert found.traits == ["CUSTOM_A", "CUSTOM_B"]
    assert "raid:1" in found.properties["capabilities"]
    assert found.ports[0].category == "fast"
    with database.read() as session:
        assert session.scalars(select(Inventory)).one().plugin_data == {"seen": True}
        kinds = session.scalars(select(Event.kind).where(Event.kind.startswith("inspection"))).all()
        assert sorted(kinds) == ["inspection.log", "inspection.rules"]


@pytest.mark.parametrize(
    ("action", "said"),
    [
        ({"op": "fail", "args": {"msg": "too old"}}, "too old"),
        ({"op": "set-attribute", "args": {"path": "name", "value": "n2"}}, "exists already"),
        ({"op": "set-attribute", "args": {"path": "name", "value": "a b"}}, "not a name"),
        ({"op": "set-attribute", "args": {"path": "resource_class", "value": "x" * 81}}, "80"),
        ({"op": "set-attribute", "args": {"path": "properties", "value": 5}}, "object"),
        ({"op": "set-attribute", "args": {"path": "boot_mode", "value": "odd"}}, "boot_mode"),
        ({"op": "set-attribute", "args": {"path": "extra/x", "value": "{inventory[nowhere]}"}}, "no value"),
        ({"op": "set-port-attribute", "args": {"port_id": "nope", "path": "extra/x", "value": 1}}, "could not be"),
        ({"op": "add-trait", "args": {"name": "blue"}}, "trait"),
        ({"op": "set-attribute", "args": {"path": "/driver", "value": "idrac"}}, "'driver': it is 'ipmi' here"),
        ({"op": "set-attribute", "args": {"path": "{item}", "value": "x"}, "loop": ["provision_state"]}, "'provision_"),
        (
            {"op": "set-port-attribute", "args": {"port_id": "0", "path": "{item}", "value": "x"}, "loop": ["uuid"]},
            "'uuid'",
        ),
    ],
)  # fmt: skip
def test_a_rule_that_fails_leaves_the_node_as_it_was(database, node, action, said):
    with database.write() as session:
        nodes.create(session, vault(), wish("n2", driver="fake", macs=[]), actor="ann", now=NOW)
    add_rule(database, {"op": "set-attribute", "args": {"path": "/extra/x", "value": 1}}, action)
    assert said in finish(database, node)
    found = read(database, node)
    assert (found.extra, found.name, found.traits, found.resource_class) == ({}, "n1", [], None)


def test_what_a_sensitive_rule_logs_is_in_no_event(database, node):
    add_rule(database, {"op": "log", "args": {"msg": "canary"}}, sensitive=True)
    finish(database, node)
    with database.read() as session:
        assert not [event for event in session.scalars(select(Event)) if "canary" in event.message]
