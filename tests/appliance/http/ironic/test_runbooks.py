"""/v1/runbooks: whose they are, who sees them, what they may hold."""

import pytest

from appliance.domain.access import Role
from tests.fakes.ironic_client import fault

STEP = {"interface": "deploy", "step": "erase_devices_metadata", "args": {}, "order": 1}
BOOK = {"name": "CUSTOM_WIPE", "steps": [STEP]}


def test_a_runbook_is_made_shown_changed_and_goes(ironic):
    second = {"interface": "management", "step": "reset_bmc", "order": "0"}
    book = ironic.post("/v1/runbooks", {**BOOK, "steps": [STEP, second]}).get_json()
    assert [step["step"] for step in book["steps"]] == ["reset_bmc", "erase_devices_metadata"]
    assert (book["public"], book["owner"], book["disable_ramdisk"]) == (False, None, False)
    path = f"/v1/runbooks/{book['uuid']}"
    assert ironic.get(path).get_json() == book == ironic.get("/v1/runbooks/CUSTOM_WIPE").get_json()
    assert ironic.patch(path, [{"op": "replace", "path": "/owner", "value": "p1"}]).get_json()["owner"] == "p1"
    public = ironic.patch(path, [{"op": "replace", "path": "/public", "value": True}]).get_json()
    assert (public["public"], public["owner"]) == (True, None)
    assert ironic.patch(path, [{"op": "replace", "path": "/owner", "value": "p1"}]).status_code == 409
    assert ironic.delete(path).status_code == 204


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"name": "wi pe"}, 400, "letters"), ({"name": None}, 400, "'string'"),
        ({"description": 7}, 400, "description"), ({"description": "x" * 256}, 400, "description"),
        ({"steps": [STEP, STEP]}, 400, "Duplicate"),
        ({"public": "perhaps"}, 400, "perhaps"),
        ({"steps": [{"interface": "deploy", "step": "x"}]}, 400, "'order'"), ({"name": "CUSTOM_TAKEN"}, 409, "TAKEN"),
        ({"traits": []}, 400, "unexpected"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_runbook_is_refused(ironic, changes, status, said):
    ironic.post("/v1/runbooks", {**BOOK, "name": "CUSTOM_TAKEN"})
    answer = ironic.post("/v1/runbooks", {**BOOK, **changes})
    assert answer.status_code == status
    assert said in fault(answer)["faultstring"]


def test_projects_see_their_own_and_the_public_ones(appliance, ironic, client_for):
    token, project = appliance.project_token(Role.MANAGER)
    manager = client_for(token)
    for name, values in (("CUSTOM_A", {"public": True}), ("CUSTOM_B", {"owner": "other"})):
        ironic.post("/v1/runbooks", {**BOOK, "name": name, **values})
    mine = manager.post("/v1/runbooks", {**BOOK, "name": "CUSTOM_C"}).get_json()
    assert mine["owner"] == project
    names = [one["name"] for one in manager.get("/v1/runbooks").get_json()["runbooks"]]
    assert names == ["CUSTOM_A", "CUSTOM_C"]
    assert manager.get("/v1/runbooks/CUSTOM_B").status_code == 404
    assert manager.delete("/v1/runbooks/CUSTOM_A").status_code == 403
    assert manager.post("/v1/runbooks", {**BOOK, "public": True}).status_code == 400
    assert manager.post("/v1/runbooks", {**BOOK, "owner": "other"}).status_code == 400
    patch = [{"op": "replace", "path": "/public", "value": True}]
    assert manager.patch("/v1/runbooks/CUSTOM_C", patch).status_code == 403
    reader = client_for(appliance.project_token(Role.READER)[0])
    assert reader.post("/v1/runbooks", {**BOOK, "name": "CUSTOM_D"}).status_code == 403
    assert reader.delete("/v1/runbooks/CUSTOM_C").status_code == 403
    assert manager.delete("/v1/runbooks/CUSTOM_C").status_code == 204
    assert len(ironic.get("/v1/runbooks?project=other").get_json()["runbooks"]) == 1


def test_runbooks_come_with_92(ironic):
    assert ironic.get("/v1/runbooks", version="1.91").status_code == 404


def test_since_112_the_name_is_free_and_there_is_a_description(ironic):
    book = ironic.post("/v1/runbooks", {**BOOK, "name": "wipe-it", "description": "for leavers"}).get_json()
    assert (book["description"], book["traits"]) == ("for leavers", [])
    patch = [{"op": "replace", "path": "/description", "value": "for all"}]
    assert ironic.patch("/v1/runbooks/wipe-it", patch).get_json()["description"] == "for all"
    assert not {"description", "traits"} & set(ironic.get("/v1/runbooks/wipe-it", version="1.111").get_json())
    assert ironic.get("/v1/runbooks?fields=description", version="1.111").status_code == 406
    assert ironic.patch("/v1/runbooks/wipe-it", patch, version="1.111").status_code == 406
    assert ironic.post("/v1/runbooks", {**BOOK, "name": "other"}, version="1.111").status_code == 400
    rename = [{"op": "replace", "path": "/name", "value": "wipe-them"}]
    assert ironic.patch("/v1/runbooks/wipe-it", rename, version="1.111").status_code == 400
    assert ironic.patch("/v1/runbooks/wipe-it", rename).get_json()["name"] == "wipe-them"


def test_the_traits_of_a_runbook(ironic):
    ironic.post("/v1/runbooks", BOOK)
    path = "/v1/runbooks/CUSTOM_WIPE/traits"
    assert ironic.put(path, {"traits": ["CUSTOM_B", "CUSTOM_A", "CUSTOM_B"]}).status_code == 204
    assert ironic.get(path).get_json() == {"traits": ["CUSTOM_A", "CUSTOM_B"]}
    added = ironic.put(f"{path}/HW_GPU")
    assert added.status_code == 204
    assert added.headers["Location"].endswith(f"{path}/HW_GPU")
    for _again in range(2):
        assert ironic.delete(f"{path}/CUSTOM_A").status_code == 204
    assert ironic.get("/v1/runbooks/CUSTOM_WIPE").get_json()["traits"] == ["CUSTOM_B", "HW_GPU"]
    assert ironic.delete(path).status_code == 204
    assert ironic.get(path).get_json() == {"traits": []}
    assert ironic.get(path, version="1.111").status_code == 404
    assert ironic.get("/v1/runbooks/nope/traits").status_code == 404


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("", {"traits": ["lower"]}), ("", {"traits": "CUSTOM_A"}), ("", {}), ("", {"traits": [], "more": 1}),
        ("/lower", None), ("/CUSTOM_A", {"traits": []}), ("", {"traits": [f"CUSTOM_{n}" for n in range(51)]}),
    ],
)  # fmt: skip
def test_what_cannot_be_the_traits_of_a_runbook_is_refused(ironic, path, body):
    ironic.post("/v1/runbooks", BOOK)
    assert ironic.put(f"/v1/runbooks/CUSTOM_WIPE/traits{path}", body).status_code == 400
    assert ironic.get("/v1/runbooks/CUSTOM_WIPE/traits").get_json() == {"traits": []}


def test_no_more_than_fifty_traits(ironic):
    ironic.post("/v1/runbooks", BOOK)
    path = "/v1/runbooks/CUSTOM_WIPE/traits"
    assert ironic.put(path, {"traits": [f"CUSTOM_{n}" for n in range(50)]}).status_code == 204
    assert ironic.put(f"{path}/CUSTOM_50").status_code == 400


def test_a_project_sets_the_traits_of_its_own_runbooks_only(appliance, ironic, client_for):
    token, project = appliance.project_token(Role.MANAGER)
    ironic.post("/v1/runbooks", {**BOOK, "name": "CUSTOM_A", "public": True})
    ironic.post("/v1/runbooks", {**BOOK, "name": "CUSTOM_B", "owner": project})
    manager = client_for(token)
    assert manager.put("/v1/runbooks/CUSTOM_A/traits/CUSTOM_T").status_code == 403
    assert manager.put("/v1/runbooks/CUSTOM_B/traits/CUSTOM_T").status_code == 204
