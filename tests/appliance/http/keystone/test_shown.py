"""Groups of endpoints, and what a project's catalogue shows of them."""

import pytest


def kinds(cloud, token):
    entries = cloud.call("GET", "auth/catalog", token=token)[1]["catalog"]
    return {(entry["type"], one["interface"]) for entry in entries for one in entry["endpoints"]}


def test_a_project_is_shown_what_was_chosen_for_it(cloud):
    project = cloud.make("project", name="lab")
    _user, token = cloud.member("bob", project)
    assert len(kinds(cloud, token)) == 9
    services = {one["type"]: one["id"] for one in cloud.call("GET", "services")[1]["services"]}
    body = {"endpoint_group": {"name": "public", "filters": {"interface": "public"}}}
    status, made = cloud.call("POST", "OS-EP-FILTER/endpoint_groups", body)
    group = made["endpoint_group"]
    assert (status, group["filters"], group["description"]) == (201, {"interface": "public"}, None)
    path = f"OS-EP-FILTER/endpoint_groups/{group['id']}"
    pair = f"{path}/projects/{project['id']}"
    assert cloud.call("GET", pair)[0] == 404
    assert cloud.call("PUT", pair)[0] == 204
    assert cloud.call("GET", pair)[0] == 204
    assert kinds(cloud, token) == {("identity", "public"), ("baremetal", "public"), ("image", "public")}
    filters = {"interface": "public", "service_id": services["image"]}
    assert cloud.call("PATCH", path, {"endpoint_group": {"filters": filters}})[0] == 200
    status, told = cloud.call("PATCH", path, {"endpoint_group": {"name": None, "description": "x"}})
    assert (status, told["endpoint_group"]["name"], told["endpoint_group"]["description"]) == (200, "public", "x")
    assert kinds(cloud, token) == {("image", "public")}
    (endpoint,) = cloud.call("GET", f"{path}/endpoints")[1]["endpoints"]
    assert [one["name"] for one in cloud.call("GET", f"{path}/projects")[1]["projects"]] == ["lab"]
    of_project = f"OS-EP-FILTER/projects/{project['id']}"
    assert [one["id"] for one in cloud.call("GET", f"{of_project}/endpoints")[1]["endpoints"]] == [endpoint["id"]]
    assert len(cloud.call("GET", f"{of_project}/endpoint_groups")[1]["endpoint_groups"]) == 1
    assert cloud.call("DELETE", pair)[0] == 204
    assert cloud.call("DELETE", pair)[0] == 404
    assert cloud.call("PUT", f"{of_project}/endpoints/{endpoint['id']}")[0] == 204
    assert kinds(cloud, token) == {("image", "public")}
    assert len(cloud.call("GET", f"OS-EP-FILTER/endpoints/{endpoint['id']}/projects")[1]["projects"]) == 1
    assert cloud.call("DELETE", path)[0] == 204
    assert cloud.call("GET", path)[0] == 404


@pytest.mark.parametrize("filters", [None, [], {"interface": "secret"}, {"colour": "red"}, {"service_id": 5}])
def test_groups_that_cannot_be(cloud, filters):
    body = {"endpoint_group": {"name": "g", "filters": filters}}
    assert cloud.call("POST", "OS-EP-FILTER/endpoint_groups", body)[0] == 400
