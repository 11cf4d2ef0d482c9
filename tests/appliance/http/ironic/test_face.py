"""What holds for every route of this face: token, version, headers, the shape of a refusal."""

import pytest

from appliance.http.ironic import face
from appliance.http.ironic.versions import MAXIMUM
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
