"""Allocations: which node is claimed, who may win it, and when it is given back."""

import threading

import pytest
from sqlalchemy import select

from appliance.domain.errors import Conflict, Invalid, NotFound
from appliance.models.allocation import Allocation
from appliance.models.node import Node
from appliance.services import allocations
from tests.fakes.rack import NOW


def add_node(session, name, **changes):
    values = {
        "driver": "fake", "provision_state": "available", "power_state": "power off", "resource_class": "x",
        "created_at": NOW, "updated_at": NOW, "provision_updated_at": NOW,
    }  # fmt: skip
    node = Node(name=name, **(values | changes))
    session.add(node)
    session.flush()
    return node


def nodes(database, *names, **changes):
    with database.write() as session:
        return [add_node(session, name, **changes).uuid for name in names]


def allocate(database, *, project=None, **wish):
    with database.write() as session:
        row = allocations.create(session, {"resource_class": "x", **wish}, project=project, actor="ann", now=NOW)
        return row.uuid, row.state, row.node.name if row.node else None, row.last_error


def test_an_allocation_takes_a_node_that_fits(database):
    nodes(database, "n1")
    uuid, state, name, error = allocate(database, name="a1", traits=[])
    assert (state, name, error) == ("active", "n1", None)
    with database.read() as session:
        node = session.scalars(select(Node)).one()
        assert node.instance_uuid == uuid
        assert node.wishes == {"traits": []}
        assert allocations.fetch(session, "a1", project=None).uuid == uuid
        assert allocations.of_node(session, node).uuid == uuid


@pytest.mark.parametrize(
    ("node", "wish", "said"),
    [
        ({"resource_class": "y"}, {}, "no available nodes match the resource class x"),
        ({"provision_state": "active"}, {}, "no available nodes"),
        ({"maintenance": True}, {}, "no available nodes"),
        ({"instance_uuid": "someone"}, {}, "no available nodes"),
        ({"power_state": None}, {}, "no available nodes"),
        ({}, {"traits": ["CUSTOM_A"]}, "no suitable nodes have the requested traits CUSTOM_A"),
        ({"maintenance": True}, {"candidate_nodes": ["n1"]}, "none of the requested nodes"),
        ({"owner": "p2"}, {"owner": "p1"}, "no available nodes"),
    ],
)
def test_an_allocation_that_nothing_fits_says_why(database, node, wish, said):
    nodes(database, "n1", **node)
    _uuid, state, name, error = allocate(database, **wish)
    assert (state, name) == ("error", None)
    assert said in error


def test_traits_candidates_and_the_name_choose(database):
    nodes(database, "n1", "n2")
    nodes(database, "n3", traits=["CUSTOM_A", "CUSTOM_B"])
    assert allocate(database, traits=["CUSTOM_B"])[2] == "n3"
    assert allocate(database, candidate_nodes=["n2"])[2] == "n2"
    assert allocate(database, name="n1")[2] == "n1"


def test_a_project_gets_what_it_owns_or_is_lent(database):
    nodes(database, "n1", lessee="p1")
    assert allocate(database, owner="p1")[2] == "n1"


def test_an_unknown_or_foreign_candidate_is_refused(database):
    nodes(database, "n1", owner="p2")
    for project, names in ((None, ["nope"]), ("p1", ["n1"])):
        with pytest.raises(Invalid, match="could not be found"):
            allocate(database, project=project, candidate_nodes=names)


def test_a_name_and_a_uuid_belong_to_one_allocation(database):
    nodes(database, "n1", "n2")
    uuid, *_ = allocate(database, name="a")
    with pytest.raises(Conflict, match="name a already"):
        allocate(database, name="a")
    with pytest.raises(Conflict, match="UUID"):
        allocate(database, uuid=uuid)


def test_no_node_is_won_twice(database):
    nodes(database, *(f"n{number}" for number in range(4)))
    answers = []

    def claim():
        answers.append(allocate(database)[1:3])

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    won = sorted(name for state, name in answers if state == "active")
    assert won == ["n0", "n1", "n2", "n3"]
    assert [state for state, _name in answers].count("error") == 4


def test_deletion_gives_the_node_back(database):
    nodes(database, "n1")
    uuid, *_ = allocate(database)
    with database.write() as session:
        row = allocations.fetch(session, uuid, project=None)
        allocations.delete(session, row, actor="ann", now=NOW)
    with database.read() as session:
        assert session.scalars(select(Allocation)).all() == []
        assert session.scalars(select(Node)).one().instance_uuid is None
    assert allocate(database)[1] == "active"


@pytest.mark.parametrize("state", ["active", "deploying"])
def test_a_node_in_use_is_not_given_back_but_in_maintenance(database, state):
    nodes(database, "n1")
    uuid, *_ = allocate(database)
    with database.write() as session:
        session.scalars(select(Node)).one().provision_state = state
    with database.write() as session, pytest.raises(allocations.InUse, match=r"maintenance mode is off"):
        allocations.delete(session, allocations.fetch(session, uuid, project=None), actor="ann", now=NOW)
    with database.write() as session:
        session.scalars(select(Node)).one().maintenance = True
        allocations.delete(session, allocations.fetch(session, uuid, project=None), actor="ann", now=NOW)


def test_the_end_of_an_instance_ends_its_allocation(database):
    nodes(database, "n1")
    allocate(database)
    with database.write() as session:
        allocations.release(session, session.scalars(select(Node)).one(), now=NOW)
        allocations.release(session, session.scalars(select(Node)).one(), now=NOW)
    with database.read() as session:
        assert session.scalars(select(Allocation)).all() == []


def backfill(database, **wish):
    with database.write() as session:
        node = session.scalars(select(Node)).one()
        return allocations.backfill(session, wish, node=node, actor="ann", now=NOW).uuid


def test_a_deployed_node_is_given_an_allocation_afterwards(database):
    nodes(database, "n1", provision_state="active", instance_uuid="1be26c0b-03f2-4d2e-ae87-c02d7f33c123")
    assert backfill(database, name="a") == "1be26c0b-03f2-4d2e-ae87-c02d7f33c123"
    with pytest.raises(Conflict, match="is associated with instance 1be26c0b"):
        backfill(database)


@pytest.mark.parametrize(
    ("node", "wish", "said"),
    [
        ({"provision_state": "available"}, {}, "must be in the"),
        ({}, {"resource_class": "y"}, "Resource class"),
        ({}, {"traits": ["CUSTOM_A"]}, "List of traits"),
    ],
)
def test_what_does_not_fit_is_not_backfilled(database, node, wish, said):
    nodes(database, "n1", **({"provision_state": "active"} | node))
    with pytest.raises(Invalid, match=said):
        backfill(database, **wish)


def test_projects_see_their_own_claims(database):
    nodes(database, "n1", owner="p1")
    allocate(database, name="a", owner="p1")
    allocate(database, name="nobodys")
    with database.read() as session:
        assert allocations.fetch(session, "a", project="p1").name == "a"
        for project in ("p2", ""):
            for name in ("a", "nobodys"):
                with pytest.raises(NotFound):
                    allocations.fetch(session, name, project=project)
