"""What clients find out before they begin, and how refusals look."""

import pytest

from appliance.models.image import ImageTask
from tests.appliance.http.glance.conftest import AUDITOR, Client


@pytest.mark.parametrize(("path", "status"), [("", 300), ("/", 300), ("/versions", 200), ("/v2", 200), ("/v2/", 200)])
def test_versions_are_for_everybody(app, path, status):
    answer = app.test_client().get(f"/image{path}", base_url="https://localhost:8443")
    listed = answer.json["versions"]
    assert (answer.status_code, listed[0]["id"], listed[0]["status"]) == (status, "v2.15", "CURRENT")
    assert {item["links"][0]["href"] for item in listed} == {"https://localhost:8443/image/v2/"}
    assert not {"v2.14", "v2.16", "v2.17"} & {item["id"] for item in listed}


def test_discovery(app, admin, blue):
    assert blue("GET", "/v2/info/import").json["import-methods"]["value"] == ["glance-direct", "web-download"]
    assert [store["id"] for store in blue("GET", "/v2/info/stores").json["stores"]] == ["local"]
    assert admin("GET", "/v2/info/stores/detail").json["stores"][0]["type"] == "file"
    assert blue("GET", "/v2/info/stores/detail").status_code == 403
    blue.active(b"x" * (1 << 20))
    assert blue("GET", "/v2/info/usage").json["usage"] == {
        "image_count_total": {"usage": 1, "limit": -1},
        "image_count_uploading": {"usage": 0, "limit": -1},
        "image_size_total": {"usage": 1, "limit": -1},
        "image_stage_total": {"usage": 0, "limit": -1},
    }


@pytest.mark.parametrize("name", ["image", "images", "member", "members", "task", "tasks"])
def test_schemas(blue, name):
    assert blue("GET", f"/v2/schemas/{name}").json["name"] == name


def test_the_schema_of_an_image_names_all_that_is_shown(blue):
    shown = set(blue.show(blue.active()))
    properties = blue("GET", "/v2/schemas/image").json["properties"]
    assert shown <= set(properties)
    assert blue("GET", "/v2/schemas/metadefs").status_code == 404


def test_what_lies_in_one_store_stays_there(blue, red):
    uuid = blue.active()
    assert blue("DELETE", f"/v2/stores/local/{uuid}").status_code == 403
    assert blue("DELETE", f"/v2/stores/ceph/{uuid}").status_code == 404
    assert red("DELETE", f"/v2/stores/local/{uuid}").status_code == 404


@pytest.mark.parametrize(("key", "order"), [("created_at", "bac"), ("type", "bac"), ("id", "abc"), ("status", "cba")])
def test_tasks_are_sorted_and_paged(app, appliance, key, order):
    times = {"created_at": appliance.clock(), "updated_at": appliance.clock()}
    with appliance.database.write() as session:
        for letter, status in (("b", "processing"), ("a", "success"), ("c", "failure")):
            row = ImageTask(uuid=letter, status=status, image_uuid="x", request_id="r", asked={}, **times)
            session.add(row)
            session.flush()
    eve = Client(app, AUDITOR)
    for way in (1, -1):
        line = f"/v2/tasks?sort_key={key}&sort_dir={'asc' if way == 1 else 'desc'}&limit=1"
        found, marker = "", ""
        while one := eve("GET", line + marker).json["tasks"]:
            found += one[0]["id"]
            marker = f"&marker={one[0]['id']}"
        assert found == order[::way]


def test_tasks_are_for_those_who_see_all(app, blue):
    assert blue("GET", "/v2/tasks").status_code == 403
    eve = Client(app, AUDITOR)
    assert eve("GET", "/v2/tasks").json == {"tasks": [], "first": "/v2/tasks", "schema": "/v2/schemas/tasks"}
    assert eve("GET", "/v2/tasks/none").status_code == 404
    for query in ("status=x", "sort_key=owner", "sort_dir=x", "limit=x", "marker=x"):
        assert eve("GET", f"/v2/tasks?{query}").status_code == 400
    assert eve("POST", "/v2/tasks", json={}).status_code == 405


@pytest.mark.parametrize(
    ("accept", "kind", "begins"),
    [
        ("application/json", "application/json", '{"message":"No image found with ID <none>"'),
        ("text/html", "text/html", "<html>\n <head>\n  <title>404 Not Found</title>"),
        ("*/*", "text/html", "<html>"),
        ("", "text/html", "<html>"),
        ("text/plain", "text/plain", "404 Not Found\n\nNo image found with ID <none>"),
    ],
)
def test_refusals_in_the_form_that_the_caller_takes(blue, accept, kind, begins):
    answer = blue("GET", "/v2/images/<none>", headers={"Accept": accept})
    assert (answer.status_code, answer.mimetype) == (404, kind)
    assert answer.text.startswith(begins)
    assert kind != "text/html" or "&lt;none&gt;" in answer.text
    assert answer.headers["X-Openstack-Request-Id"].startswith("req-")


def test_a_quoted_word_is_quoted_as_the_client_shows_it(blue):
    """The clients take the tags away and show the rest as it stands."""
    answer = blue("POST", "/v2/images", json={"os_hash_algo": "md5"}, headers={"Accept": "*/*"})
    assert "Attribute 'os_hash_algo' is read-only." in answer.text


@pytest.mark.parametrize(("method", "path", "status"), [
    ("GET", "/v3", 404), ("GET", "/v2/images/", 404), ("GET", "/v2//images", 404), ("POST", "/v2", 405),
    ("GET", "/v2/metadefs", 404), ("GET", "/v2/cache", 404), ("DELETE", "/v2/images", 405),
])  # fmt: skip
def test_paths_that_are_none(blue, method, path, status):
    answer = blue(method, path)
    assert (answer.status_code, "code" in answer.json) == (status, True)
