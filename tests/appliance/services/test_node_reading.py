"""Nodes in bulk: which columns come, which nodes, in which order, and what a project sees of them."""

from datetime import timedelta

import orjson
import pytest

from appliance.domain.errors import NotFound
from appliance.models import flow
from appliance.models.node import Node
from appliance.services import node_reading
from appliance.services.node_reading import Filter
from tests.fakes import ironic_things as things
from tests.fakes.rack import NOW

COLUMNS = ("name", "uuid")


def names(database, wanted=Filter(), *, sort=None, descending=False, limit=100, marker=None):  # noqa: B008
    with database.read() as session:
        base = node_reading.statement(COLUMNS)
        found = node_reading.listing(
            session, base, wanted, sort=sort, descending=descending, limit=limit, marker=marker
        )
        return "".join(row.name for row in found.rows)


@pytest.fixture
def rack(database):
    """Nodes a to d; their UUIDs by name."""
    made = {
        "a": {"owner": "p1", "shard": "s1", "maintenance": True, "description": "50% of a_rack"},
        "b": {"lessee": "p1", "shard": "s2", "instance_uuid": "123e4567-e89b-42d3-a456-426614174001"},
        "c": {"owner": "p2", "resource_class": "big", "provision_state": "active"},
    }
    uuids = {name: things.node(database, name=name, **columns) for name, columns in made.items()}
    return uuids | {"d": things.node(database, name="d", parent_uuid=uuids["a"], driver="ipmi")}


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, "abcd"), ({"has_children": False}, "abc"), ({"project": "p1"}, "ab"), ({"visible_to": "p2"}, "c"),
        ({"visible_to": ""}, ""), ({"shards": ("s1", "s2", "x")}, "ab"), ({"is_sharded": False}, "cd"),
        ({"is_sharded": True}, "ab"), ({"is_associated": True}, "b"), ({"is_associated": False}, "acd"),
        ({"maintenance": True}, "a"), ({"maintenance": False}, "bcd"), ({"owner": "p1"}, "a"),
        ({"driver": "ipmi"}, "d"),
        ({"resource_class": "big", "provision_state": "active"}, "c"), ({"chassis_uuid": "nowhere"}, ""),
        ({"description_contains": "50% OF"}, "a"), ({"description_contains": "a%rack"}, ""),
        ({"conductor": "there", "usual_conductor": "here"}, ""), ({"project": "p1", "visible_to": "p2"}, ""),
        ({"conductor": "here", "usual_conductor": "here"}, "abcd"),
    ],
)  # fmt: skip
def test_what_is_asked_for_is_found(database, rack, wanted, found):
    assert names(database, Filter(**wanted)) == found


def test_children_of_a_node_are_listed_though_children_are_left_out(database, rack):
    for parent in (rack["a"], rack["a"].upper(), "a"):
        assert names(database, Filter(parent=parent, has_children=False)) == "d"
    assert names(database, Filter(parent="nobody")) == ""


@pytest.mark.parametrize("sort", [None, "name", "owner", "shard", "instance_uuid"])
@pytest.mark.parametrize("descending", [False, True])
def test_pages_add_up_to_the_list(database, rack, sort, descending):
    """Also where most have no value in the column."""
    whole = names(database, sort=sort, descending=descending)
    assert sorted(whole) == list("abcd")
    pages, marker = "", None
    while page := names(database, sort=sort, descending=descending, limit=1, marker=marker):
        pages, marker = pages + page, rack[page].upper()
    assert pages == whole


def test_a_marker_that_is_not_there_or_not_visible_is_refused(database, rack):
    for marker, wanted in (("nowhere", Filter()), (rack["c"], Filter(visible_to="p1"))):
        with pytest.raises(NotFound):
            names(database, wanted, marker=marker)
    assert names(database, Filter(visible_to="p1"), marker=rack["a"]) == "b"


def test_columns_come_unread(database):
    """JSON as text, times as microseconds, secrets as whether there is one; and what belongs to other tables."""
    uuid = things.node(database, properties={"é": [1, None]}, bmc_secret=b"sealed")
    with database.write() as session:
        node = session.query(Node).filter(Node.uuid == uuid).one()
        flow.enqueue(session, kind="deploy", node_id=node.id, data={}, now=NOW)
    columns = ("uuid", "properties", "created_at", "has_bmc_secret", "work_kind", "held_by", "chassis_uuid")
    statement = node_reading.statement(columns)
    with database.read() as session:
        row = session.execute(node_reading.by_uuid(statement), {"ident": uuid}).one()
        assert row == session.execute(node_reading.by_name(statement), {"ident": "n1"}).one()
    assert orjson.loads(row.properties) == {"é": [1, None]}
    assert row.created_at == NOW.timestamp() * 1_000_000
    assert (bool(row.has_bmc_secret), row.work_kind, row.held_by, row.chassis_uuid) == (True, "deploy", None, None)


def test_work_that_is_over_is_not_a_nodes_work(database):
    uuid = things.node(database)
    with database.write() as session:
        node = session.query(Node).filter(Node.uuid == uuid).one()
        for number in range(2):
            now = NOW + timedelta(seconds=number)
            flow.enqueue(session, kind="clean", node_id=node.id, data={}, now=now).status = "done"
            session.flush()
    statement = node_reading.by_uuid(node_reading.statement(("uuid", "work_kind")))
    with database.read() as session:
        assert session.execute(statement, {"ident": uuid}).all() == [(uuid, None)]


def test_that_work_is_active_is_no_bound_value():
    """With one, SQLite prepares the statement anew at each run: it looks whether a partial index applies."""
    text = str(node_reading.by_uuid(node_reading.statement(("uuid", "work_kind"))))
    assert "flow.status = 'active'" in text
    assert text.count(":") == 1, "only the node's UUID is bound"
