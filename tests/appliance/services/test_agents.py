"""The exchange of the boot secret, and what agents report."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from appliance.domain.boot import Action, Discovery
from appliance.domain.errors import Invalid, Unauthenticated
from appliance.models import agent_command
from appliance.models.agent_command import AgentCommand
from appliance.models.event import Event
from appliance.models.node import Node, Sighting
from appliance.services import agents, boot, discovery, network, nodes
from tests.fakes.rack import MAC, NOW, inventory, vault, wish

HERE = "10.77.0.100"
POLICY = discovery.Policy(discovery=Discovery.ENROLL, in_band_bmc=True)


def granted(database, *, mac=MAC, policy=Discovery.ENROLL):
    with database.write() as session:
        plan, ticket = boot.grant(session, mac=mac, address=HERE, server="10.77.0.1", discovery=policy, now=NOW)
    return plan, ticket


def look_up(database, secret, *, address=HERE, now=NOW):
    with database.write() as session:
        body = {"boot_secret": secret, "macs": [MAC], "agent_version": "1", "boot_mac": MAC}
        return agents.lookup(session, body, address=address, now=now)


def report(database, token, **changes):
    with database.write() as session:
        speaker = agents.authenticate(session, token)
        agents.report(session, vault(), speaker, inventory(**changes), policy=POLICY, now=NOW)


def test_an_unknown_machine_becomes_a_node_with_its_bmc_asked_for(database):
    _plan, ticket = granted(database)
    answer = look_up(database, ticket.secret)
    assert answer["node"] is None
    report(database, answer["session"])
    with database.read() as session:
        node = session.scalars(select(Node)).one()
        assert (node.name, node.provision_state, node.boot_mode) == ("node-770001", "enroll", "bios")
        assert node.has_secure_boot is False
        command = session.scalars(select(AgentCommand)).one()
        assert command.name == "setup_bmc"
        assert session.scalar(select(Sighting)) is None
        assert agents.authenticate(session, answer["session"]).node.id == node.id


def test_the_account_made_on_the_bmc_becomes_our_access(database):
    _plan, ticket = granted(database)
    token = look_up(database, ticket.secret)["session"]
    report(database, token)
    with database.write() as session:
        node = agents.authenticate(session, token).node
        command = agents.deliver(session, vault(), node, agents.pending(session, node), now=NOW)
    password = command["params"]["password"]
    with database.write() as session:
        node = agents.authenticate(session, token).node
        done = {"status": "done", "result": {"address": "10.77.0.201"}}
        agents.update(session, vault(), node, command["uuid"], done, now=NOW)
    with database.read() as session:
        node = session.scalars(select(Node)).one()
        assert (node.bmc_address, node.bmc_username) == ("10.77.0.201", "rackwright")
        assert vault().open(node.bmc_secret, nodes.bmc_context(node)).decode() == password
        assert session.scalars(select(AgentCommand)).one().secret_params is None
        assert not any(password in str(event.message) + str(event.data) for event in session.scalars(select(Event)))


def test_with_discovery_on_record_the_machine_is_noted_and_boots_nothing(database):
    plan, ticket = granted(database, policy=Discovery.RECORD)
    assert (plan.action, ticket) == (Action.IGNORE, None)
    with database.read() as session:
        assert session.scalars(select(Sighting)).one().mac == MAC


def test_a_boot_secret_is_exchanged_once(database):
    with database.write() as session:
        nodes.create(session, vault(), wish(), actor="ann", now=NOW)
    _plan, ticket = granted(database)
    look_up(database, ticket.secret)
    with pytest.raises(Unauthenticated):
        look_up(database, ticket.secret, address="10.77.0.66")


def test_a_lost_answer_may_be_asked_for_again_from_the_same_place(database):
    _plan, ticket = granted(database)
    first = look_up(database, ticket.secret)["session"]
    second = look_up(database, ticket.secret, now=NOW + timedelta(seconds=30))["session"]
    with database.read() as session:
        assert agents.authenticate(session, second).sighting is not None
        with pytest.raises(Unauthenticated):
            agents.authenticate(session, first)


def test_the_secret_of_an_earlier_script_is_void(database):
    _plan, old = granted(database)
    granted(database)
    with pytest.raises(Unauthenticated):
        look_up(database, old.secret)


@pytest.mark.parametrize("secret", ["", "x", "x" * 10_000, None, 7, "a" * 43])
def test_a_guessed_secret_is_refused(database, secret):
    with pytest.raises(Unauthenticated):
        look_up(database, secret)


def test_a_report_with_another_nodes_mac_is_kept_apart(database):
    with database.write() as session:
        nodes.create(session, vault(), wish(macs=["52:54:00:77:00:02"]), actor="ann", now=NOW)
    _plan, ticket = granted(database)
    token = look_up(database, ticket.secret)["session"]
    bad = inventory()
    bad["nics"].append({"name": "eth1", "mac": "52:54:00:77:00:02"})
    with database.write() as session:
        agents.report(session, vault(), agents.authenticate(session, token), bad, policy=POLICY, now=NOW)
    with database.read() as session:
        assert len(session.scalars(select(Node)).all()) == 1
        assert session.scalars(select(Event).where(Event.kind == "alarm")).one()


@pytest.mark.parametrize(
    "change",
    [
        {"disks": [{"size_bytes": -1}]},
        {"disks": [{"size_bytes": 2**80}]},
        {"disks": [{"size_bytes": float("nan")}]},
        {"disks": "none"},
        {"nics": [{"mac": "aa:bb"}]},
        {"memory_mib": "lots"},
        {"extra": [[[[[[[1]]]]]]]},
    ],
)
def test_absurd_reports_are_refused(change):
    with pytest.raises(Invalid):
        discovery.check_report(inventory() | change)


def test_control_characters_of_a_machine_never_reach_people():
    checked = discovery.check_report(inventory() | {"product": "\x1b]52;c;evil\x07<script>"})
    assert checked["product"] == "]52;c;evil<script>"


def test_a_repeated_or_late_result_changes_nothing(database):
    with database.write() as session:
        node = nodes.create(session, vault(), wish(), actor="ann", now=NOW)
        command = agent_command.ask(
            session, node_id=node.id, key="k", name="erase", params={}, secret_params=None, now=NOW
        )
        uuid = command.uuid
    for result in ({"n": 1}, {"n": 2}):
        with database.write() as session:
            node = nodes.fetch(session, "n1")
            agents.update(session, vault(), node, uuid, {"status": "done", "result": result}, now=NOW)
    with database.read() as session:
        assert session.scalars(select(AgentCommand)).one().result == {"n": 1}


# The hand-over from a sighting to a node --------------------------------------------------------------------------


def test_a_boot_secret_that_was_used_stays_used_when_the_machine_becomes_a_node(database):
    _plan, ticket = granted(database)
    report(database, look_up(database, ticket.secret)["session"])
    with pytest.raises(Unauthenticated):
        look_up(database, ticket.secret, address="10.77.0.66")


def test_a_machine_cannot_claim_another_that_is_being_discovered(database):
    """Its report names the MAC of a machine whose own agent runs: both stay apart."""
    other = "52:54:00:77:00:02"
    _plan, ticket = granted(database)
    evil = look_up(database, ticket.secret)["session"]
    _plan, ticket = granted(database, mac=other)
    victim = look_up(database, ticket.secret, address="10.77.0.102")["session"]
    claim = inventory()
    claim["nics"].append({"name": "eth1", "mac": other})
    with database.write() as session:
        agents.report(session, vault(), agents.authenticate(session, evil), claim, policy=POLICY, now=NOW)
    with database.read() as session:
        assert session.scalar(select(Node)) is None
        assert agents.authenticate(session, victim).sighting.mac == other
        assert session.scalars(select(Event).where(Event.kind == "alarm")).one().mac == MAC


def test_a_second_card_of_one_machine_that_only_asked_for_an_address_is_no_rival(database):
    other = "52:54:00:77:00:02"
    with database.write() as session:
        boot.sight(session, mac=other, address=None, firmware="bios", now=NOW)
    _plan, ticket = granted(database)
    token = look_up(database, ticket.secret)["session"]
    mine = inventory()
    mine["nics"].append({"name": "eth1", "mac": other})
    with database.write() as session:
        agents.report(session, vault(), agents.authenticate(session, token), mine, policy=POLICY, now=NOW)
    with database.read() as session:
        node = session.scalars(select(Node)).one()
        assert {port.mac for port in node.ports} == {MAC, other}
        assert session.scalar(select(Sighting)) is None
        assert agents.authenticate(session, token).node.id == node.id


# Who may exchange a secret ----------------------------------------------------------------------------------------


def enroll(database, **changes):
    with database.write() as session:
        return nodes.create(session, vault(), wish(**changes), actor="ann", now=NOW)


def leased(database, address, mac):
    lease = {"address": address, "mac": mac, "hostname": None, "subnet": "lab", "expires_at": NOW.timestamp() + 600}
    with database.write() as session:
        network.store_leases(session, [lease])


def test_a_secret_that_another_machine_presents_is_refused_and_told(database):
    """It was read on the wire: the address of who presents it was leased to another MAC."""
    enroll(database)
    _plan, ticket = granted(database)
    leased(database, HERE, MAC)
    leased(database, "10.77.0.66", "52:54:00:66:66:66")
    with database.write() as session, pytest.raises(Unauthenticated):
        agents.lookup(session, {"boot_secret": ticket.secret}, address="10.77.0.66", now=NOW)
    assert look_up(database, ticket.secret)["node"] == "n1"
    with database.read() as session:
        alarm = session.scalars(select(Event).where(Event.kind == "alarm")).one()
        assert "52:54:00:66:66:66" in alarm.message
        assert ticket.secret not in alarm.message


def test_a_secret_kept_back_is_worthless_once_the_node_carries_an_instance(database):
    enroll(database)
    _plan, ticket = granted(database)
    with database.write() as session:
        nodes.fetch(session, "n1").provision_state = "active"
    with pytest.raises(Unauthenticated):
        look_up(database, ticket.secret)
    with database.read() as session:
        assert nodes.fetch(session, "n1").agent_session_hash is None


def test_a_lost_answer_may_be_asked_for_again_in_the_middle_of_a_deploy(database):
    enroll(database)
    with database.write() as session:
        node = nodes.fetch(session, "n1")
        node.provision_state, node.boot_expected_until = "deploying", NOW + timedelta(minutes=15)
    _plan, ticket = granted(database)
    look_up(database, ticket.secret)
    assert look_up(database, ticket.secret, now=NOW + timedelta(seconds=30))["node"] == "n1"


# What is kept of what agents say ----------------------------------------------------------------------------------


def asked(database, name="erase", **changes):
    enroll(database, **changes)
    with database.write() as session:
        node = nodes.fetch(session, "n1")
        return agent_command.ask(
            session, node_id=node.id, key="k", name=name, params={}, secret_params=None, now=NOW
        ).uuid


def tell(database, uuid, body, now=NOW):
    with database.write() as session:
        agents.update(session, vault(), nodes.fetch(session, "n1"), uuid, body, now=now)


def test_results_errors_and_versions_are_bounded_and_printable(database):
    uuid = asked(database)
    big = {str(number): "\x1b[2J\x00" + "x" * 5000 for number in range(700)}
    tell(database, uuid, {"status": "failed", "result": big, "error": "\x1b]0;evil\x07\x00no"})
    with database.read() as session:
        row = session.scalars(select(AgentCommand)).one()
        assert row.error == "]0;evilno"
        assert len(str(row.result)) < 70_000
        assert all(len(str(event.data)) < 9_000 for event in session.scalars(select(Event)))
    _plan, ticket = granted(database)
    with database.write() as session:
        agents.lookup(session, {"boot_secret": ticket.secret, "agent_version": "\x1b[1m1\x00"}, address=HERE, now=NOW)
    with database.read() as session:
        assert nodes.fetch(session, "n1").agent_version == "[1m1"


@pytest.mark.parametrize("number", [float("inf"), float("nan"), 1e300, -5, "x", None, [1], True])
def test_progress_of_any_shape_is_taken(database, number):
    uuid = asked(database)
    tell(database, uuid, {"status": "running", "progress": {"done": number, "total": number, "phase": "\x00p"}})
    with database.read() as session:
        progress = session.scalars(select(AgentCommand)).one().progress
    assert isinstance(progress["done"], int)
    assert 0 <= progress["done"] < 2**63
    assert progress["phase"] == "p"


def test_progress_does_not_rewrite_the_node_each_second(database):
    uuid = asked(database)
    tell(database, uuid, {"status": "running"})
    with database.read() as session:
        before = nodes.fetch(session, "n1").version
    for second in range(1, 10):
        tell(database, uuid, {"status": "running"}, now=NOW + timedelta(seconds=second))
    with database.read() as session:
        assert nodes.fetch(session, "n1").version == before


def test_a_clock_that_was_set_back_does_not_keep_an_agent_young(database):
    enroll(database)
    _plan, ticket = granted(database)
    token = look_up(database, ticket.secret, now=NOW + timedelta(hours=2))["session"]
    with database.read() as session:
        assert agents.pulse(session, token, now=NOW).is_due


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "224.0.0.1", "::1", "169.254.1.1", "nonsense"])
def test_a_bmc_address_that_cannot_be_one_is_not_believed(database, address):
    _plan, ticket = granted(database)
    token = look_up(database, ticket.secret)["session"]
    report(database, token)
    with database.write() as session:
        node = agents.authenticate(session, token).node
        command = agents.deliver(session, vault(), node, agents.pending(session, node), now=NOW)
        done = {"status": "done", "result": {"address": address}}
        agents.update(session, vault(), node, command["uuid"], done, now=NOW)
    with database.read() as session:
        node = session.scalars(select(Node)).one()
        assert (node.bmc_address, node.bmc_secret) == (None, None)
        assert session.scalars(select(AgentCommand)).one().status == "done"


# Instances that call home -----------------------------------------------------------------------------------------


def test_an_instance_that_repeats_itself_leaves_one_event(database):
    """A tenant has root: calling home a million times must not fill the event log."""
    enroll(database)
    with database.write() as session:
        nodes.fetch(session, "n1").call_home_hash = boot.hash_secret("t" * 43)
    for _ in range(5):
        with database.write() as session:
            assert agents.called_home(session, "t" * 43, address="10.77.0.100", now=NOW)
    with database.read() as session:
        assert len(session.scalars(select(Event).where(Event.kind == "call-home")).all()) == 1
