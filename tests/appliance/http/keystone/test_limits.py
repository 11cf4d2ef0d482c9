"""Limits that the appliance keeps for services that ask."""

import pytest


@pytest.fixture
def service(cloud):
    return cloud.make("service", name="s", type="storage")


def register(cloud, service, **values):
    one = {"service_id": service["id"], "resource_name": "volumes", "default_limit": 10} | values
    status, body = cloud.call("POST", "registered_limits", {"registered_limits": [one]})
    return status, body["registered_limits"][0] if status == 201 else body


def limit(cloud, service, **values):
    one = {"service_id": service["id"], "resource_name": "volumes", "resource_limit": 5} | values
    status, body = cloud.call("POST", "limits", {"limits": [one]})
    return status, body["limits"][0] if status == 201 else body


def test_a_limit_goes_by_a_registered_one(cloud, service):
    project, other = cloud.make("project", name="lab"), cloud.make("project", name="other")
    assert limit(cloud, service, project_id=project["id"])[0] == 403
    status, registered = register(cloud, service)
    assert (status, registered["default_limit"], registered["region_id"]) == (201, 10, None)
    assert register(cloud, service)[0] == 409
    status, own = limit(cloud, service, project_id=project["id"])
    assert (status, own["resource_limit"], own["domain_id"]) == (201, 5, None)
    assert limit(cloud, service, project_id=project["id"])[0] == 409
    assert limit(cloud, service, domain_id="default")[0] == 201
    assert limit(cloud, service)[0] == limit(cloud, service, project_id=project["id"], domain_id="default")[0] == 400
    path = f"limits/{own['id']}"
    assert cloud.call("PATCH", path, {"limit": {"resource_limit": -1}})[1]["limit"]["resource_limit"] == -1
    assert cloud.call("PATCH", path, {"limit": {"project_id": other["id"]}})[0] == 400
    _user, tenant = cloud.member("bob", project)
    _user, stranger = cloud.member("eve", other)
    assert len(cloud.call("GET", "limits")[1]["limits"]) == 2
    assert [one["id"] for one in cloud.call("GET", "limits", token=tenant)[1]["limits"]] == [own["id"]]
    assert cloud.call("GET", "limits", token=stranger)[1]["limits"] == []
    assert cloud.call("GET", path, token=stranger)[0] == 403
    assert len(cloud.call("GET", "registered_limits", token=stranger)[1]["registered_limits"]) == 1
    assert cloud.call("POST", "registered_limits", {"registered_limits": []}, token=tenant)[0] == 403
    assert cloud.call("DELETE", f"registered_limits/{registered['id']}")[0] == 403
    for one in cloud.call("GET", "limits")[1]["limits"]:
        assert cloud.call("DELETE", f"limits/{one['id']}")[0] == 204
    path = f"registered_limits/{registered['id']}"
    changed = cloud.call("PATCH", path, {"registered_limit": {"description": "disks", "default_limit": 3}})[1]
    assert (changed["registered_limit"]["description"], changed["registered_limit"]["default_limit"]) == ("disks", 3)
    assert cloud.call("DELETE", path)[0] == 204
    assert cloud.call("GET", path)[0] == 404
    assert cloud.call("GET", "limits/model")[1]["model"]["name"] == "flat"


@pytest.mark.parametrize(
    "values",
    [
        {"default_limit": "many"},
        {"default_limit": -2},
        {"default_limit": 2**31},
        {"default_limit": True},
        {"resource_name": ""},
        {"resource_name": None},
        {"service_id": "x"},
        {"region_id": "nowhere"},
        {"description": 5},
        {"nonsense": 1},
    ],
)
def test_limits_that_cannot_be(cloud, service, values):
    assert register(cloud, service, **values)[0] == 400


def test_a_registered_limit_outlives_its_service(cloud, service):
    """As clients expect who delete both, the service first."""
    registered = register(cloud, service)[1]
    other = cloud.make("service", name="o", type="other")
    path = f"registered_limits/{registered['id']}"
    moved = {"registered_limit": {"service_id": other["id"]}}
    assert cloud.call("PATCH", path, moved)[1]["registered_limit"]["service_id"] == other["id"]
    assert cloud.call("DELETE", f"services/{other['id']}")[0] == 204
    assert cloud.call("GET", path)[1]["registered_limit"]["service_id"] == other["id"]
    assert cloud.call("PATCH", path, {"registered_limit": {"default_limit": 3}})[0] == 200
    assert cloud.call("DELETE", path)[0] == 204


def test_limits_go_with_their_project_and_domain(cloud, service):
    project, domain = cloud.make("project", name="lab"), cloud.make("domain", name="acme", enabled=False)
    inside = cloud.make("project", name="inside", domain_id=domain["id"])
    register(cloud, service)
    for place in ({"project_id": project["id"]}, {"domain_id": domain["id"]}, {"project_id": inside["id"]}):
        assert limit(cloud, service, **place)[0] == 201
    assert cloud.call("DELETE", f"projects/{project['id']}")[0] == 204
    assert cloud.call("DELETE", f"domains/{domain['id']}")[0] == 204
    assert cloud.call("GET", "limits")[1]["limits"] == []


def test_lists_are_filtered_paged_and_bounded_by_the_scope(cloud, service):
    domain = cloud.make("domain", name="acme")
    register(cloud, service)
    register(cloud, service, resource_name="disks")
    limit(cloud, service, domain_id=domain["id"])
    limit(cloud, service, domain_id="default")
    boss = cloud.user("boss", domain_id=domain["id"])
    cloud.give(f"domains/{domain['id']}", boss, "reader")
    token = cloud.log_in(boss, {"domain": {"id": domain["id"]}})
    assert [one["domain_id"] for one in cloud.call("GET", "limits", token=token)[1]["limits"]] == [domain["id"]]
    assert len(cloud.call("GET", "registered_limits?resource_name=disks")[1]["registered_limits"]) == 1
    assert cloud.call("GET", "registered_limits?service_id=x")[1]["registered_limits"] == []
    first = cloud.call("GET", "registered_limits?limit=1")[1]
    assert [one["resource_name"] for one in first["registered_limits"]] == ["disks"]
    assert f"marker={first['registered_limits'][0]['id']}" in first["links"]["next"]
