"""Bytes up and down: every way in ends in a named state, and what comes out is what went in."""

import base64
import io
import threading
import time
from contextlib import contextmanager

import pytest

from appliance.domain.errors import Unavailable
from appliance.domain.image_imports import Bounds
from appliance.services.image_faults import ImageRefused
from tests.appliance.http.glance.conftest import AUDITOR, Client, digests

DATA = bytes(range(256)) * 4096
SUMS = digests(DATA)


def test_what_goes_up_comes_down(blue):
    uuid = blue.create(name="x")
    assert blue("GET", f"/v2/images/{uuid}/file").status_code == 204
    assert blue.upload(uuid, DATA).status_code == 204
    shown = blue.show(uuid)
    assert (shown["status"], shown["size"], shown["stores"]) == ("active", len(DATA), "local")
    assert (shown["checksum"], shown["os_hash_algo"]) == (SUMS["md5"], "sha512")
    assert shown["os_hash_value"] == SUMS["sha512"]
    got = blue("GET", f"/v2/images/{uuid}/file")
    assert (got.status_code, got.data) == (200, DATA)
    assert got.headers["Content-MD5"] == SUMS["md5"]
    assert got.headers["Content-Length"] == str(len(DATA))
    assert got.headers["Content-Type"] == "application/octet-stream"


@pytest.mark.parametrize(
    ("asked", "status", "start", "end"),
    [
        ("bytes=0-4", 206, 0, 5),
        ("bytes=1000000-", 206, 1000000, len(DATA)),
        ("bytes=-10", 206, len(DATA) - 10, len(DATA)),
        ("bytes=5-99999999", 206, 5, len(DATA)),
        (f"bytes={len(DATA)}-", 416, 0, 0),
        ("bytes=9-5", 416, 0, 0),
        ("bytes=x", 416, 0, 0),
        ("lines=0-4", 416, 0, 0),
        ("bytes=0-4,6-8", 400, 0, 0),
        ("bytes=" + ",".join("0-1" for _ in range(1000)), 400, 0, 0),
    ],
)
def test_ranges(blue, asked, status, start, end):
    got = blue("GET", f"/v2/images/{blue.active(DATA)}/file", headers={"Range": asked})
    assert got.status_code == status, got.text
    if status == 206:
        assert got.data == DATA[start:end]
        assert got.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(DATA)}"


def test_slow_readers_leave_workers_to_others(blue, red):
    """A place is given back by whoever read to the end, hung up, or asked for nothing but the head."""
    uuid = blue.active(DATA, visibility="community")
    path = f"/image/v2/images/{uuid}/file"
    slow = [blue.open(path) for _ in range(16)]
    assert {answer.status_code for answer in slow} == {200}
    refused = blue("GET", f"/v2/images/{uuid}/file")
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
    assert "16 downloads of this project go on already" in refused.text
    assert red("GET", f"/v2/images/{uuid}/file").data == DATA
    slow.pop().close()
    for _ in range(3):
        assert blue("HEAD", f"/v2/images/{uuid}/file").status_code == 200
        assert blue("GET", f"/v2/images/{uuid}/file", headers={"Range": "bytes=0-4"}).data == DATA[:5]
        assert blue("GET", f"/v2/images/{uuid}/file", headers={"Range": "bytes=9-5"}).status_code == 416
        assert (
            blue("GET", f"/v2/images/{uuid}/file", headers={"If-None-Match": f'"{SUMS["sha512"]}"'}).status_code == 304
        )
    for answer in slow:
        answer.close()


def test_a_file_that_is_known_already_is_not_sent_again(blue):
    uuid = blue.active(DATA)
    first = blue("GET", f"/v2/images/{uuid}/file")
    again = blue("GET", f"/v2/images/{uuid}/file", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    other = blue("GET", f"/v2/images/{uuid}/file", headers={"Range": "bytes=0-4", "If-Range": '"other"'})
    assert (other.status_code, other.data) == (200, DATA)


# Refused before the first byte ------------------------------------------------------------------------------------


def test_an_upload_needs_formats_and_a_kind(blue):
    bare = blue("POST", "/v2/images", json={"name": "x"}).json["id"]
    answer = blue.upload(bare, DATA)
    assert (answer.status_code, "disk_format, container_format" in answer.json["message"]) == (400, True)
    kind = {"Content-Type": "application/json"}
    assert blue.put(f"/v2/images/{blue.create()}/file", DATA, **kind).status_code == 415
    assert blue.put(f"/v2/images/{blue.create()}/file", DATA, **{"X-Image-Meta-Store": "ceph"}).status_code == 400
    assert blue.put(f"/v2/images/{blue.create()}/file", DATA, **{"X-OpenStack-Image-Size": "x"}).status_code == 400


def test_bytes_are_sent_once(blue):
    uuid = blue.active(DATA)
    for path in ("file", "stage"):
        answer = blue.put(f"/v2/images/{uuid}/{path}", b"other")
        assert (answer.status_code, "transition from active" in answer.json["message"]) == (409, True)
    assert blue.show(uuid)["checksum"] == SUMS["md5"]


def test_too_much_is_refused_unread(blue):
    answer = blue.put(f"/v2/images/{blue.create()}/file", b"x", **{"X-OpenStack-Image-Size": str(65 << 30)})
    assert answer.status_code == 413


# Refused after it, and to be repeated ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "fields", "words"),
    [
        ({"X-OpenStack-Image-Size": "5"}, {}, "broke off"),
        ({"Content-MD5": "0" * 32}, {}, "md5 checksum of the image differs"),
        ({"X-Checksum-Sha256": "0" * 64}, {}, "sha256 checksum of the image differs"),
        ({}, {"owner_specified.openstack.md5": "0" * 32}, "md5"),
        ({}, {"owner_specified.openstack.sha256": "f" * 64}, "sha256"),
    ],
)
def test_a_broken_promise_leaves_the_image_waiting(blue, appliance, headers, fields, words):
    uuid = blue.create(**fields)
    answer = blue.upload(uuid, DATA, **headers)
    assert (answer.status_code, words in answer.json["message"]) == (400, True), answer.text
    shown = blue.show(uuid)
    assert (shown["status"], shown["checksum"], words in shown["rackwright_problem"]) == ("queued", None, True)
    assert not appliance.images.folder(uuid).exists()
    blue.patch(uuid, *[{"op": "remove", "path": f"/{name}"} for name in fields])
    assert blue.upload(uuid, DATA).status_code == 204
    assert "rackwright_problem" not in blue.show(uuid)


def test_kept_promises(blue):
    sums = {"owner_specified.openstack.md5": SUMS["md5"], "owner_specified.openstack.sha256": SUMS["sha256"].upper()}
    uuid = blue.create(**sums)
    md5 = base64.b64encode(bytes.fromhex(SUMS["md5"])).decode()
    assert blue.upload(uuid, DATA, **{"Content-MD5": md5, "X-Checksum-Sha256": SUMS["sha256"]}).status_code == 204
    empty = blue.create(**{"owner_specified.openstack.md5": "", "owner_specified.openstack.sha256": ""})
    assert blue.upload(empty, DATA).status_code == 204


def test_promises_that_are_none(blue):
    for headers in ({"Content-MD5": "x" * 24}, {"Content-MD5": "12"}, {"X-Checksum-Sha256": "x" * 64}):
        assert blue.upload(blue.create(), DATA, **headers).status_code == 400


def test_nothing_is_an_image_too(blue):
    """The stock command line sends nothing when it is given no file, and expects an image of no bytes."""
    uuid = blue.active(b"")
    assert blue.show(uuid)["size"] == 0
    got = blue("GET", f"/v2/images/{uuid}/file")
    assert (got.status_code, got.data) == (200, b"")


def test_what_the_look_at_the_bytes_refuses_is_415_and_says_why(blue, appliance):
    def pack(_source, _into, **_about):
        raise ImageRefused("the image refers to another file: '/etc/shadow'")

    appliance.images._pack = pack
    uuid = blue.create(disk_format="qcow2")
    answer = blue.upload(uuid, DATA)
    assert (answer.status_code, "/etc/shadow" in answer.json["message"]) == (415, True)
    shown = blue.show(uuid)
    assert (shown["status"], "/etc/shadow" in shown["rackwright_problem"]) == ("queued", True)
    assert not appliance.images.folder(uuid).exists()


def test_deleted_while_it_comes_in(blue):
    uuid = blue.create()

    class Deleting(io.BytesIO):
        def readinto(self, buffer):
            blue("DELETE", f"/v2/images/{uuid}")
            return super().readinto(buffer)

    answer = blue("PUT", f"/v2/images/{uuid}/file", input_stream=Deleting(DATA), content_length=len(DATA),
                  headers={"Content-Type": "application/octet-stream"})  # fmt: skip
    assert answer.status_code == 410
    assert blue.ids() == []


def test_deleted_while_it_is_packed(blue, appliance):
    uuid, pack = blue.create(), appliance.images._pack

    def delete_then_pack(source, into, **about):
        blue("DELETE", f"/v2/images/{uuid}")
        return pack(source, into, **about)

    appliance.images._pack = delete_then_pack
    assert blue.upload(uuid, DATA).status_code == 410
    assert not appliance.images.folder(uuid).exists()


# Imports ----------------------------------------------------------------------------------------------------------


def importing(client, uuid, name="glance-direct", **more):
    method = {"name": name} | {key: more.pop(key) for key in ("uri",) if key in more}
    return client("POST", f"/v2/images/{uuid}/import", json={"method": method} | more)


def test_staged_bytes_become_the_image(app, admin, appliance):
    uuid = admin.create()
    assert importing(admin, uuid).status_code == 409
    assert admin.put(f"/v2/images/{uuid}/stage", DATA).status_code == 204
    staged = admin.show(uuid)
    assert (staged["status"], staged["size"], staged["checksum"]) == ("uploading", len(DATA), None)
    assert importing(admin, uuid, stores=["local"], all_stores_must_succeed=True).status_code == 202
    appliance.settle()
    assert (admin.show(uuid)["status"], admin.show(uuid)["checksum"]) == ("active", SUMS["md5"])
    assert importing(admin, uuid).status_code == 409
    tasks = admin("GET", f"/v2/images/{uuid}/tasks").json["tasks"]
    assert [(task["status"], task["type"], task["result"]) for task in tasks] == [
        ("success", "api_image_import", {"image_id": uuid})
    ]
    listed = admin("GET", "/v2/tasks?status=success").json
    assert [task["id"] for task in listed["tasks"]] == [tasks[0]["id"]]
    one = Client(app, AUDITOR)("GET", f"/v2/tasks/{tasks[0]['id']}").json
    assert (one["input"]["import_req"], one["user_id"]) == ({"method": {"name": "glance-direct"}}, "u1")
    assert one["expires_at"] > one["created_at"]


def fetching(appliance, answer, check=None):
    @contextmanager
    def fetch(_url, _within_s):
        if isinstance(answer, Exception):
            raise answer
        yield io.BytesIO(answer)

    appliance.images._fetch, appliance.images._pause = fetch, lambda _seconds: None
    appliance.images.check_url = check or (lambda _url: None)


def test_bytes_are_fetched(admin, appliance):
    fetching(appliance, DATA)
    uuid = admin.create(disk_format="iso")
    good = {"os_hash_algo": "sha512", "os_hash_value": SUMS["sha512"]}
    address = "https://canary:canary@example.org/x?signature=canary"
    answer = importing(admin, uuid, "web-download", uri=address, validation_data=good)
    assert answer.status_code == 202
    appliance.settle()
    assert admin.show(uuid)["status"] == "active"
    assert "canary" not in admin("GET", f"/v2/images/{uuid}/tasks").text


@pytest.mark.parametrize(
    ("answer", "more", "words"),
    [
        (Unavailable("the download broke off"), {}, "broke off"),
        (ImageRefused("address not allowed: x"), {}, "not allowed"),
        (DATA, {"validation_data": {"os_hash_algo": "sha256", "os_hash_value": "0" * 64}}, "sha256"),
    ],
)
def test_a_fetch_that_fails_can_be_repeated_and_is_told(admin, appliance, answer, more, words):
    fetching(appliance, answer)
    uuid = admin.create()
    assert importing(admin, uuid, "web-download", uri="https://example.org/x", **more).status_code == 202
    appliance.settle()
    task = admin("GET", f"/v2/images/{uuid}/tasks").json["tasks"][0]
    assert (admin.show(uuid)["status"], task["status"], words in task["message"]) == ("queued", "failure", True)
    fetching(appliance, DATA)
    assert importing(admin, uuid, "web-download", uri="https://example.org/x").status_code == 202
    appliance.settle()
    assert admin.show(uuid)["status"] == "active"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"method": "web-download"}, 400),
        ({"method": {}}, 400),
        ({"method": {"name": "copy-image"}}, 400),
        ({"method": {"name": "glance-download"}}, 400),
        ({"method": {"name": "web-download"}}, 400),
        ({"method": {"name": "web-download", "uri": 5}}, 400),
        ({"method": {"name": "web-download", "uri": "https://example.org/"}, "all_stores": "yes"}, 400),
        ({"method": {"name": "web-download", "uri": "https://example.org/"}, "stores": ["ceph"]}, 409),
        ({"method": {"name": "web-download", "uri": "https://example.org/"}, "validation_data": {}}, 400),
        ({"method": {"name": "glance-direct"}}, 409),
    ],
)
def test_imports_that_are_refused(admin, body, status):
    uuid = admin.create()
    assert admin("POST", f"/v2/images/{uuid}/import", json=body).status_code == status
    assert admin.show(uuid)["status"] == "queued"
    assert admin("GET", "/v2/tasks").json["tasks"] == []


def test_an_address_inside_is_refused_at_once(admin, appliance):
    def check(_url):
        raise ImageRefused("address not allowed: 127.0.0.1 is not on the public internet")

    fetching(appliance, DATA, check)
    answer = importing(admin, admin.create(), "web-download", uri="http://127.0.0.1/")
    assert (answer.status_code, "address not allowed" in answer.json["message"]) == (400, True)


@pytest.fixture
def unending(appliance):
    """A server that answers when it is told to; the places that a project has are all taken by it."""
    going, over = threading.Semaphore(0), threading.Event()

    @contextmanager
    def fetch(_url, _within_s):
        going.release()
        over.wait(30)
        yield io.BytesIO(DATA)

    appliance.images._fetch, appliance.images.check_url = fetch, lambda _url: None
    yield lambda count: [going.acquire(timeout=10) for _ in range(count)]
    over.set()
    appliance.settle()


def tasks(client, uuid):
    return [(task["status"], task["message"]) for task in client("GET", f"/v2/images/{uuid}/tasks").json["tasks"]]


def test_who_waits_is_told_for_what_and_others_are_not_held_up(app, appliance, blue, red, unending):
    uuids = [blue.create(disk_format="iso") for _ in range(3)]
    for uuid in uuids[:2]:
        assert importing(blue, uuid, "web-download", uri="https://example.org/x?signature=canary").status_code == 202
    assert all(unending(2))
    assert importing(blue, uuids[2], "web-download", uri="https://example.org/x?signature=canary").status_code == 202
    why = "2 downloads of this project to end"
    assert [tasks(blue, uuid) for uuid in uuids] == [
        [("processing", "")], [("processing", "")], [("pending", f"The import waits for {why}.")]
    ]  # fmt: skip
    shown = blue.show(uuids[2])
    assert (shown["status"], shown["rackwright_waits_for"]) == ("importing", why)
    assert "rackwright_waits_for" not in blue.show(uuids[0])
    listed = blue("GET", "/v2/images").json["images"]
    assert [image.get("rackwright_waits_for") for image in listed].count(why) == 1
    pending = Client(app, AUDITOR)("GET", "/v2/tasks?status=pending").json["tasks"]
    assert [task["image_id"] for task in pending] == [uuids[2]]

    other = red.create(disk_format="iso")
    assert importing(red, other, "web-download", uri="https://example.org/x").status_code == 202
    assert all(unending(1)), "it began at once"
    staged = blue.create(disk_format="iso")
    blue.put(f"/v2/images/{staged}/stage", DATA)
    assert importing(blue, staged).status_code == 202
    wait_for(lambda: blue.show(staged)["status"] == "active")


def wait_for(is_so):
    until = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_an_image_that_is_deleted_gives_up_its_place_and_its_task_says_so(app, appliance, blue, unending):
    uuids = [blue.create(disk_format="iso") for _ in range(3)]
    for uuid in uuids:
        assert importing(blue, uuid, "web-download", uri="https://example.org/x").status_code == 202
    assert all(unending(2))
    (waiting,) = [uuid for uuid in uuids if tasks(blue, uuid)[0][0] == "pending"]
    for uuid in uuids:
        assert blue("DELETE", f"/v2/images/{uuid}").status_code == 204
    assert appliance.context.imports.waits_for(waiting) == ""
    ended = Client(app, AUDITOR)("GET", "/v2/tasks?status=failure").json["tasks"]
    assert {task["image_id"] for task in ended} == set(uuids)


@pytest.mark.parametrize("method", ["web-download", "glance-direct"])
def test_an_import_for_which_there_is_no_place_is_refused_and_nothing_is_changed(blue, appliance, monkeypatch, method):
    monkeypatch.setattr(appliance.context.imports, "_bounds", Bounds(waiting_of_owner=0))
    fetching(appliance, DATA)
    uuid = blue.create(disk_format="iso")
    if method == "glance-direct":
        blue.put(f"/v2/images/{uuid}/stage", DATA)
    before = blue.show(uuid)
    more = {"uri": "https://example.org/x"} if method == "web-download" else {}
    answer = importing(blue, uuid, method, **more)
    assert (answer.status_code, "0 imports of this project wait already" in answer.text) == (503, True)
    assert (blue.show(uuid), tasks(blue, uuid)) == (before, [])
    monkeypatch.setattr(appliance.context.imports, "_bounds", Bounds())
    assert importing(blue, uuid, method, **more).status_code == 202, "staged bytes are there as before"
    appliance.settle()
    assert blue.show(uuid)["status"] == "active"


def test_an_import_that_is_refused_for_its_image_gives_its_place_back(blue, appliance):
    uuid = blue.create()
    assert importing(blue, uuid).status_code == 409
    assert appliance.context.imports.join(0)
