"""What lies in a namespace of metadata definitions, each at an address of its own."""

import pytest

from appliance.services import metadef_parts
from tests.appliance.http.glance.test_metadefs import DATES, DISK, ROOT, make

NS = f"{ROOT}/ns"


@pytest.fixture
def ns(admin):
    make(admin, visibility="public")
    return admin


def test_objects(ns, blue):
    made = ns("POST", f"{NS}/objects", json={"name": "cpu"})
    shown = {"name": "cpu", "required": [], "properties": {}, "self": f"{NS}/objects/cpu",
             "schema": "/v2/schemas/metadefs/object", **DATES}  # fmt: skip
    assert (made.status_code, made.json) == (201, shown)
    assert blue("GET", f"{NS}/objects/cpu").json == shown
    body = {"name": "CPUs", "description": "d", "properties": {"bus": DISK}, "required": ["bus"]}
    changed = ns("PUT", f"{NS}/objects/cpu", json=body)
    assert (changed.status_code, changed.json) == (200, shown | body | {"self": f"{NS}/objects/CPUs"})
    assert ns("GET", f"{NS}/objects/cpu").status_code == 404
    ns("POST", f"{NS}/objects", json={"name": "ram"})
    assert ns("POST", f"{NS}/objects", json={"name": "ram"}).status_code == 409
    assert ns("PUT", f"{NS}/objects/ram", json={"name": "CPUs"}).status_code == 409
    assert ns("PUT", f"{NS}/objects/ram", json={}).status_code == 400
    listed = [item["name"] for item in blue("GET", f"{NS}/objects").json["objects"]]
    assert listed == ["ram", "CPUs"]
    assert ns("DELETE", f"{NS}/objects/ram").status_code == 204
    assert ns("DELETE", f"{NS}/objects/ram").status_code == 404
    assert ns("DELETE", f"{NS}/objects").status_code == 204
    assert ns("GET", f"{NS}/objects").json == {"objects": [], "schema": "v2/schemas/metadefs/objects"}


def test_properties(ns, blue):
    made = ns("POST", f"{NS}/properties", json=DISK | {"name": "bus"})
    assert (made.status_code, made.json) == (201, DISK | {"name": "bus"})
    assert blue("GET", f"{NS}/properties").json == {"properties": {"bus": DISK}}
    changed = ns("PUT", f"{NS}/properties/bus", json={"name": "bus2", "title": "T", "type": "integer", "minimum": 1.5})
    assert changed.json == {"name": "bus2", "title": "T", "type": "integer", "minimum": 1.5}
    assert ns("PUT", f"{NS}/properties/bus", json=DISK | {"name": "bus"}).status_code == 404
    ns("POST", f"{NS}/resource_types", json={"name": "T", "prefix": "hw_"})
    assert blue("GET", f"{NS}/properties/hw_bus2?resource_type=T").json == changed.json
    for path in ("bus2?resource_type=T", "hw_bus2?resource_type=U", "hw_none?resource_type=T", "none", "%00", "n" * 81):
        assert blue("GET", f"{NS}/properties/{path}").status_code == 404, path
    for wrong in ({"type": "text"}, {"minLength": -1}, {"minLength": True}, {"enum": "x"}, {"minimum": "1"},
                  {"items": {"x": 1}}, {"pattern": "x" * 4097}, {"operators": [1]}, {"title": None},
                  {"x": 1}, {"enum": [1] * 501}):  # fmt: skip
        assert ns("POST", f"{NS}/properties", json=DISK | {"name": "w"} | wrong).status_code == 400, wrong
    assert ns("POST", f"{NS}/properties", json=DISK).status_code == 400
    assert ns("DELETE", f"{NS}/properties/bus2").status_code == 204
    assert ns("DELETE", f"{NS}/properties").status_code == 204
    assert ns("GET", f"{NS}/properties").json == {"properties": {}}


def tags(client, query=""):
    return [item["name"] for item in client("GET", f"{NS}/tags{query}").json["tags"]]


def test_tags(ns, blue):
    made = ns("POST", f"{NS}/tags/one")
    assert (made.status_code, made.json) == (201, {"name": "one", **DATES})
    assert ns("POST", f"{NS}/tags/one").status_code == 409
    many = {"tags": [{"name": "two"}, {"name": "three"}]}
    answer = ns("POST", f"{NS}/tags", json=many)
    assert (answer.status_code, answer.json) == (201, many)
    assert sorted(tags(blue)) == ["three", "two"]
    append = {"X-Openstack-Append": "True"}
    assert ns("POST", f"{NS}/tags", json=many, headers=append).status_code == 409
    assert ns("POST", f"{NS}/tags", json={"tags": [{"name": "four"}]}, headers=append).status_code == 201
    assert tags(blue, "?sort_key=name&sort_dir=asc") == ["four", "three", "two"]
    assert tags(blue, "?sort_key=name&sort_dir=asc&limit=1&marker=four") == ["three"]
    assert blue("GET", f"{NS}/tags?marker=none").status_code == 404
    assert ns("PUT", f"{NS}/tags/four", json={"name": "4"}).json["name"] == "4"
    assert ns("PUT", f"{NS}/tags/4", json={"name": "two"}).status_code == 409
    assert blue("GET", f"{NS}/tags/4").json == {"name": "4", **DATES}
    assert ns("POST", f"{NS}/tags/{'n' * 81}").status_code == 400
    assert ns("POST", f"{NS}/tags", json={"tags": "x"}).status_code == 400
    assert ns("DELETE", f"{NS}/tags/4").status_code == 204
    assert ns("DELETE", f"{NS}/tags").status_code == 204
    assert tags(blue) == []


def test_resource_types(ns, blue):
    body = {"name": "T", "prefix": "hw_", "properties_target": "image"}
    made = ns("POST", f"{NS}/resource_types", json=body)
    assert (made.status_code, made.json) == (201, body | DATES)
    assert ns("POST", f"{NS}/resource_types", json=body).status_code == 409
    assert blue("GET", f"{NS}/resource_types").json == {"resource_type_associations": [body | DATES]}
    assert ns("DELETE", f"{NS}/resource_types/U").status_code == 404
    assert ns("DELETE", f"{NS}/resource_types/T").status_code == 204
    assert blue("GET", f"{NS}/resource_types").json == {"resource_type_associations": []}
    assert blue("GET", "/v2/metadefs/resource_types").json == {"resource_types": [{"name": "T", **DATES}]}


def test_kinds_of_things_that_nobody_uses_make_way(ns, monkeypatch):
    monkeypatch.setattr(metadef_parts, "MOST_RESOURCE_TYPES", 2)
    for name in ("A", "B"):
        ns("POST", f"{NS}/resource_types", json={"name": name})
    assert ns("POST", f"{NS}/resource_types", json={"name": "C"}).status_code == 413
    ns("DELETE", f"{NS}/resource_types/A")
    assert ns("POST", f"{NS}/resource_types", json={"name": "C"}).status_code == 201
    assert [item["name"] for item in ns("GET", "/v2/metadefs/resource_types").json["resource_types"]] == ["B", "C"]


def test_a_namespace_is_not_filled_without_end(ns, monkeypatch):
    monkeypatch.setattr(metadef_parts, "MOST_PARTS", 2)
    for name in ("a", "b"):
        assert ns("POST", f"{NS}/tags/{name}").status_code == 201
        assert ns("POST", f"{NS}/resource_types", json={"name": name}).status_code == 201
    assert ns("POST", f"{NS}/tags/c").status_code == 413
    assert ns("POST", f"{NS}/resource_types", json={"name": "c"}).status_code == 413
    large = {"a": DISK | {"enum": ["x" * 33000]}}
    assert ns("POST", f"{NS}/objects", json={"name": "o", "properties": large}).status_code == 413
