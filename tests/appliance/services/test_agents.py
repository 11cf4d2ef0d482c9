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
from appliance.services import agents, boot, discovery, nodes
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
