"""Creating, finding, changing and forgetting nodes."""

import threading

import pytest
from sqlalchemy import select

from appliance.domain.errors import Conflict, Invalid, NodeLocked, NotFound
from appliance.domain.lifecycle import MOVES, State, Verb
from appliance.models import flow
from appliance.models.node import Node, Sighting
from appliance.services import node_input, nodes
from tests.fakes.rack import MAC, NOW, vault, wish


def create(database, **changes):
    with database.write() as session:
        return nodes.create(session, vault(), wish(**changes), actor="ann", now=NOW)


def test_a_new_node_is_in_enroll_and_its_password_is_sealed(database):
    node = create(database)
    assert node.provision_state == "enroll"
    assert b"hunter2" not in node.bmc_secret
    assert vault().open(node.bmc_secret, nodes.bmc_context(node)) == b"hunter2-canary"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"macs": ["52:54:00:77:00:09"], "bmc": node_input.BmcAccess(address="10.77.0.9")}, "name n1"),
        ({"name": "n2", "bmc": node_input.BmcAccess(address="10.77.0.9")}, MAC),
        ({"name": "n2", "macs": []}, "10.77.0.201"),
    ],
)
def test_a_name_a_mac_and_a_bmc_belong_to_one_node(database, changes, said):
    create(database)
    with pytest.raises(Conflict) as refusal:
        create(database, **changes)
    assert said in str(refusal.value)
    with database.read() as session:
        assert len(session.scalars(select(Node)).all()) == 1


@pytest.mark.parametrize("ref", ["n1", "N1", MAC, MAC.upper(), "uuid", "prefix"])
def test_a_node_is_found_by_any_of_its_names(database, ref):
    node = create(database)
    text = {"uuid": node.uuid, "prefix": node.uuid[:6]}.get(ref, ref)
    with database.read() as session:
        assert nodes.fetch(session, text).id == node.id


@pytest.mark.parametrize("ref", ["", "nope", "%", "____", "' OR 1=1 --"])
def test_an_unknown_node_is_not_found(database, ref):
    create(database)
    with database.read() as session, pytest.raises(NotFound):
        nodes.fetch(session, ref)


def test_a_change_touches_only_what_was_given(database):
    node = create(database)
    parsed, given = node_input.parse({"rack": "r01", "rack_unit": 7}, partial=True)
    with database.write() as session:
        row = nodes.fetch(session, "n1")
        nodes.change(session, vault(), row, parsed, given, actor="ann", now=NOW)
    with database.read() as session:
        row = nodes.fetch(session, "n1")
        assert (row.rack, row.rack_unit, row.bmc_address, row.bmc_secret) == ("r01", 7, "10.77.0.201", node.bmc_secret)


def test_a_node_with_an_instance_is_not_forgotten(database):
    create(database)
    with database.write() as session:
        nodes.fetch(session, "n1").provision_state = "active"
    with database.write() as session, pytest.raises(Conflict) as refusal:
        nodes.delete(session, nodes.fetch(session, "n1"), actor="ann", now=NOW)
    assert "undeploy" in refusal.value.next_step


def test_enrolling_a_sighted_machine_takes_its_running_agent_over(database):
    with database.write() as session:
        session.add(
            Sighting(
                mac=MAC, first_seen_at=NOW, last_seen_at=NOW, agent_session_hash="h", address="10.77.0.100",
                firmware="uefi", appliance_address="10.77.0.1",
            )
        )  # fmt: skip
    node = create(database)
    assert (node.agent_session_hash, node.agent_address, node.boot_mode) == ("h", "10.77.0.100", "uefi")
    with database.read() as session:
        assert session.scalar(select(Sighting)) is None


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"nme": "x"}, "unknown field 'nme'"),
        ({"driver": "nope"}, "unknown driver"),
        ({"driver": "ipmi"}, "bmc.address"),
        ({"driver": "fake", "macs": "x"}, "macs"),
        ({"driver": "fake", "macs": ["aa:bb"]}, "MAC"),
        ({"driver": "fake", "name": "a b"}, "host name"),
        ({"driver": "fake", "boot_mode": "tape"}, "boot_mode"),
        ({"driver": "fake", "rack_unit": True}, "rack_unit"),
        ({"driver": "ipmi", "bmc": {"address": "10.0.0.1", "password": "******"}}, "mask"),
        ({"driver": "ipmi", "bmc": {"address": "10.0.0.1; reboot"}}, "IP address"),
        ({"driver": "ipmi", "bmc": {"address": "10.0.0.1", "udp_port": 70000}}, "udp_port"),
        ({"driver": "fake", "properties": "x"}, "properties"),
    ],
)
def test_bad_input_names_the_field(body, said):
    with pytest.raises(Invalid) as refusal:
        node_input.parse(body)
    assert said in str(refusal.value)


# Changes while something depends on the old value -------------------------------------------------------------------


def patch(database, body, ref="n1"):
    parsed, given = node_input.parse(body, partial=True)
    with database.write() as session:
        return nodes.change(session, vault(), nodes.fetch(session, ref), parsed, given, actor="ann", now=NOW)


def working(database, node):
    with database.write() as session:
        flow.enqueue(session, kind="deploy", node_id=node.id, data={}, now=NOW)


@pytest.mark.parametrize(
    "body",
    [{"bmc": {"username": "root", "password": "x"}}, {"driver": "fake"}, {"macs": []}, {"driver_options": {}},
     {"boot_mode": "uefi"}],
)  # fmt: skip
def test_what_running_work_relies_on_does_not_change(database, body):
    working(database, create(database))
    with pytest.raises(NodeLocked) as refusal:
        patch(database, body)
    assert "abort" in refusal.value.next_step
    assert patch(database, {"rack": "r01", "extra": {"a": 1}}).rack == "r01"


@pytest.mark.parametrize("state", [State.ACTIVE, State.RESCUE, State.SERVICEFAIL])
def test_the_machine_of_an_instance_keeps_its_mac_addresses(database, state):
    """It may get more; in maintenance, where a network card is replaced, it may lose one."""
    more, other = "52:54:00:77:00:02", "52:54:00:77:00:03"
    create(database)
    with database.write() as session:
        node = nodes.fetch(session, "n1")
        node.provision_state, node.instance = state, {"image": "debian-12"}
    assert [port.mac for port in patch(database, {"macs": [MAC, more]}).ports] == [MAC, more]
    for macs in ([], [more], [more, other]):
        with pytest.raises(Conflict, match=MAC) as refusal:
            patch(database, {"macs": macs})
        assert "maintenance on n1" in refusal.value.next_step
    with database.write() as session:
        nodes.fetch(session, "n1").maintenance = True
    assert [port.mac for port in patch(database, {"macs": [other]}).ports] == [other]


def test_a_new_password_leaves_the_address_alone(database):
    create(database)
    node = patch(database, {"bmc": {"password": "new-canary"}})
    assert (node.bmc_address, node.bmc_username) == ("10.77.0.201", "admin")
    assert vault().open(node.bmc_secret, nodes.bmc_context(node)) == b"new-canary"


@pytest.mark.parametrize("options", [{"verify_ca": False}, {"fingerprint": "ab" * 32}])
def test_a_stored_password_is_not_sent_where_the_bmc_proves_itself_otherwise(database, options):
    create(database)
    with pytest.raises(Invalid, match=r"password is needed"):
        patch(database, {"driver_options": options})
    assert patch(database, {"driver_options": options, "bmc": {"password": "its-own"}}).driver_options == options


@pytest.mark.parametrize("bmc", [{"address": "10.9.9.9"}, {"udp_port": 9623}])
def test_a_stored_password_is_not_sent_to_another_bmc(database, bmc):
    """Who may change an address must not learn the password by it."""
    create(database)
    with pytest.raises(Invalid) as refusal:
        patch(database, {"bmc": bmc})
    assert "password" in str(refusal.value)
    assert patch(database, {"bmc": bmc | {"password": "its-own"}}).bmc_address is not None


def test_without_a_bmc_no_password_is_kept(database):
    create(database)
    node = patch(database, {"driver": "manual", "bmc": None})
    assert (node.bmc_address, node.bmc_secret, node.bmc_username) == (None, None, None)


@pytest.mark.parametrize("maintenance", [False, True])
def test_a_node_that_work_holds_is_not_forgotten(database, maintenance):
    node = create(database)
    working(database, node)
    with database.write() as session:
        nodes.fetch(session, "n1").maintenance = maintenance
    with database.write() as session, pytest.raises(NodeLocked) as refusal:
        nodes.delete(session, nodes.fetch(session, "n1"), actor="ann", now=NOW)
    assert "abort" in refusal.value.next_step


@pytest.mark.parametrize(
    ("state", "verb"),
    [("active", "undeploy"), ("deploy failed", "undeploy"), ("error", "undeploy"), ("clean failed", "manage"),
     ("inspect failed", "manage")],
)  # fmt: skip
def test_the_way_to_a_deletion_is_named_and_legal(database, state, verb):
    create(database)
    with database.write() as session:
        nodes.fetch(session, "n1").provision_state = state
    with database.write() as session, pytest.raises(Conflict) as refusal:
        nodes.delete(session, nodes.fetch(session, "n1"), actor="ann", now=NOW)
    assert refusal.value.next_step == f"rackwright node {verb} n1"
    assert (State(state), Verb(verb)) in MOVES


def test_maintenance_by_hand_is_not_ended_by_a_bmc_that_answers_again(database):
    create(database)
    with database.write() as session:
        node = nodes.fetch(session, "n1")
        node.maintenance, node.fault, node.power_failures = True, "power failure", 3
        nodes.set_maintenance(session, node, on=True, reason="fan", actor="ann", now=NOW)
        assert node.fault is None
        nodes.set_maintenance(session, node, on=False, reason=None, actor="ann", now=NOW)
        assert (node.maintenance, node.fault, node.power_failures) == (False, None, 0)


def test_of_two_who_enroll_the_same_machine_at_once_one_is_told(database):
    """On PostgreSQL both look before either has written."""
    start, told = threading.Barrier(2), []

    def enroll():
        start.wait(30)
        try:
            create(database)
        except Conflict as refusal:
            told.append(refusal)

    threads = [threading.Thread(target=enroll) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(told) == 1
    with database.read() as session:
        assert len(session.scalars(select(Node)).all()) == 1
