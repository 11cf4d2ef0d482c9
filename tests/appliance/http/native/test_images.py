"""/v1/images: what works on their bytes holds up nobody else."""

import threading

import pytest

from appliance.domain.image_imports import Bounds


@pytest.fixture
def unending(appliance, monkeypatch):
    """Downloads that never end: every thread that there is for them is busy."""
    over = threading.Event()
    monkeypatch.setattr(appliance.images, "fetch", lambda _uuid: over.wait(30))
    yield
    over.set()
    appliance.settle()


def test_power_is_switched_while_downloads_go_on(operators, appliance, unending):
    operators.post("/v1/nodes", json={"name": "n1", "driver": "fake", "macs": ["52:54:00:77:00:01"]})
    for name in ("a", "b"):
        assert operators.post("/v1/images", json={"name": name, "url": "https://example.org/x"}).status_code == 201
    assert operators.put("/v1/nodes/n1/power", json={"target": "on"}).status_code == 202
    appliance.context.background.submit(lambda: None).result(timeout=30)
    assert operators.get("/v1/nodes/n1").get_json()["power_state"] == "power on"


def test_who_waits_is_told_for_what(operators, appliance, unending):
    for name in ("a", "b", "c"):
        made = operators.post("/v1/images", json={"name": name, "url": f"https://{name}.example.org/x"})
        assert (made.status_code, made.get_json()["status"]) == (201, "saving")
    said = [image["waits_for"] for image in operators.get("/v1/images").get_json()["items"]]
    assert said[2] in ("2 downloads of the appliance itself to end", "its turn")
    assert operators.delete("/v1/images/c").status_code == 204
    assert appliance.context.imports.waits_for(made.get_json()["uuid"]) == ""


@pytest.mark.parametrize("way", ["url", "file"])
def test_what_there_is_no_place_for_is_refused_and_leaves_nothing(operators, appliance, monkeypatch, way):
    if way == "file":
        operators.post("/v1/images", json={"name": "a"})
    monkeypatch.setattr(appliance.context.imports, "_bounds", Bounds(waiting_of_owner=0))
    if way == "url":
        answer = operators.post("/v1/images", json={"name": "a", "url": "https://example.org/x"})
    else:
        answer = operators.put("/v1/images/a/file", data=b"bytes")
    assert answer.status_code == 503
    assert "0 imports of the appliance's own images wait already" in answer.text
    left = [(image["name"], image["status"]) for image in operators.get("/v1/images").get_json()["items"]]
    assert left == ([("a", "queued")] if way == "file" else [])


def test_a_name_that_is_taken_gives_the_place_back(operators, appliance):
    operators.post("/v1/images", json={"name": "a"})
    assert operators.post("/v1/images", json={"name": "a", "url": "https://example.org/x"}).status_code == 409
    assert appliance.context.imports.join(0)
