"""Sharing: the owner offers, the member answers, and only what was accepted is listed."""

import pytest

from tests.appliance.http.glance.conftest import AUDITOR, Client


@pytest.fixture
def uuid(blue):
    return blue.create(name="shared")


def share(owner, uuid, member="p-red"):
    return owner("POST", f"/v2/images/{uuid}/members", json={"member": member})


def test_offered_accepted_rejected_taken_back(blue, red, uuid):
    made = share(blue, uuid)
    assert made.status_code == 200
    assert made.json == {
        "member_id": "p-red", "image_id": uuid, "status": "pending", "created_at": "2026-11-21T12:00:00Z",
        "updated_at": "2026-11-21T12:00:00Z", "schema": "/v2/schemas/member",
    }  # fmt: skip
    assert red.show(uuid)["name"] == "shared"
    assert (red.ids(), red.ids("?member_status=pending"), red.ids("?member_status=all")) == ([], [uuid], [uuid])
    path = f"/v2/images/{uuid}/members/p-red"
    assert red("PUT", path, json={"status": "accepted"}).json["status"] == "accepted"
    assert red.ids() == [uuid]
    assert red("PUT", path, json={"status": "rejected"}).json["status"] == "rejected"
    assert (red.ids(), red("GET", f"/v2/images/{uuid}").status_code) == ([], 200)
    assert red("PUT", path, json={"status": "maybe"}).status_code == 400
    assert red("PUT", path, json={}).status_code == 400
    assert blue("DELETE", path).status_code == 204
    assert red("GET", f"/v2/images/{uuid}").status_code == 404
    assert blue("GET", path).status_code == 404


def test_who_may_do_what(app, admin, blue, red, uuid):
    share(blue, uuid)
    path = f"/v2/images/{uuid}/members/p-red"
    assert blue("PUT", path, json={"status": "accepted"}).status_code == 403
    assert red("DELETE", path).status_code == 403
    assert share(red, uuid, "p-green").status_code == 403
    assert share(blue, uuid).status_code == 409
    assert share(blue, uuid, "").status_code == 400
    assert blue("POST", f"/v2/images/{uuid}/members", json={"member": 5}).status_code == 400
    assert blue("POST", f"/v2/images/{uuid}/members", json={}).status_code == 400
    assert admin("PUT", path, json={"status": "accepted"}).status_code == 200
    share(blue, uuid, "p-green")
    listed = {who: client("GET", f"/v2/images/{uuid}/members").json["members"]
              for who, client in (("blue", blue), ("red", red), ("eve", Client(app, AUDITOR)))}  # fmt: skip
    assert [item["member_id"] for item in listed["blue"]] == ["p-green", "p-red"]
    assert [item["member_id"] for item in listed["red"]] == ["p-red"]
    assert len(listed["eve"]) == 2
    assert red("GET", f"/v2/images/{uuid}/members/p-green").status_code == 404


def test_no_change_at_all_is_nobodys_business(blue, red, uuid):
    """What `openstack image set --accept` of a member sends second, until Victoria."""
    assert red.patch(uuid).status_code == 404
    share(blue, uuid)
    answer = red.patch(uuid)
    assert (answer.status_code, answer.json) == (200, blue.show(uuid))
    assert red.patch(uuid, {"op": "add", "path": "/x", "value": "y"}).status_code == 403


def test_only_shared_images_have_members(blue, red, uuid):
    share(blue, uuid)
    blue.patch(uuid, {"op": "replace", "path": "/visibility", "value": "private"})
    assert share(blue, uuid, "p-green").status_code == 403
    assert blue("GET", f"/v2/images/{uuid}/members").status_code == 403
    assert blue("GET", f"/v2/images/{uuid}/members/p-red").status_code == 404
    assert red("GET", f"/v2/images/{uuid}").status_code == 404


def test_members_are_counted(blue, uuid):
    for number in range(128):
        assert share(blue, uuid, f"p{number}").status_code == 200
    assert share(blue, uuid, "one-more").status_code == 413


def test_members_go_with_the_image(blue, red, uuid):
    share(blue, uuid)
    assert blue("DELETE", f"/v2/images/{uuid}").status_code == 204
    assert red("GET", f"/v2/images/{uuid}/members").status_code == 404
