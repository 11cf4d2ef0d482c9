"""/v1/conductors and /v1/shards."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from appliance.domain.access import Role
from appliance.http.ironic.node_fields import HOST
from appliance.models import flow
from appliance.models.flow import Worker
from appliance.models.node import Node
from tests.fakes import ironic_things as things
from tests.fakes.rack import NOW


@pytest.fixture
def hosts(database):
    with database.write() as session:
        for number, (host, left_s) in enumerate((("b", 30), ("a", 30), ("a", -60), ("gone", -60))):
            at = NOW + timedelta(seconds=number)
            session.add(Worker(id=f"w{number}", host=host, started_at=at, expires_at=NOW + timedelta(seconds=left_s)))


def names(answer):
    return [one["hostname"] for one in answer.get_json()["conductors"]]


def test_the_hosts_that_work(ironic, hosts):
    answer = ironic.get("/v1/conductors")
    assert [(one["hostname"], one["alive"]) for one in answer.get_json()["conductors"]] == [
        ("b", True), ("a", True), ("gone", False),
    ]  # fmt: skip
    assert "drivers" in ironic.get("/v1/conductors?detail=True").get_json()["conductors"][0]
    assert names(ironic.get("/v1/conductors?sort_key=hostname")) == ["a", "b", "gone"]
    first = ironic.get("/v1/conductors?limit=1")
    assert names(first) == ["b"]
    assert names(ironic.get(first.get_json()["next"].partition("/baremetal")[2])) == ["a"]
    shown = ironic.get("/v1/conductors/a").get_json()
    assert shown["drivers"]
    assert ironic.get("/v1/conductors/a?fields=alive").get_json().keys() == {"alive", "links"}


@pytest.mark.parametrize(
    ("path", "status", "version"),
    [("/nope", 404, "1.110"), ("", 404, "1.48"), ("?marker=nope", 404, "1.110"), ("?fields=x", 400, "1.110")],
)
def test_what_there_is_not_is_refused(ironic, hosts, path, status, version):
    assert ironic.get(f"/v1/conductors{path}", version=version).status_code == status


def test_nodes_are_counted_by_shard(ironic, database):
    for number, shard in enumerate(("s1", "s2", "s1", None)):
        things.node(database, f"n{number}", shard=shard)
    shards = ironic.get("/v1/shards").get_json()["shards"]
    assert sorted(shards, key=lambda one: one["name"] or "") == [
        {"name": None, "count": 1}, {"name": "s1", "count": 2}, {"name": "s2", "count": 1},
    ]  # fmt: skip
    assert ironic.get("/v1/shards", version="1.81").status_code == 404


def test_both_are_the_systems(appliance, client_for):
    client = client_for(appliance.project_token(Role.ADMIN)[0])
    assert client.get("/v1/conductors").status_code == 403
    assert client.get("/v1/shards").status_code == 403


def test_a_node_names_the_host_that_works_on_it(ironic, database, hosts):
    """With several appliances on one database, any of them tells whose work it is."""
    for name in ("here", "there", "rests"):
        things.node(database, name=name)
    with database.write() as session:
        session.add(Worker(id="own", host=HOST, started_at=NOW, expires_at=NOW + timedelta(seconds=30)))
        for name, owner in (("here", "own"), ("there", "w1")):
            node = session.scalars(select(Node).where(Node.name == name)).one()
            work = flow.enqueue(session, kind="clean", node_id=node.id, data={}, now=NOW)
            work.owner = owner
    shown = {
        one["name"]: (one["conductor"], one["reservation"])
        for one in ironic.get("/v1/nodes?fields=name,conductor,reservation").get_json()["nodes"]
    }
    assert shown == {"here": (HOST, HOST), "there": ("a", "a"), "rests": (HOST, None)}
    for host, expected in ((HOST, {"here", "rests"}), ("a", {"there"}), ("b", set())):
        listed = ironic.get(f"/v1/nodes?conductor={host}").get_json()["nodes"]
        assert {one["name"] for one in listed} == expected
    refused = ironic.put("/v1/nodes/there/states/provision", {"target": "provide"})
    assert refused.status_code == 409
    assert "is locked by host a, " in refused.get_data(as_text=True)
