"""The boot script's secret: minted per boot, kept as a hash, for those whose disk is nobody's."""

from datetime import timedelta

import pytest
from sqlalchemy import select, text

from appliance.domain.boot import HOLDS_INSTANCE, Action, Discovery
from appliance.models.node import Node, Sighting
from appliance.services import boot, nodes
from tests.fakes.rack import MAC, NOW, vault, wish


def grant(database, *, now=NOW, discovery=Discovery.ENROLL):
    with database.write() as session:
        return boot.grant(session, mac=MAC, address=None, server="10.77.0.1", discovery=discovery, now=now)


@pytest.fixture
def node(database):
    with database.write() as session:
        return nodes.create(session, vault(), wish(), actor="ann", now=NOW)


def test_the_secret_is_kept_as_a_hash_only(database, node):
    _plan, ticket = grant(database)
    with database.read() as session:
        assert session.scalars(select(Node)).one().boot_secret_hash == boot.hash_secret(ticket.secret)
        for table in Node.metadata.sorted_tables:
            rows = session.execute(text(f'SELECT * FROM "{table.name}"')).all()
            assert ticket.secret not in str(rows)


@pytest.mark.parametrize("state", sorted(HOLDS_INSTANCE))
def test_a_disk_that_belongs_to_somebody_boots_unless_work_wants_the_agent(database, node, state):
    def change(until):
        with database.write() as session:
            row = session.scalars(select(Node)).one()
            row.provision_state, row.boot_expected_until = state, until

    change(None)
    assert grant(database)[0].action is Action.LOCAL
    change(NOW + timedelta(seconds=1))
    assert grant(database)[0].action is Action.AGENT
    change(NOW)
    assert grant(database)[1] is None


def test_each_script_voids_the_one_before(database, node):
    first, second = grant(database)[1].secret, grant(database)[1].secret
    with database.read() as session:
        assert session.scalars(select(Node)).one().boot_secret_hash == boot.hash_secret(second)
    assert first != second


@pytest.mark.parametrize(("discovery", "seen"), [(Discovery.OFF, 0), (Discovery.RECORD, 1), (Discovery.ENROLL, 1)])
def test_an_unknown_machine_is_noted_as_the_policy_says(database, discovery, seen):
    plan, ticket = grant(database, discovery=discovery)
    assert (ticket is not None) == (discovery is Discovery.ENROLL)
    assert plan.node is None
    with database.read() as session:
        assert len(session.scalars(select(Sighting)).all()) == seen


def test_a_machine_whose_agent_runs_survives_a_flood(database, monkeypatch):
    monkeypatch.setattr(boot, "SIGHTINGS_MOST", 5)
    grant(database)
    with database.write() as session:
        session.scalars(select(Sighting)).one().agent_session_hash = "h"
        for number in range(20):
            boot.sight(
                session, mac=f"52:54:00:00:00:{number:02x}", address=None, firmware="bios",
                now=NOW + timedelta(seconds=number),
            )  # fmt: skip
    with database.read() as session:
        macs = set(session.scalars(select(Sighting.mac)))
    assert (MAC in macs, len(macs)) == (True, 5)
