"""Regions, services and endpoints: what an operator adds, and what is the appliance's own."""

import pytest


def ours(cloud):
    return {one["type"]: one for one in cloud.call("GET", "services")[1]["services"]}


def test_our_own_are_there_and_stay(cloud):
    services = ours(cloud)
    assert {kind: one["name"] for kind, one in services.items()} == {
        "identity": "keystone", "baremetal": "ironic", "image": "glance",
    }  # fmt: skip
    endpoints = cloud.call("GET", "endpoints")[1]["endpoints"]
    assert len(endpoints) == 9
    assert {one["region"] for one in endpoints} == {"RegionOne"}
    urls = {one["url"] for one in endpoints if one["service_id"] == services["identity"]["id"]}
    assert urls == {"https://localhost:8443/identity/v3"}
    path = f"services/{services['image']['id']}"
    assert cloud.call("DELETE", path)[0] == 403
    assert cloud.call("PATCH", path, {"service": {"enabled": False}})[0] == 403
    assert cloud.call("PATCH", path, {"service": {"description": "images"}})[0] == 200
    assert cloud.call("DELETE", f"endpoints/{endpoints[0]['id']}")[0] == 403
    assert cloud.call("PATCH", f"endpoints/{endpoints[0]['id']}", {"endpoint": {"url": "https://x.example"}})[0] == 403


def test_what_an_operator_adds_is_in_the_catalogue(cloud):
    service = cloud.make("service", name="swift", type="object-store", description="objects")
    url = "https://objects.example/v1/AUTH_%(project_id)s"
    endpoint = cloud.make("endpoint", service_id=service["id"], interface="public", url=url, region="RegionOne")
    assert (endpoint["region_id"], endpoint["enabled"]) == ("RegionOne", True)
    project = cloud.make("project", name="lab")
    user, token = cloud.member("bob", project)
    entries = {one["type"]: one for one in cloud.call("GET", "auth/catalog", token=token)[1]["catalog"]}
    assert entries["object-store"]["endpoints"][0]["url"] == f"https://objects.example/v1/AUTH_{project['id']}"
    cloud.give("system", user, "reader")
    system = cloud.log_in(user, {"system": {"all": True}})
    entries = {one["type"]: one for one in cloud.call("GET", "auth/catalog", token=system)[1]["catalog"]}
    assert entries["object-store"]["endpoints"] == []
    path = f"endpoints/{endpoint['id']}"
    assert cloud.call("PATCH", path, {"endpoint": {"enabled": False}})[0] == 200
    entries = {one["type"]: one for one in cloud.call("GET", "auth/catalog", token=token)[1]["catalog"]}
    assert entries["object-store"]["endpoints"] == []
    assert len(cloud.call("GET", f"endpoints?service_id={service['id']}&interface=public")[1]["endpoints"]) == 1
    assert cloud.call("DELETE", f"services/{service['id']}")[0] == 204
    assert cloud.call("GET", path)[0] == 404


@pytest.mark.parametrize(
    "values",
    [
        {"interface": "secret"},
        {"interface": None},
        {"url": "not a url"},
        {"url": "/path"},
        {"url": ""},
        {"service_id": "x"},
        {"region_id": "nowhere"},
        {"enabled": 1},
    ],
)
def test_endpoints_that_cannot_be(cloud, values):
    good = {"service_id": ours(cloud)["image"]["id"], "interface": "public", "url": "https://x.example"}
    assert cloud.call("POST", "endpoints", {"endpoint": good | values})[0] == 400


def test_regions_are_a_tree(cloud):
    top = cloud.make("region", id="North", description="cold")
    low = cloud.call("PUT", "regions/Pole", {"region": {"parent_region_id": "North"}})
    assert (low[0], low[1]["region"]["parent_region_id"]) == (201, "North")
    assert cloud.call("POST", "regions", {"region": {"id": "North"}})[0] == 409
    assert cloud.call("PATCH", "regions/North", {"region": {"parent_region_id": "Pole"}})[0] == 400
    assert cloud.call("POST", "regions", {"region": {"id": "x", "parent_region_id": "nowhere"}})[0] == 404
    assert cloud.call("DELETE", f"regions/{top['id']}")[0] == 403
    assert cloud.call("DELETE", "regions/Pole")[0] == 204
    assert cloud.call("DELETE", "regions/North")[0] == 204
    assert cloud.call("DELETE", "regions/RegionOne")[0] == 403


@pytest.mark.parametrize("values", [{}, {"type": ""}, {"type": 5}, {"type": "x", "enabled": "yes"}])
def test_services_that_cannot_be(cloud, values):
    assert cloud.call("POST", "services", {"service": values})[0] == 400
