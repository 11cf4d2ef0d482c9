"""Inspection rules at rest: what a sensitive one asks and does is sealed, and comes back to who runs it."""

from pathlib import Path

import pytest
from sqlalchemy import make_url

from appliance.domain.errors import Invalid
from appliance.models.inspection_rule import InspectionRule
from appliance.services import inspection_rules
from appliance.services.vault import NotSealedHere
from tests.fakes.rack import NOW, vault

ACTION = {"op": "set-attribute", "args": {"path": "/extra/key", "value": "canary.action"}}
CONDITION = {"op": "eq", "args": {"values": ["{inventory[key]}", "canary.condition"]}}
RULE = {"actions": [ACTION], "conditions": [CONDITION]}


def make(database, **more):
    with database.write() as session:
        return inspection_rules.create(session, vault(), {**RULE, **more}, now=NOW).uuid


def change(database, uuid, **changes):
    with database.write() as session:
        row = inspection_rules.fetch(session, uuid)
        inspection_rules.change(session, vault(), row, changes, now=NOW)


def kept(database, uuid):
    with database.read() as session:
        row = inspection_rules.fetch(session, uuid)
        return row.conditions, row.actions, row.secret


def rules(database):
    with database.read() as session:
        return [(rule.conditions, rule.actions) for rule in inspection_rules.in_order(session, vault())]


def on_disk(url):
    """All that SQLite wrote; nothing for another database."""
    name = make_url(url).database if url.startswith("sqlite") else None
    found = [Path(f"{name}{suffix}") for suffix in ("", "-wal")] if name else []
    return b"".join(file.read_bytes() for file in found if file.exists())


def test_a_sensitive_rule_is_sealed_and_runs_all_the_same(database, database_url):
    uuid = make(database, sensitive=True)
    change(database, uuid, priority=3)
    conditions, actions, secret = kept(database, uuid)
    assert (conditions, actions, b"canary" in secret) == ([], [], False)
    assert rules(database) == [([CONDITION], [ACTION])]
    change(database, uuid, actions=[ACTION, ACTION])
    assert rules(database) == [([CONDITION], [ACTION, ACTION])]
    assert kept(database, uuid)[:2] == ([], [])
    assert b"canary" not in on_disk(database_url)


def test_a_plain_rule_stands_as_it_is_until_it_is_made_sensitive(database, database_url):
    uuid = make(database)
    assert kept(database, uuid) == ([CONDITION], [ACTION], None)
    assert b"canary" in on_disk(database_url) or not database_url.startswith("sqlite")
    change(database, uuid, sensitive=True)
    assert kept(database, uuid)[:2] == ([], [])
    assert rules(database) == [([CONDITION], [ACTION])]
    with pytest.raises(Invalid, match="plain one"):
        change(database, uuid, sensitive=False)


def test_the_secret_of_one_rule_is_not_that_of_another(database):
    one, other = make(database, sensitive=True), make(database, sensitive=True)
    with database.write() as session:
        session.query(InspectionRule).filter_by(uuid=other).update({"secret": kept(database, one)[2]})
    with pytest.raises(NotSealedHere):
        rules(database)
