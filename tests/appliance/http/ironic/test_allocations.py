"""/v1/allocations: claimed at once, said as `allocating`, read as what was decided."""

import pytest

from appliance.domain.access import Role
from tests.fakes import ironic_things as things
from tests.fakes.ironic_client import fault


def make(ironic, **values):
    answer = ironic.post("/v1/allocations", {"resource_class": "x", **values})
    assert answer.status_code == 201, answer.get_json()
    return answer.get_json()


def read(ironic, made):
    return ironic.get(f"/v1/allocations/{made['uuid']}").get_json()


def test_a_claim_is_answered_as_allocating_and_is_active(ironic, database):
    node = things.node(database, traits=["CUSTOM_A"])
    made = make(ironic, name="a1", traits=["CUSTOM_A"], extra={"k": 1}, candidate_nodes=["n1"])
    assert (made["state"], made["node_uuid"], made["last_error"]) == ("allocating", None, None)
    assert made["candidate_nodes"] == [node]
    now = read(ironic, made)
    assert now == {**made, "state": "active", "node_uuid": node}
    assert ironic.get("/v1/allocations/a1").get_json() == now
    assert ironic.get("/v1/nodes/n1/allocation").get_json() == now
    shown = ironic.get("/v1/nodes/n1").get_json()
    assert (shown["instance_uuid"], shown["allocation_uuid"]) == (made["uuid"], made["uuid"])
    assert shown["instance_info"] == {"traits": ["CUSTOM_A"]}


def test_a_claim_that_nothing_fits_is_in_error(ironic, database):
    things.node(database, resource_class="y")
    made = make(ironic)
    assert made["state"] == "allocating"
    now = read(ironic, made)
    assert now["state"] == "error"
    assert "no available nodes match the resource class x" in now["last_error"]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({}, 400, "resource_class"),
        ({"resource_class": "x", "name": "a/b"}, 400, "invalid"),
        ({"resource_class": "x", "name": "taken"}, 409, "taken"),
        ({"resource_class": "x", "traits": ["blue"]}, 400, "trait"),
        ({"resource_class": "x", "candidate_nodes": ["nope"]}, 400, "could not be found"),
        ({"resource_class": "x", "candidate_nodes": "n1"}, 400, "list"),
        ({"resource_class": "x" * 81}, 400, "longer"),
        ({"resource_class": "x", "node_uuid": "n1"}, 400, "unexpected"),
        ({"node": "n1"}, 400, "must be in the"),
        ({"node": "nope"}, 400, "could not be found"),
    ],
)
def test_what_cannot_be_claimed_is_refused(ironic, database, body, status, said):
    things.node(database)
    make(ironic, name="taken", resource_class="none")
    answer = ironic.post("/v1/allocations", body)
    assert answer.status_code == status
    assert said in fault(answer)["faultstring"]
    assert len(ironic.get("/v1/allocations").get_json()["allocations"]) == 1


def test_a_deployed_node_is_claimed_afterwards(ironic, database):
    node = things.node(database, provision_state="active")
    answer = ironic.post("/v1/allocations", {"node": "n1", "name": "a"})
    assert answer.get_json()["node_uuid"] == node
    assert ironic.post("/v1/allocations", {"node": "n1"}).status_code == 409
    assert ironic.post("/v1/allocations", {"node": "n1"}, version="1.57").status_code == 400


def test_a_claim_is_renamed_and_given_back(ironic, database):
    things.node(database)
    made = make(ironic, name="a1")
    path = f"/v1/allocations/{made['uuid']}"
    rename = [{"op": "replace", "path": "/name", "value": "a2"}, {"op": "add", "path": "/extra/k", "value": 2}]
    assert ironic.patch(path, rename).get_json()["name"] == "a2"
    assert ironic.patch(path, rename, version="1.56").status_code == 405
    other = [{"op": "replace", "path": "/resource_class", "value": "y"}]
    assert ironic.patch(path, other).status_code == 400
    assert ironic.delete("/v1/nodes/n1/allocation").status_code == 204
    assert ironic.get(path).status_code == 404
    assert ironic.get("/v1/nodes/n1/allocation").status_code == 404
    assert ironic.get("/v1/nodes/n1").get_json()["instance_uuid"] is None


def test_a_node_in_use_is_not_given_back(ironic, database):
    node = things.node(database)
    made = make(ironic)
    things.change(database, node, provision_state="active")
    answer = ironic.delete(f"/v1/allocations/{made['uuid']}")
    assert answer.status_code == 409
    assert "maintenance mode is off" in fault(answer)["faultstring"]


def test_lists_are_filtered(ironic, database):
    things.node(database)
    make(ironic, name="a1")
    make(ironic, name="a2", resource_class="y", owner="p")
    for query, expected in {
        "": ["a1", "a2"], "?node=n1": ["a1"], "?resource_class=y": ["a2"], "?state=error": ["a2"], "?owner=p": ["a2"],
        "?sort_key=name&sort_dir=desc": ["a2", "a1"], "?limit=1": ["a1"],
    }.items():  # fmt: skip
        assert [one["name"] for one in ironic.get(f"/v1/allocations{query}").get_json()["allocations"]] == expected


def test_owners_come_with_60_and_allocations_with_52(ironic):
    made = make(ironic)
    assert "owner" not in ironic.get(f"/v1/allocations/{made['uuid']}", version="1.59").get_json()
    assert ironic.get("/v1/allocations?owner=p", version="1.59").status_code == 406
    assert ironic.get("/v1/allocations", version="1.51").status_code == 404


def test_projects_claim_for_themselves(appliance, client_for, ironic, database):
    token, project = appliance.project_token(Role.MEMBER)
    member = client_for(token)
    things.node(database, "foreign")
    mine = things.node(database, "mine", owner=project)
    made = make(member)
    assert made["owner"] == project
    assert read(member, made)["node_uuid"] == mine
    assert member.post("/v1/allocations", {"resource_class": "x", "owner": "other"}).status_code == 403
    assert member.post("/v1/allocations", {"resource_class": "x", "candidate_nodes": ["foreign"]}).status_code == 400
    theirs = make(ironic)
    assert member.get(f"/v1/allocations/{theirs['uuid']}").status_code == 404
    assert member.delete(f"/v1/allocations/{theirs['uuid']}").status_code == 404
    assert len(member.get("/v1/allocations").get_json()["allocations"]) == 1
    reader = client_for(appliance.project_token(Role.READER)[0])
    assert reader.post("/v1/allocations", {"resource_class": "x"}).status_code == 403
    assert reader.delete(f"/v1/allocations/{made['uuid']}").status_code == 403
    assert member.delete(f"/v1/allocations/{made['uuid']}").status_code == 204
