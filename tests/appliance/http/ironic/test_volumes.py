"""/v1/volume: connectors and targets, which change while the machine is off, and whose secrets stay inside."""

import pytest

from appliance.domain.access import Role
from tests.fakes import ironic_things as things
from tests.fakes.ironic_client import fault

CONNECTOR = {"type": "iqn", "connector_id": "iqn.2026-11.net.example:n1"}
TARGET = {"volume_type": "iscsi", "volume_id": "v1", "boot_index": 0}


@pytest.fixture
def node(database):
    return things.node(database)


def make(ironic, node, what="targets", **values):
    base = TARGET if what == "targets" else CONNECTOR
    answer = ironic.post(f"/v1/volume/{what}", {"node_uuid": node, **base, **values})
    assert answer.status_code == 201, answer.get_json()
    return answer.get_json()


def test_both_are_made_shown_listed_changed_and_go(ironic, node):
    for what, change in (("connectors", {"connector_id": "other"}), ("targets", {"boot_index": 3})):
        one = make(ironic, node, what)
        path = f"/v1/volume/{what}/{one['uuid']}"
        assert ironic.get(path).get_json() == one
        assert ironic.get(f"/v1/nodes/n1/volume/{what}").get_json()[what][0]["uuid"] == one["uuid"]
        assert ironic.get(f"/v1/volume/{what}?node=n1&detail=True").get_json()[what] == [one]
        ((name, value),) = change.items()
        changed = ironic.patch(path, [{"op": "replace", "path": f"/{name}", "value": value}]).get_json()
        assert changed[name] == value
        assert ironic.delete(path).status_code == 204
        assert ironic.get(path).status_code == 404


def test_the_root_leads_to_both(ironic, node):
    assert set(ironic.get("/v1/volume").get_json()) == {"links", "connectors", "targets"}
    assert set(ironic.get("/v1/nodes/n1/volume").get_json()) == {"links", "connectors", "targets"}
    assert ironic.get("/v1/volume/targets", version="1.31").status_code == 404


def test_a_running_machine_keeps_its_volumes(ironic, database, node):
    target = make(ironic, node)
    things.change(database, node, power_state="power on")
    path = f"/v1/volume/targets/{target['uuid']}"
    answer = ironic.patch(path, [{"op": "replace", "path": "/boot_index", "value": 2}])
    assert answer.status_code == 400
    assert 'while it is in state "power on"' in fault(answer)["faultstring"]
    assert ironic.delete(path).status_code == 400


@pytest.mark.parametrize(
    ("what", "changes", "refusal"),
    [
        ("connectors", {"type": "colour"}, (400, "not one of")), ("connectors", {"connector_id": 5}, (400, "string")),
        ("connectors", {}, (409, "already exists")), ("targets", {"volume_id": "v2"}, (409, "boot index '0'")),
        ("targets", {"boot_index": "1"}, (400, "boot_index")),
        ("targets", {"boot_index": 1, "properties": []}, (400, "object")),
        ("targets", {"boot_index": 1, "properties": {"auth_password": "******"}}, (400, "mask")),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(ironic, node, what, changes, refusal):
    make(ironic, node, what)
    base = TARGET if what == "targets" else CONNECTOR
    answer = ironic.post(f"/v1/volume/{what}", {"node_uuid": node, **base, **changes})
    status, said = refusal
    assert answer.status_code == status
    assert said in fault(answer)["faultstring"]


def test_a_secret_of_a_target_stays_inside(ironic, node):
    made = make(ironic, node, properties={"auth_password": "canary", "target_iqn": "iqn.x"})
    assert made["properties"] == {"auth_password": "******", "target_iqn": "iqn.x"}
    path = f"/v1/volume/targets/{made['uuid']}"
    answer = ironic.patch(path, [{"op": "replace", "path": "/properties/target_iqn", "value": "iqn.y"}])
    assert answer.get_json()["properties"] == {"auth_password": "******", "target_iqn": "iqn.y"}
    everything = ironic.get(path).data + ironic.get("/v1/volume/targets?detail=True").data
    assert b"canary" not in everything


def test_projects_see_the_volumes_of_their_nodes(appliance, ironic, client_for, database):
    token, project = appliance.project_token(Role.READER)
    client = client_for(token)
    mine, foreign = things.node(database, "mine", owner=project), things.node(database, "foreign")
    seen, hidden = make(ironic, mine), make(ironic, foreign)
    assert [one["uuid"] for one in client.get("/v1/volume/targets").get_json()["targets"]] == [seen["uuid"]]
    assert client.get(f"/v1/volume/targets/{hidden['uuid']}").status_code == 404
    assert client.delete(f"/v1/volume/targets/{seen['uuid']}").status_code == 403
    assert client.post("/v1/volume/connectors", {"node_uuid": mine, **CONNECTOR}).status_code == 403


THINGS = {
    "volume/targets": TARGET | {"properties": {"auth_password": "secret"}}, "volume/connectors": CONNECTOR,
    "ports": {"address": "02:00:00:00:00:07"}, "portgroups": {},
}  # fmt: skip


@pytest.mark.parametrize("kind", THINGS)
def test_who_borrows_a_node_carries_nothing_off(appliance, ironic, client_for, database, kind):
    """Nor does an administrator move what one project owns to a node of another."""
    token, project = appliance.project_token(Role.ADMIN)
    things.node(database, "lent", owner="other", lessee=project)
    mine, own = (things.node(database, name, owner=project, provision_state="enroll") for name in ("mine", "own"))
    lent = ironic.get("/v1/nodes/lent").get_json()["uuid"]
    thing = ironic.post(f"/v1/{kind}", {"node_uuid": lent, **THINGS[kind]}).get_json()["uuid"]
    move = [{"op": "replace", "path": "/node_uuid", "value": mine}]
    assert client_for(token).patch(f"/v1/{kind}/{thing}", move).status_code in (400, 403)
    refused = ironic.patch(f"/v1/{kind}/{thing}", move)
    assert refused.status_code == 400
    said = f"Unable to apply the requested node_uuid '{mine}'. Requested value was invalid."
    assert fault(refused)["faultstring"] == said
    assert ironic.get(f"/v1/{kind}/{thing}").get_json()["node_uuid"] == lent
    ironic.delete(f"/v1/{kind}/{thing}")
    thing = ironic.post(f"/v1/{kind}", {"node_uuid": own, **THINGS[kind]}).get_json()["uuid"]
    assert client_for(token).patch(f"/v1/{kind}/{thing}", move).get_json()["node_uuid"] == mine
