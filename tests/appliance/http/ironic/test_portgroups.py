"""/v1/portgroups: attributes by version, what a group asks of its ports, and when it may go."""

import pytest

from tests.fakes import ironic_things as things
from tests.fakes.ironic_client import fault

MAC = "52:54:00:77:00:01"


@pytest.fixture
def node(database):
    return things.node(database, provision_state="manageable")


def make(ironic, node, **values):
    answer = ironic.post("/v1/portgroups", {"node_uuid": node, **values})
    assert answer.status_code == 201, answer.get_json()
    return answer.get_json()


def test_a_group_is_shown_whole(ironic, node):
    group = make(ironic, node, name="bond0", address=MAC, properties={"miimon": 100})
    assert (
        group
        == ironic.get("/v1/portgroups/bond0").get_json()
        == ironic.get(f"/v1/portgroups/{group['uuid']}").get_json()
    )
    assert (group["mode"], group["standalone_ports_supported"], group["node_uuid"]) == ("active-backup", True, node)
    assert group["ports"][0]["href"].endswith(f"/portgroups/{group['uuid']}/ports")
    assert ironic.get("/v1/nodes/n1/portgroups").get_json()["portgroups"][0]["uuid"] == group["uuid"]
    assert ironic.get("/v1/nodes/n1/portgroups/detail").get_json()["portgroups"] == [group]


def test_a_group_is_made_by_people_never_by_the_appliance(ironic, node):
    group = make(ironic, node, name="bond0")
    assert group["dynamic_portgroup"] is False
    assert "dynamic_portgroup" not in ironic.get("/v1/portgroups/bond0", version="1.110").get_json()
    assert ironic.get("/v1/portgroups/detail").get_json()["portgroups"] == [group]
    patch = [{"op": "replace", "path": "/dynamic_portgroup", "value": True}]
    assert ironic.patch("/v1/portgroups/bond0", patch).status_code == 400


def test_there_are_no_groups_before_23(ironic, node):
    assert ironic.get("/v1/portgroups", version="1.22").status_code == 404
    assert ironic.get("/v1/portgroups", version="1.23").status_code == 200
    assert ironic.get("/v1/nodes/n1/portgroups", version="1.23").status_code == 404
    body = {"node_uuid": node, "mode": "802.3ad"}
    assert ironic.post("/v1/portgroups", body, version="1.25").status_code == 406


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", 2),
        ("?node=n1", 1),
        (f"?address={MAC}", 1),
        ("?shard=s1", 1),
        ("?conductor_groups=g1", 1),
        ("?detail=True", 2),
    ],
)
def test_lists_are_filtered(ironic, database, node, query, found):
    make(ironic, node, address=MAC)
    make(ironic, things.node(database, "n2", shard="s1", conductor_group="g1"))
    assert len(ironic.get(f"/v1/portgroups{query}").get_json()["portgroups"]) == found


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({}, 400, "node_uuid"),
        ({"node_uuid": "NODE", "name": "a/b"}, 400, "invalid"),
        ({"node_uuid": "NODE", "name": "taken"}, 409, "taken"),
        ({"node_uuid": "NODE", "address": MAC}, 409, "MAC"),
        ({"node_uuid": "NODE", "mode": 4}, 400, "mode"),
        ({"node_uuid": "NODE", "ports": []}, 400, "unexpected"),
        ({"node_uuid": "NODE", "standalone_ports_supported": "perhaps"}, 400, "perhaps"),
    ],
)
def test_what_cannot_be_a_group_is_refused(ironic, node, body, status, said):
    make(ironic, node, name="taken", address=MAC)
    body = {key: node if value == "NODE" else value for key, value in body.items()}
    answer = ironic.post("/v1/portgroups", body)
    assert answer.status_code == status
    assert said in fault(answer)["faultstring"]


def test_a_group_changes_and_goes_when_it_is_empty(ironic, node):
    group = make(ironic, node, name="bond0")
    port = ironic.post("/v1/ports", {"node_uuid": node, "address": MAC, "portgroup_uuid": group["uuid"]}).get_json()
    assert ironic.delete("/v1/portgroups/bond0").status_code == 400
    single = [{"op": "replace", "path": "/standalone_ports_supported", "value": False}]
    assert ironic.patch("/v1/portgroups/bond0", single).status_code == 409
    assert ironic.patch(f"/v1/ports/{port['uuid']}", [{"op": "remove", "path": "/portgroup_uuid"}]).status_code == 200
    assert ironic.patch("/v1/portgroups/bond0", single).get_json()["standalone_ports_supported"] is False
    unsaid = ironic.patch("/v1/portgroups/bond0", [{"op": "remove", "path": "/mode"}])
    assert "'mode' is a mandatory attribute and can not be removed" in fault(unsaid)["faultstring"]
    renamed = [{"op": "replace", "path": "/name", "value": "bond1"}]
    assert ironic.patch("/v1/portgroups/bond0", renamed).get_json()["name"] == "bond1"
    assert ironic.delete("/v1/portgroups/bond1").status_code == 204


def test_a_group_moves_to_another_node(ironic, database, node):
    make(ironic, node, name="bond0")
    other = things.node(database, "n2")
    move = [{"op": "replace", "path": "/node_uuid", "value": other}]
    refused = ironic.patch("/v1/portgroups/bond0", move)
    assert refused.status_code == 409
    assert (
        f"can not be associated to node {other} unless the node is in a enroll, inspecting, inspect wait, manageable "
        "state or in maintenance mode. Current state is 'available'."
    ) in fault(refused)["faultstring"]
    things.change(database, other, maintenance=True)
    assert ironic.patch("/v1/portgroups/bond0", move).get_json()["node_uuid"] == other


def test_a_group_with_ports_stays_on_its_node(ironic, database, node):
    group = make(ironic, node, name="bond0")
    ironic.post("/v1/ports", {"node_uuid": node, "address": MAC, "portgroup_uuid": group["uuid"]})
    other = things.node(database, "n2", provision_state="manageable")
    refused = ironic.patch("/v1/portgroups/bond0", [{"op": "replace", "path": "/node_uuid", "value": other}])
    assert refused.status_code == 400
    assert "because there are ports associated with this portgroup" in fault(refused)["faultstring"]


def test_a_group_is_on_the_physical_network_of_its_ports(ironic, node):
    group = make(ironic, node, name="bond0")
    body = {"node_uuid": node, "address": MAC, "portgroup_uuid": group["uuid"], "physical_network": "net1"}
    port = ironic.post("/v1/ports", body).get_json()
    assert ironic.get("/v1/portgroups/bond0").get_json()["physical_network"] == "net1"
    refused = ironic.post("/v1/ports", {**body, "address": "52:54:00:77:00:09", "physical_network": "net2"})
    assert refused.status_code == 409
    assert "which has ports in physical network net1" in fault(refused)["faultstring"]
    ironic.patch("/v1/portgroups/bond0", [{"op": "replace", "path": "/physical_network", "value": "net3"}])
    assert ironic.get(f"/v1/ports/{port['uuid']}").get_json()["physical_network"] == "net3"


def test_an_inspected_node_keeps_its_groups(ironic, database, node):
    make(ironic, node, name="bond0")
    things.change(database, node, provision_state="inspecting")
    change = [{"op": "replace", "path": "/extra", "value": {"a": 1}}]
    assert ironic.patch("/v1/portgroups/bond0", change).status_code == 409
    assert ironic.patch("/v1/portgroups/bond0", change, version="1.38").status_code == 200
