"""What holds for every route of this face: token, version, headers, the shape of a refusal."""

import pytest

from appliance.http.ironic import face
from appliance.http.ironic.versions import MAXIMUM
from tests.fakes import ironic_things as things
from tests.fakes.ironic_client import fault

RANGE = {
    "X-OpenStack-Ironic-API-Minimum-Version": "1.1",
    "X-OpenStack-Ironic-API-Maximum-Version": f"1.{MAXIMUM}",
}


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/"])
def test_the_roots_answer_everybody(strangers, path):
    answer = strangers.get(path, version=None)
    assert answer.status_code == 200
    assert {name: answer.headers[name] for name in RANGE} == RANGE
    assert answer.headers["X-OpenStack-Ironic-API-Version"] == "1.1"
    assert answer.headers["Openstack-Request-Id"] == answer.headers["X-Openstack-Request-Id"]
    assert answer.headers["Openstack-Request-Id"].startswith("req-")


def test_the_first_root_is_for_discovery(strangers):
    body = strangers.get("/").get_json()
    assert body["versions"][0]["id"] == "v1"
    assert body["versions"][0]["status"] == "CURRENT"
    assert (body["versions"][0]["min_version"], body["versions"][0]["version"]) == ("1.1", f"1.{MAXIMUM}")
    assert body["default_version"]["links"][0]["href"].endswith("/baremetal/v1/")


def test_links_are_built_from_names_of_ours_alone(strangers):
    def href(host):
        answer = strangers.get("/v1", headers={"Host": host})
        return answer.get_json()["nodes"][0]["href"]

    assert href("localhost:9999") == "https://localhost:9999/baremetal/v1/nodes/"
    for foreign in ("evil.example", "evil.example:8443", "localhost:0", "localhost:x"):
        assert href(foreign) == "https://127.0.0.1:8443/baremetal/v1/nodes/"


def test_the_second_root_lists_what_the_version_has(strangers):
    for minor in (1, 23, MAXIMUM):
        shown = strangers.get("/v1", version=f"1.{minor}").get_json()
        there = {name for name, since in face.RESOURCES.items() if since <= minor}
        assert there == set(shown) - {"id", "links", "media_types", "version"}


@pytest.mark.parametrize("path", ["", "/v1"])
def test_a_version_that_there_is_not_is_406_with_the_range(strangers, path):
    answer = strangers.get(path, version="1.999")
    assert answer.status_code == 406
    assert "1.999" in fault(answer)["description"]
    assert answer.headers["X-OpenStack-Ironic-API-Maximum-Version"] == f"1.{MAXIMUM}"
    assert "X-OpenStack-Ironic-API-Version" not in answer.headers


def test_no_such_path_has_the_shape_of_this_face(ironic):
    answer = ironic.get("/v1/colours")
    assert answer.status_code == 404
    assert fault(answer)["code"] == 404
    assert answer.headers["X-OpenStack-Ironic-API-Maximum-Version"] == f"1.{MAXIMUM}"
    assert ironic.post("/v1").status_code == 405


def test_every_route_but_the_roots_asks_for_a_token(app, strangers):
    """A new route without one fails here."""
    rules = [rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/baremetal")]
    assert len(rules) >= 4
    for rule in rules:
        path = rule.rule.removeprefix("/baremetal")
        for name in rule.arguments:
            path = path.replace(f"<{name}>", "x").replace(f"<path:{name}>", "x")
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            answer = strangers(method, path)
            is_root = path.rstrip("/") in ("", "/v1")
            assert answer.status_code == (200 if is_root else 401), (method, rule.rule)
            if not is_root:
                assert answer.headers["WWW-Authenticate"].startswith("Keystone uri=")


def test_each_refusal_says_which_version_was_spoken(ironic):
    for answer in (ironic.get("/v1/colours"), ironic.post("/v1"), ironic.get("/v1/nodes/absent")):
        assert answer.headers.getlist("X-OpenStack-Ironic-API-Version") == [f"1.{MAXIMUM}"]


def test_what_came_later_is_refused_in_the_usual_shape(ironic):
    for path, version in (("nodes?owner=x", "1.49"), ("nodes?sort_key=owner", "1.49"), ("nodes/n1/traits", "1.36")):
        answer = ironic.get(f"/v1/{path}", version=version)
        assert answer.status_code == 406
        assert fault(answer)["faultcode"] == "Client"


def test_an_empty_answer_has_no_type_of_content(ironic, database):
    things.node(database)
    for answer, status in (
        (ironic.put("/v1/nodes/n1/maintenance"), 202), (ironic.put("/v1/nodes/n1/traits/CUSTOM_A"), 204),
        (ironic.delete("/v1/nodes/n1"), 204),
    ):  # fmt: skip
        assert (answer.status_code, answer.data) == (status, b"")
        assert "Content-Type" not in answer.headers


ABSENT = "1be26c0b-03f2-4d2e-ae87-c02d7f33c123"
STEP = {"interface": "deploy", "step": "erase_devices_metadata"}


def test_the_field_s_statuses(ironic, database):
    """What a real Ironic answers to each: the differences that clients would notice."""
    things.node(database)
    table = [
        *(("GET", f"/v1/{kind}/x", None, 400) for kind in ("chassis", "volume/targets", "inspection_rules")),
        *(("GET", f"/v1/{kind}/{ABSENT}", None, 404) for kind in ("chassis", "volume/targets", "inspection_rules")),
        *(("GET", f"/v1/{kind}?marker=x", None, 400) for kind in ("chassis", "ports", "allocations", "nodes")),
        ("GET", "/v1/portgroups/a b", None, 400), ("GET", "/v1/allocations/a b", None, 400),
        ("GET", "/v1/nodes/n1?limit=1", None, 400), ("GET", "/v1/nodes/n1?fields=uuid", None, 200),
        ("GET", "/v1/nodes/n1/states?fields=uuid", None, 400), ("GET", f"/v1/nodes?chassis_uuid={ABSENT}", None, 404),
        ("PUT", "/v1/nodes/n1/states/power", {"target": "power on", "x": 1}, 400),
        ("PUT", "/v1/nodes/n1/maintenance", {"x": 1}, 400),
        ("PUT", "/v1/nodes/n1/management/boot_device", {"boot_device": "pxe", "x": 1}, 400),
        ("PUT", "/v1/nodes/n1/states/raid", {"logical_disks": []}, 400),
        ("PUT", "/v1/nodes/n1/states/raid", {"logical_disks": [{"size_gb": "x", "raid_level": "1"}]}, 400),
        ("PUT", "/v1/nodes/n1/states/raid", {"logical_disks": [{"size_gb": 1, "raid_level": "99"}]}, 400),
        ("PUT", "/v1/nodes/n1/states/raid", {"logical_disks": [{"size_gb": 1, "raid_level": "1", "x": 1}]}, 400),
        ("PUT", "/v1/nodes/n1/states/raid", {"logical_disks": [{"size_gb": "MAX", "raid_level": "5+0"}]}, 204),
        ("PUT", "/v1/nodes/n1/states/provision", {"target": "active", "configdrive": []}, 400),
        ("PUT", "/v1/nodes/n1/states/provision", {"target": "active", "deploy_steps": {}}, 400),
        ("PUT", "/v1/nodes/n1/states/provision", {"target": "active", "deploy_steps": [STEP]}, 400),
    ]  # fmt: skip
    for method, path, body, status in table:
        answer = ironic(method, path, body)
        assert answer.status_code == status, (method, path, body, answer.get_data(as_text=True))
    assert ironic.get("/v1/nodes?detail=True", version="1.42").status_code == 400
    old = ironic.post("/v1/nodes", {"driver": "fake-hardware", "name": "N2"}, version="1.9")
    assert old.status_code == 400
    made = ironic.post("/v1/nodes", {"driver": "fake-hardware", "name": "history", "resource_class": ""})
    assert made.status_code == 201
    assert made.get_json()["resource_class"] is None


def test_volumes_of_a_node_that_nobody_uses_go_whatever_its_power(ironic, database):
    node = things.node(database, provision_state="enroll", power_state=None)
    body = {"node_uuid": node, "type": "ip", "connector_id": "c"}
    made = ironic.post("/v1/volume/connectors", body).get_json()
    assert ironic.delete(f"/v1/volume/connectors/{made['uuid']}").status_code == 204


def test_clean_steps_have_no_priority(ironic, database):
    things.node(database, provision_state="manageable")
    body = {"target": "clean", "clean_steps": [{**STEP, "priority": 5}]}
    answer = ironic.put("/v1/nodes/n1/states/provision", body)
    assert answer.status_code == 400
    assert "priority" in fault(answer)["faultstring"]


def test_an_inspection_is_not_written_over(ironic, database):
    things.node(database, provision_state="inspecting")
    patch = [{"op": "replace", "path": "/extra", "value": {"a": 1}}]
    answer = ironic.patch("/v1/nodes/n1", patch)
    assert answer.status_code == 409
    assert 'while it is in state "inspecting"' in fault(answer)["faultstring"]
    assert ironic.patch("/v1/nodes/n1", patch, version="1.38").status_code == 200
