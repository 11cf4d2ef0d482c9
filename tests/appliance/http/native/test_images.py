"""/v1/images: what works on their bytes holds up nobody else."""

import threading

import pytest

from appliance.domain.errors import Unavailable


@pytest.fixture
def unending(appliance, monkeypatch):
    """Downloads that never end: every thread that there is for them is busy."""
    over = threading.Event()
    monkeypatch.setattr(appliance.images, "fetch", lambda _uuid, _url: over.wait(30))
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


def test_what_nobody_has_time_for_is_given_up(operators, appliance, monkeypatch):
    def submit(*_arguments, **_more):
        raise Unavailable("too much waits already")

    monkeypatch.setattr(appliance.context.imports, "submit", submit)
    body = {"name": "a", "url": "https://example.org/x"}
    assert operators.post("/v1/images", json=body).status_code == 503
    image = operators.get("/v1/images/a").get_json()
    assert (image["status"], "too much" in image["problem"]) == ("killed", True)
