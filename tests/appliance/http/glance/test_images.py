"""Records of images: what may be said of one, who sees it, and what a patch may change."""

import pytest

from tests.appliance.http.glance.conftest import AUDITOR, NOBODY, RED_READER, SYSTEM, Client


def test_a_new_image_has_all_that_clients_read(blue):
    answer = blue("POST", "/v2/images", json={"name": "Test Image", "tags": ["b", "a"], "hw_rng_model": "virtio"})
    made = answer.json
    assert answer.status_code == 201
    assert answer.headers["OpenStack-image-import-methods"] == "glance-direct,web-download"
    assert answer.headers["OpenStack-image-store-ids"] == "local"
    assert answer.headers["Location"].endswith(f"/image/v2/images/{made['id']}")
    assert answer.headers["X-Openstack-Request-Id"].startswith("req-")
    assert {key: made[key] for key in ("name", "status", "visibility", "owner", "tags", "hw_rng_model")} == {
        "name": "Test Image", "status": "queued", "visibility": "shared", "owner": "p-blue", "tags": ["a", "b"],
        "hw_rng_model": "virtio",
    }  # fmt: skip
    assert made["created_at"] == made["updated_at"] == "2026-11-21T12:00:00Z"
    assert made["file"] == f"/v2/images/{made['id']}/file"
    nothing_yet = ("size", "virtual_size", "checksum", "os_hash_algo", "os_hash_value", "disk_format")
    assert [made[key] for key in nothing_yet] == [None] * 6
    assert blue.show(made["id"]) == made


def test_names_need_not_be_unique_and_may_be_missing(blue):
    assert blue.create(name="same") != blue.create(name="same")
    assert blue.show(blue.create())["name"] is None


def test_properties_have_a_size_together(blue):
    """Patch by patch an image could grow without an end."""
    uuid, text = blue.create(), "é" * 65_000
    for number in range(8):
        assert blue.patch(uuid, {"op": "add", "path": f"/p{number}", "value": text}).status_code == 200
    more = blue.patch(uuid, {"op": "add", "path": "/p8", "value": text})
    assert (more.status_code, "1048576 octets together" in more.json["message"]) == (413, True)
    assert "p8" not in blue.show(uuid)
    assert blue.patch(uuid, {"op": "remove", "path": "/p7"}).status_code == 200


def test_an_id_may_be_given_once(blue):
    uuid = "0B5A1A00-0000-4000-8000-000000000001"
    assert blue.create(id=uuid) == uuid.lower()
    again = blue("POST", "/v2/images", json={"id": uuid})
    assert (again.status_code, again.json["message"]) == (409, f"Image ID {uuid.lower()} already exists!")


def test_the_id_of_a_deleted_image_names_no_other_one(blue, red):
    """Machines and scripts that still name it would boot what a stranger put there."""
    uuid = blue.create(visibility="community")
    assert blue("DELETE", f"/v2/images/{uuid}").status_code == 204
    for client in (red, blue):
        again = client("POST", "/v2/images", json={"id": uuid.upper()})
        assert (again.status_code, again.json["message"]) == (409, f"Image ID {uuid} already exists!")


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"status": "active"}, 403, "Attribute 'status' is read-only."),
        ({"checksum": "x"}, 403, "read-only"),
        ({"self": "x"}, 403, "read-only"),
        ({"os_hash_value": "x"}, 403, "read-only"),
        ({"deleted": "x"}, 403, "reserved"),
        ({"os_glance_import_task": "x"}, 403, "reserved"),
        ({"rackwright_problem": "x"}, 403, "reserved"),
        ({"locations": []}, 403, "locations"),
        ({"name": "x" * 256}, 400, "too long"),
        ({"name": 5}, 400, "'string'"),
        ({"min_ram": -1}, 400, "0 to"),
        ({"min_ram": 2**31}, 400, "0 to"),
        ({"min_disk": True}, 400, "'integer'"),
        ({"protected": "yes"}, 400, "'boolean'"),
        ({"visibility": "secret"}, 400, "not one of"),
        ({"disk_format": "exe"}, 400, "not one of"),
        ({"custom": None}, 400, "'string'"),
        ({"x" * 256: "y"}, 400, "255"),
        ({"tags": "a"}, 400, "array"),
        ({"tags": ["x" * 256]}, 400, "too long"),
        ({"tags": [str(number) for number in range(129)]}, 413, "Maximum: 128"),
        ({f"p{number}": "" for number in range(129)}, 413, "Maximum: 128"),
        ({"id": "../../etc"}, 400, "UUID"),
        ({"owner": "p-red"}, 403, "p-red"),
        ({"visibility": "public"}, 403, "publicize_image"),
    ],
)
def test_what_a_body_may_not_say(blue, body, status, words):
    answer = blue("POST", "/v2/images", json=body)
    assert (answer.status_code, words in answer.json["message"]) == (status, True), answer.text
    assert blue.ids() == []


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"5", b"[" * 100_000, b'{"a":"' + b"x" * (1 << 20) + b'"}'])
def test_bodies_that_are_none(blue, raw):
    answer = blue("POST", "/v2/images", data=raw, headers={"Content-Type": "application/json"})
    assert answer.status_code == (413 if len(raw) > 1 << 20 else 400)


# Who sees what ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("visibility", "seen_by"),
    [("private", "nobody"), ("shared", "nobody"), ("community", "who asks"), ("public", "all")],
)
def test_visibilities(admin, blue, red, visibility, seen_by):
    is_seen, is_listed = seen_by != "nobody", seen_by == "all"
    owner = admin if visibility == "public" else blue
    uuid = owner.create(visibility=visibility)
    assert red("GET", f"/v2/images/{uuid}").status_code == (200 if is_seen else 404)
    assert (uuid in red.ids()) is is_listed
    assert uuid in owner.ids()
    assert uuid in admin.ids("?visibility=all")
    change = [{"op": "add", "path": "/x", "value": "y"}]
    for method, path, more in [
        ("PATCH", "", {"json": change, "content_type": "application/openstack-images-v2.1-json-patch"}),
        ("DELETE", "", {}),
        ("PUT", "/tags/x", {}),
        ("PUT", "/file", {"data": b"x", "content_type": "application/octet-stream"}),
        ("PUT", "/stage", {"data": b"x", "content_type": "application/octet-stream"}),
        ("POST", "/import", {"json": {"method": {"name": "glance-direct"}}}),
        ("POST", "/actions/deactivate", {}),
    ]:
        answer = red(method, f"/v2/images/{uuid}{path}", **more)
        assert answer.status_code == (403 if is_seen else 404), (method, path, answer.text)
    assert admin.show(uuid)["status"] == "queued"


def test_invisible_and_absent_are_told_alike(blue, red):
    there, absent = blue.create(), "0b5a1a00-0000-4000-8000-00000000dead"
    one, two = (red("GET", f"/v2/images/{uuid}").json["message"].replace(uuid, "") for uuid in (there, absent))
    assert one == two


def test_community_images_are_listed_for_those_who_ask(blue, red):
    uuid = blue.create(visibility="community")
    assert red.ids("?visibility=community") == [uuid]
    assert red.ids() == []
    assert blue.ids() == [uuid]


def test_readers_look_and_do_no_more(app, blue, red):
    reader, uuid = Client(app, RED_READER), red.active()
    assert reader.ids() == [uuid]
    assert reader("GET", f"/v2/images/{uuid}/file").status_code == 403
    assert reader("DELETE", f"/v2/images/{uuid}").status_code == 403
    assert reader("POST", "/v2/images", json={}).status_code == 403


def test_the_system_sees_all_and_its_administrator_owns_what_has_no_project(app, blue):
    system, auditor, uuid = Client(app, SYSTEM), Client(app, AUDITOR), blue.create()
    assert auditor.ids() == system.ids() == [uuid]
    assert auditor("DELETE", f"/v2/images/{uuid}").status_code == 403
    made = system("POST", "/v2/images", json={"visibility": "public"}).json
    assert made["owner"] is None
    assert blue("DELETE", f"/v2/images/{made['id']}").status_code == 403
    assert system("DELETE", f"/v2/images/{uuid}").status_code == 204


def test_a_token_without_a_role_opens_nothing(app, admin):
    nobody, uuid = Client(app, NOBODY), admin.create(visibility="public")
    assert nobody("GET", "/v2/images").status_code == 403
    assert nobody("GET", f"/v2/images/{uuid}").status_code == 404
    assert nobody("POST", "/v2/images", json={}).status_code == 403


def test_without_a_token(app):
    for path in ("/v2/images", "/v2/schemas/image", "/v2/info/stores", "/v2/tasks"):
        assert app.test_client().get(f"/image{path}").status_code == 401


# Patches ----------------------------------------------------------------------------------------------------------


def test_a_patch_changes_what_it_names(blue):
    uuid = blue.create(name="a", old="1", tags=["x"])
    answer = blue.patch(
        uuid,
        {"op": "replace", "path": "/name", "value": "b"},
        {"op": "add", "path": "/new~1er", "value": "2"},
        {"op": "remove", "path": "/old"},
        {"op": "replace", "path": "/tags", "value": ["y", "x"]},
        {"op": "add", "path": "/min_ram", "value": 64},
        {"op": "replace", "path": "/os_hidden", "value": True},
    )
    assert answer.status_code == 200, answer.text
    made = answer.json
    assert (made["name"], made["new/er"], made["tags"], made["min_ram"]) == ("b", "2", ["x", "y"], 64)
    assert "old" not in made
    assert blue.ids() == []
    assert blue.ids("?os_hidden=true") == [uuid]


def test_the_older_form_of_patches(blue):
    uuid, kind = blue.create(name="a"), "application/openstack-images-v2.0-json-patch"
    assert blue.patch(uuid, {"replace": "/name", "value": "b"}, {"add": "/c", "value": "d"}, kind=kind).json["c"] == "d"
    again = blue.patch(uuid, {"add": "/c", "value": "e"}, kind=kind)
    assert (again.status_code, again.json["message"]) == (409, "Property c already present.")
    assert blue.patch(uuid, {"replace": "/name", "add": "/x", "value": "b"}, kind=kind).status_code == 400


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"op": "replace", "path": "/id", "value": "x"}, 403),
        ({"op": "replace", "path": "/status", "value": "active"}, 403),
        ({"op": "add", "path": "/locations/-", "value": {}}, 403),
        ({"op": "replace", "path": "/owner", "value": "p-red"}, 403),
        ({"op": "replace", "path": "/visibility", "value": "public"}, 403),
        ({"op": "remove", "path": "/name"}, 403),
        ({"op": "replace", "path": "/nothing", "value": "x"}, 409),
        ({"op": "remove", "path": "/nothing"}, 409),
        ({"op": "move", "path": "/name", "value": "x"}, 400),
        ({"op": "replace", "path": "/name"}, 400),
        ({"op": "replace", "value": "x"}, 400),
        ({"path": "/name", "value": "x"}, 400),
        ({"op": "replace", "path": "name", "value": "x"}, 400),
        ({"op": "replace", "path": "/a/b", "value": "x"}, 400),
        ({"op": "replace", "path": "/a~2", "value": "x"}, 400),
        ({"op": "replace", "path": 5, "value": "x"}, 400),
        ({"op": "add", "path": "/x", "value": 5}, 400),
        ({"op": "add", "path": "/tags/-", "value": "x"}, 400),
        ("name", 400),
    ],
)
def test_a_patch_that_is_refused_changes_nothing(blue, change, status):
    uuid = blue.create(name="a")
    before = blue.show(uuid)
    answer = blue.patch(uuid, {"op": "add", "path": "/first", "value": "1"}, change)
    assert answer.status_code == status, answer.text
    assert blue.show(uuid) == before


def test_other_patches(blue):
    uuid = blue.create()
    assert blue("PATCH", f"/v2/images/{uuid}", json=[]).status_code == 415
    kind = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    assert blue("PATCH", f"/v2/images/{uuid}", json={}, headers=kind).status_code == 400
    assert blue.patch(uuid, *[{"op": "add", "path": "/x", "value": "y"}] * 501).status_code == 400


def test_formats_are_settled_with_the_bytes(blue):
    uuid = blue.active()
    answer = blue.patch(uuid, {"op": "replace", "path": "/disk_format", "value": "qcow2"})
    assert answer.status_code == 403


# The end ----------------------------------------------------------------------------------------------------------


def test_a_protected_image_stays(blue, appliance):
    uuid = blue.active(protected=True)
    answer = blue("DELETE", f"/v2/images/{uuid}")
    assert (answer.status_code, "protected" in answer.json["message"]) == (403, True)
    blue.patch(uuid, {"op": "replace", "path": "/protected", "value": False})
    assert blue("DELETE", f"/v2/images/{uuid}").status_code == 204
    assert blue("GET", f"/v2/images/{uuid}").status_code == 404
    assert not appliance.images.folder(uuid).exists()


def test_withdrawn_and_given_back(admin, blue):
    uuid = blue.active(b"data")
    for _ in range(2):
        assert blue("POST", f"/v2/images/{uuid}/actions/deactivate").status_code == 204
    assert blue.show(uuid)["status"] == "deactivated"
    refused = blue("GET", f"/v2/images/{uuid}/file")
    assert (refused.status_code, "deactivated" in refused.json["message"]) == (403, True)
    assert admin("GET", f"/v2/images/{uuid}/file").data == b"data"
    assert blue("POST", f"/v2/images/{uuid}/actions/reactivate").status_code == 204
    assert blue.show(uuid)["status"] == "active"
    assert blue("POST", f"/v2/images/{blue.create()}/actions/deactivate").status_code == 403


def test_tags(blue):
    uuid = blue.create()
    assert blue("PUT", f"/v2/images/{uuid}/tags/t1").status_code == 204
    assert blue("PUT", f"/v2/images/{uuid}/tags/t1").status_code == 204
    assert blue("PUT", f"/v2/images/{uuid}/tags/{'x' * 256}").status_code == 400
    assert blue.show(uuid)["tags"] == ["t1"]
    assert blue("DELETE", f"/v2/images/{uuid}/tags/t1").status_code == 204
    assert blue("DELETE", f"/v2/images/{uuid}/tags/t1").status_code == 404


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"name": "a", "name": "b"}', "twice"), (b'{"a":' * 30 + b"1" + b"}" * 30, "deep"), (b'{"name": ', "JSON"),
        (b"", "Body expected"), (b"[]", "object"),
    ],
)  # fmt: skip
def test_a_body_that_is_no_plain_object_is_refused(blue, body, said):
    answer = blue("POST", "/v2/images", data=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, said in answer.json["message"]) == (400, True)
