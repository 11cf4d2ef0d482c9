"""Namespaces of metadata definitions: who may make, see and change them, and how lists are paged."""

import pytest

from tests.appliance.http.glance.conftest import AUDITOR, NOBODY, SYSTEM, Client

ROOT = "/v2/metadefs/namespaces"
DATES = {"created_at": "2026-11-21T12:00:00Z", "updated_at": "2026-11-21T12:00:00Z"}
DISK = {"title": "Disk bus", "type": "string", "enum": ["ide", "scsi"], "default": "scsi"}


def make(client, name="ns", **fields):
    answer = client("POST", ROOT, json={"namespace": name} | fields)
    assert answer.status_code == 201, answer.text
    return answer


def names(client, query=""):
    answer = client("GET", f"{ROOT}{query}")
    assert answer.status_code == 200, answer.text
    return [item["namespace"] for item in answer.json["namespaces"]]


def test_a_namespace_from_end_to_end(admin):
    made = make(admin, "OS::Lab::Disk", display_name="Disks")
    assert made.headers["Location"].endswith("/image/v2/metadefs/namespaces/OS::Lab::Disk")
    expected = {
        "namespace": "OS::Lab::Disk", "display_name": "Disks", "visibility": "private", "protected": False,
        "owner": "p-admin", "self": f"{ROOT}/OS::Lab::Disk", "schema": "/v2/schemas/metadefs/namespace", **DATES,
    }  # fmt: skip
    path = f"{ROOT}/OS::Lab::Disk"
    assert made.json == admin("GET", path).json == expected
    put = admin("PUT", path, json={"namespace": "disks", "description": "d", "visibility": "public", "owner": "p-red"})
    assert put.status_code == 200
    changed = {"namespace": "disks", "description": "d", "visibility": "public", "owner": "p-red",
               "self": f"{ROOT}/disks"}  # fmt: skip
    assert put.json == {key: value for key, value in expected.items() if key != "display_name"} | changed
    assert admin("GET", path).status_code == 404
    again = admin("PUT", f"{ROOT}/disks", json={"namespace": "disks"}).json
    assert (again["visibility"], again["owner"], "description" in again) == ("private", "p-admin", False)
    assert admin("DELETE", f"{ROOT}/disks").status_code == 204
    assert admin("GET", f"{ROOT}/disks").status_code == 404


def test_a_namespace_with_all_that_lies_in_it(admin):
    given = {
        "resource_type_associations": [{"name": "OS::Glance::Image", "prefix": "hw_", "properties_target": "image"}],
        "properties": {"disk_bus": DISK},
        "objects": [{"name": "cpu", "required": ["cores"], "properties": {"cores": {"title": "C", "type": "integer"}}}],
        "tags": [{"name": "fast"}],
    }  # fmt: skip
    made = make(admin, **given)
    assert made.json["resource_type_associations"] == [given["resource_type_associations"][0] | DATES]
    assert (made.json["properties"], made.json["tags"]) == (given["properties"], given["tags"])
    cpu = given["objects"][0] | DATES | {"self": f"{ROOT}/ns/objects/cpu", "schema": "/v2/schemas/metadefs/object"}
    assert made.json["objects"] == [cpu]
    assert admin("GET", f"{ROOT}/ns").json == made.json
    prefixed = admin("GET", f"{ROOT}/ns?resource_type=OS::Glance::Image").json
    assert (prefixed["properties"], prefixed["objects"][0]["required"]) == ({"hw_disk_bus": DISK}, ["hw_cores"])
    assert list(prefixed["objects"][0]["properties"]) == ["hw_cores"]
    assert admin("GET", f"{ROOT}/ns?resource_type=other").json == made.json
    listed = admin("GET", ROOT).json["namespaces"][0]
    assert listed["resource_type_associations"][0]["name"] == "OS::Glance::Image"
    assert "properties" not in listed
    assert admin("DELETE", f"{ROOT}/ns").status_code == 204
    make(admin)
    assert admin("GET", f"{ROOT}/ns/objects").json["objects"] == []
    assert [item["name"] for item in admin("GET", "/v2/metadefs/resource_types").json["resource_types"]] == [
        "OS::Glance::Image"
    ]


def test_a_name_becomes_part_of_an_address(admin):
    for name in ("", "a/b", "a\nb", "a\x7fb"):
        assert admin("POST", ROOT, json={"namespace": name}).status_code == 400
    assert make(admin, "диск ü").headers["Location"].endswith("/%D0%B4%D0%B8%D1%81%D0%BA%20%C3%BC")
    assert admin("GET", f"{ROOT}/%D0%B4%D0%B8%D1%81%D0%BA%20%C3%BC").status_code == 200


def test_nothing_is_made_when_a_part_is_refused(admin):
    body = {"namespace": "ns", "tags": [{"name": "one"}, {"name": "one"}]}
    assert admin("POST", ROOT, json=body).status_code == 409
    assert names(admin) == []


def test_who_sees_and_who_changes(app, admin, blue, red):
    make(admin, "open", visibility="public")
    make(admin, "reds", owner="p-red")
    sys, eve, nob = (Client(app, actor) for actor in (SYSTEM, AUDITOR, NOBODY))
    seen = {name: sorted(names(client)) for name, client in
            (("admin", admin), ("blue", blue), ("red", red), ("sys", sys), ("eve", eve))}  # fmt: skip
    both = ["open", "reds"]
    assert seen == {"admin": both, "blue": ["open"], "red": both, "sys": both, "eve": both}
    assert nob("GET", ROOT).status_code == 403
    assert nob("GET", "/v2/metadefs/resource_types").status_code == 403
    assert nob("GET", f"{ROOT}/open").status_code == 404
    assert names(red, "?visibility=private") == ["reds"]
    assert blue("GET", f"{ROOT}/reds").status_code == 404
    assert blue("GET", f"{ROOT}/reds/tags").status_code == 404
    for client in (blue, red, eve):
        assert client("POST", ROOT, json={"namespace": "mine"}).status_code == 403
        assert client("PUT", f"{ROOT}/open", json={"namespace": "open"}).status_code == 403
        assert client("DELETE", f"{ROOT}/open").status_code == 403
        assert client("POST", f"{ROOT}/open/tags/x").status_code == 403
        assert client("POST", f"{ROOT}/open/objects", json={"name": "x"}).status_code == 403
        assert client("DELETE", f"{ROOT}/open/properties").status_code == 403
    assert blue("DELETE", f"{ROOT}/reds").status_code == 404
    assert sys("PUT", f"{ROOT}/open", json={"namespace": "open"}).status_code == 200
    assert "owner" not in sys("GET", f"{ROOT}/open").json


def test_names_are_taken_once(admin):
    make(admin, "one")
    make(admin, "two")
    assert admin("POST", ROOT, json={"namespace": "one"}).status_code == 409
    assert admin("PUT", f"{ROOT}/two", json={"namespace": "one"}).status_code == 409
    assert admin("PUT", f"{ROOT}/none", json={"namespace": "one"}).status_code == 404


def test_lists_are_paged_sorted_and_filtered(admin):
    for name in ("b", "a", "c"):
        types = [{"name": "T"}] if name != "c" else []
        make(admin, name, visibility="public" if name == "a" else "private", resource_type_associations=types)
    assert names(admin) == ["c", "a", "b"]
    assert names(admin, "?sort_key=namespace&sort_dir=asc") == ["a", "b", "c"]
    assert names(admin, "?visibility=public") == ["a"]
    assert sorted(names(admin, "?resource_types=T,U")) == ["a", "b"]
    assert names(admin, "?resource_types=U") == []
    first = admin("GET", f"{ROOT}?limit=2&sort_key=namespace").json
    assert [item["namespace"] for item in first["namespaces"]] == ["c", "b"]
    assert first["first"] == f"{ROOT}?limit=2&sort_key=namespace"
    second = admin("GET", first["next"]).json
    assert ([item["namespace"] for item in second["namespaces"]], "next" in second) == (["a"], False)
    for query in ("sort_key=x", "sort_dir=x", "limit=x", "limit=-1", "visibility=shared",
                  "resource_types=" + "a," * 101, "resource_types=%00"):  # fmt: skip
        assert admin("GET", f"{ROOT}?{query}").status_code == 400, query
    assert admin("GET", f"{ROOT}?marker=none").status_code == 404


def test_what_is_protected_stays(admin):
    make(admin, protected=True, objects=[{"name": "o"}], tags=[{"name": "t"}], properties={"p": DISK},
         resource_type_associations=[{"name": "T"}])  # fmt: skip
    parts = ("", "/objects/o", "/tags/t", "/properties/p", "/resource_types/T", "/objects", "/tags", "/properties")
    for path in parts:
        answer = admin("DELETE", f"{ROOT}/ns{path}")
        assert (answer.status_code, "is protected" in answer.json["message"]) == (403, True), path
    assert admin("PUT", f"{ROOT}/ns", json={"namespace": "ns"}).status_code == 200
    for path in (*parts[1:], ""):
        assert admin("DELETE", f"{ROOT}/ns{path}").status_code == 204, path


@pytest.mark.parametrize(("body", "status"), [
    ({}, 400), ([], 400), ({"namespace": 5}, 400), ({"namespace": ""}, 400), ({"namespace": "a/b"}, 400),
    ({"namespace": "n" * 81}, 400), ({"namespace": "n\0"}, 400), ({"namespace": "n", "nonsense": 1}, 400),
    ({"namespace": "n", "visibility": "shared"}, 400), ({"namespace": "n", "protected": "yes"}, 400),
    ({"namespace": "n", "self": "x"}, 403), ({"namespace": "n", "created_at": "x"}, 403),
    ({"namespace": "n", "description": "d" * 501}, 400), ({"namespace": "n", "owner": None}, 400),
    ({"namespace": "n", "tags": [{}]}, 400), ({"namespace": "n", "tags": [{"name": "x"}] * 501}, 400),
    ({"namespace": "n", "tags": [{"name": f"t{count}"} for count in range(251)]}, 413),
    ({"namespace": "n", "objects": [{"name": "o", "required": ["a", "a"]}]}, 400),
    ({"namespace": "n", "properties": {"p": {"title": "t"}}}, 400),
    ({"namespace": "n", "properties": {"p" * 81: DISK}}, 400),
    ({"namespace": "n", "properties": {"p": DISK | {"enum": ["x" * 33000]}}}, 413),
    ({"namespace": "n", "resource_type_associations": [{"name": "a/b"}]}, 400),
])  # fmt: skip
def test_bodies_that_are_none(admin, body, status):
    assert admin("POST", ROOT, json=body).status_code == status
    assert names(admin) == []


def test_bodies_that_are_no_json(admin):
    for data in (b"", b"{", b"x" * (1 << 21), b'{"namespace": "n", "properties": ' + b'{"a":' * 30 + b"1" + b"}" * 31):
        assert admin("POST", ROOT, data=data).status_code in (400, 413)


@pytest.mark.parametrize("name", ["namespace", "namespaces", "object", "objects", "property", "properties",
                                  "resource_type", "resource_types", "tag", "tags"])  # fmt: skip
def test_schemas(blue, name):
    shown = blue("GET", f"/v2/schemas/metadefs/{name}")
    assert (shown.status_code, bool(shown.json["properties"])) == (200, True)


def test_the_schema_names_all_that_is_shown(admin, blue):
    made = make(admin, display_name="d", description="d", objects=[{"name": "o"}], tags=[{"name": "t"}]).json
    schema = blue("GET", "/v2/schemas/metadefs/namespace").json
    assert set(made) <= set(schema["properties"])
    assert set(made["objects"][0]) <= set(blue("GET", "/v2/schemas/metadefs/object").json["properties"])
    assert blue("GET", "/v2/schemas/metadefs/none").status_code == 404
