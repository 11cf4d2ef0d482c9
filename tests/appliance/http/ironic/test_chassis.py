"""/v1/chassis."""

from appliance.domain.access import Role
from tests.fakes import ironic_things as things


def test_a_chassis_is_made_shown_changed_and_goes(ironic):
    made = ironic.post("/v1/chassis", {"description": "left", "extra": {"a": 1}})
    assert made.status_code == 201
    chassis = made.get_json()
    path = f"/v1/chassis/{chassis['uuid']}"
    assert ironic.get(path).get_json() == chassis
    assert chassis["nodes"][0]["href"].endswith(f"/chassis/{chassis['uuid']}/nodes")
    listed = ironic.get("/v1/chassis").get_json()["chassis"]
    assert [set(one) for one in listed] == [{"uuid", "description", "links"}]
    assert ironic.get("/v1/chassis/detail").get_json()["chassis"] == [chassis]
    patch = [{"op": "replace", "path": "/description", "value": "right"}]
    assert ironic.patch(path, patch).get_json()["description"] == "right"
    assert ironic.post("/v1/chassis", {"uuid": chassis["uuid"]}).status_code == 409
    assert ironic.delete(path).status_code == 204
    assert ironic.get(path).status_code == 404


def test_a_chassis_with_nodes_stays(ironic, database):
    chassis = ironic.post("/v1/chassis", {}).get_json()
    node = things.node(database)
    patch = [{"op": "add", "path": "/chassis_uuid", "value": chassis["uuid"]}]
    assert ironic.patch(f"/v1/nodes/{node}", patch).status_code == 200
    nodes = ironic.get(f"/v1/chassis/{chassis['uuid']}/nodes").get_json()["nodes"]
    assert [one["uuid"] for one in nodes] == [node]
    assert ironic.get(f"/v1/chassis/{chassis['uuid']}/nodes/detail").status_code == 200
    assert ironic.get("/v1/chassis/1be26c0b-03f2-4d2e-ae87-c02d7f33c123/nodes").status_code == 404
    assert ironic.delete(f"/v1/chassis/{chassis['uuid']}").status_code == 400


def test_chassis_are_the_systems(appliance, client_for):
    client = client_for(appliance.project_token(Role.ADMIN)[0])
    assert client.get("/v1/chassis").status_code == 403
    assert client.post("/v1/chassis", {}).status_code == 403
    reader = client_for(appliance.token(Role.READER))
    assert reader.get("/v1/chassis").status_code == 200
    assert reader.post("/v1/chassis", {}).status_code == 403
