"""What may not be done to a node because of what was said about it; how its secrets are kept."""

import pytest

from appliance.domain.errors import Conflict, Forbidden, Invalid
from appliance.domain.lifecycle import Verb
from appliance.models import flow
from appliance.models.chassis import Chassis
from appliance.models.node import Node
from appliance.services import node_rules
from appliance.services.node_input import BmcAccess, Details
from tests.fakes import ironic_things as things
from tests.fakes.rack import NOW, vault

INSTANCE = "123e4567-e89b-42d3-a456-426614174001"


def a_node(**columns):
    return Node(**({"uuid": "u1", "name": "n1", "provision_state": "available", "maintenance": False} | columns))


def refuse_change(database, given, wish=Details(), interfaces=(), **columns):  # noqa: B008  (a frozen value)
    uuid = things.node(database, **columns)
    with database.read() as session:
        node = session.query(Node).filter(Node.uuid == uuid).one()
        node_rules.refuse_change(session, node, wish, frozenset(given), interfaces=frozenset(interfaces))


# Deletion and verbs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "error"),
    [
        ({}, None), ({"instance_uuid": INSTANCE}, Conflict), ({"instance_uuid": INSTANCE, "maintenance": True}, None),
        ({"is_protected": True}, Forbidden), ({"is_protected": True, "maintenance": True}, Forbidden),
    ],
)  # fmt: skip
def test_a_node_that_is_somebodys_or_protected_stays(columns, error):
    if error is None:
        node_rules.refuse_deletion(a_node(**columns))
    else:
        with pytest.raises(error):
            node_rules.refuse_deletion(a_node(**columns))


@pytest.mark.parametrize("verb", list(Verb))
def test_protection_forbids_what_loses_the_instance_and_retirement_what_gives_it_away(verb):
    node_rules.refuse_verb(a_node(), verb)
    for column, forbidden in (("is_protected", {Verb.UNDEPLOY, Verb.REBUILD}), ("is_retired", {Verb.PROVIDE})):
        node = a_node(**{column: True})
        if verb in forbidden:
            with pytest.raises((Forbidden, Invalid)):
                node_rules.refuse_verb(node, verb)
        else:
            node_rules.refuse_verb(node, verb)


def test_a_reason_goes_with_what_it_was_the_reason_for():
    node = a_node(is_protected=False, protected_reason="x", is_retired=True, retired_reason="old")
    node_rules.tidy(node)
    assert (node.protected_reason, node.retired_reason) == (None, "old")


# Changes --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "wish", "columns"),
    [
        ({"is_protected"}, {"is_protected": True}, {"provision_state": "available"}),
        ({"is_retired"}, {"is_retired": True}, {"provision_state": "available"}),
        ({"instance_uuid"}, {"instance_uuid": INSTANCE}, {"instance_uuid": "123e4567-e89b-42d3-a456-426614174009"}),
        ({"resource_class"}, {}, {"provision_state": "active"}),
        ({"owner"}, {}, {"provision_state": "deploying", "target_provision_state": "active"}),
        ({"instance_uuid"}, {}, {"provision_state": "deploying", "target_provision_state": "active"}),
    ],
)  # fmt: skip
def test_changes_that_the_state_forbids(database, given, wish, columns):
    with pytest.raises(Conflict):
        refuse_change(database, given, Details(**wish), **columns)


@pytest.mark.parametrize(
    ("given", "wish", "columns"),
    [
        ({"is_protected"}, {"is_protected": True}, {"provision_state": "active"}),
        ({"is_retired"}, {"is_retired": True}, {"provision_state": "manageable"}),
        ({"resource_class"}, {}, {"provision_state": "active", "resource_class": None}),
        ({"owner"}, {}, {"provision_state": "clean failed", "target_provision_state": "available"}),
        (
            {"instance_uuid"}, {},
            {"provision_state": "deploying", "target_provision_state": "active", "maintenance": True},
        ),
    ],
)  # fmt: skip
def test_changes_that_it_allows(database, given, wish, columns):
    refuse_change(database, given, Details(**wish), **columns)


@pytest.mark.parametrize(("maintenance", "is_refused"), [(False, True), (True, False)])
def test_the_ways_of_a_node_in_use_change_in_maintenance_only(database, maintenance, is_refused):
    columns = {"provision_state": "active", "maintenance": maintenance}
    if is_refused:
        with pytest.raises(Conflict, match="boot_interface"):
            refuse_change(database, set(), interfaces={"boot"}, **columns)
    else:
        refuse_change(database, set(), interfaces={"boot"}, **columns)


@pytest.mark.parametrize("mark", ["protected", "retired"])
def test_a_reason_without_its_mark_is_refused(database, mark):
    with pytest.raises(Invalid, match=f"{mark}_reason"):
        refuse_change(database, {f"{mark}_reason"}, Details(**{f"{mark}_reason": "why"}))


def test_who_holds_a_node_on_its_way_is_named(database):
    uuid = things.node(database, provision_state="deploying", target_provision_state="active")
    with database.write() as session:
        node = session.query(Node).filter(Node.uuid == uuid).one()
        flow.enqueue(session, kind="deploy", node_id=node.id, data={}, now=NOW)
        with pytest.raises(Conflict) as refused:
            node_rules.refuse_change(session, node, Details(), frozenset({"owner"}), interfaces=frozenset())
    assert "deploy" in refused.value.why


# What another node has ------------------------------------------------------------------------------------------------


def test_ids_of_another_node_are_refused_and_ones_own_are_not(database):
    uuid = things.node(database, instance_uuid=INSTANCE)
    second = things.node(database, name="n2")
    with database.read() as session:
        node, other = (session.query(Node).filter(Node.uuid == one).one() for one in (uuid, second))
        node_rules.refuse_taken(session, Details(instance_uuid=INSTANCE), but_not=node)
        node_rules.refuse_taken(session, Details(uuid=uuid), but_not=node)
        for wish, but_not in ((Details(uuid=uuid), None), (Details(instance_uuid=INSTANCE), other)):
            with pytest.raises(Conflict):
                node_rules.refuse_taken(session, wish, but_not=but_not)


def test_a_bmc_belongs_to_one_node_of_its_driver(database):
    things.node(database, driver="ipmi", bmc_address="10.77.0.5")
    with database.write() as session:
        for address, driver in (("10.77.0.6", "ipmi"), ("10.77.0.5", "redfish"), ("10.77.0.5", "manual")):
            node_rules.refuse_bmc(session, BmcAccess(address=address), driver, but_not=None)
        node_rules.refuse_bmc(session, BmcAccess(address=None), "ipmi", but_not=None)
        with pytest.raises(Conflict) as refused:
            node_rules.refuse_bmc(session, BmcAccess(address="10.77.0.5"), "ipmi", but_not=None)
    assert ("n1" in refused.value.why, "n1" in refused.value.message) == (True, False)


@pytest.mark.parametrize("address", ["0.0.0.0", "255.255.255.255", "224.0.0.1", "::", "ff02::1"])
def test_no_bmc_is_where_no_machine_is(database, address):
    with database.write() as session, pytest.raises(Invalid, match="no BMC"):
        node_rules.refuse_bmc(session, BmcAccess(address=address), "redfish", but_not=None)


# Columns --------------------------------------------------------------------------------------------------------------


def test_chassis_and_parent_are_looked_up(database):
    parent = things.node(database, owner="p1")
    with database.write() as session:
        chassis = Chassis(created_at=NOW, extra={})
        session.add(chassis)
        session.flush()
        given = frozenset({"chassis_uuid", "parent", "owner"})
        wish = Details(chassis_uuid=chassis.uuid, parent="n1", owner="p1", lessee="not given")
        found = node_rules.columns(session, wish, given)
        assert found == {"chassis_id": chassis.id, "parent_uuid": parent, "owner": "p1"}


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"chassis_uuid": INSTANCE}, "Chassis"), ({"parent": "nobody"}, "could not be found"),
        ({"parent": "child"}, "has a parent itself"), ({"parent": "child", "owner": "p2"}, "could not be found"),
    ],
)  # fmt: skip
def test_a_chassis_or_parent_that_cannot_be_is_refused(database, wish, said):
    things.node(database, name="child", parent_uuid=things.node(database))
    with database.read() as session, pytest.raises(Invalid, match=said):
        node_rules.columns(session, Details(**wish), frozenset({"chassis_uuid", "parent"}))


def test_nobody_is_their_own_parent(database):
    uuid = things.node(database)
    with database.read() as session, pytest.raises(Invalid, match="own parent"):
        node_rules.columns(session, Details(parent="n1", uuid=uuid), frozenset({"parent"}))


# Secrets --------------------------------------------------------------------------------------------------------------


def test_secrets_are_sealed_for_their_node_left_and_forgotten():
    node, given = a_node(), {"driver": {"snmp_community": "canary"}, "wishes": {}}
    node_rules.seal(node, vault(), given)
    assert b"canary" not in node.hidden
    node_rules.seal(node, vault(), None)
    assert node_rules.unseal(node, vault()) == given
    node_rules.seal(node, vault(), {"driver": {}, "wishes": {}})
    assert node.hidden is None
    assert node_rules.unseal(node, vault()) == {"driver": {}, "wishes": {}}
