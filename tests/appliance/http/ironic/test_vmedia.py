"""Virtual media of nodes: put in and taken out for real on Redfish, pretended on the fake driver, refused elsewhere."""

import pytest
from sqlalchemy import select

from appliance.models.event import Event
from tests.fakes.ironic_client import fault

ISO = {"device_type": "cdrom", "image_url": "http://192.0.2.1/a.iso?key=s3cr3t"}
SHOWN = "http://192.0.2.1/a.iso"


def attached(api, name):
    return [one["image"] for one in api.get(f"/v1/nodes/{name}/vmedia").get_json() if one["inserted"]]


@pytest.mark.parametrize("name", ["redfish", "fake-hardware"])
def test_an_image_is_attached_shown_and_detached(wired, name):
    api, path = wired.api, f"/v1/nodes/{name}/vmedia"
    assert attached(api, name) == []
    assert api.post(path, ISO).status_code == 204
    assert attached(api, name) == [SHOWN]
    disk = {"device_type": "disk", "image_url": "https://images.example/b.img", "image_download_source": "http"}
    assert api.post(path, disk).status_code == 204
    assert attached(api, name) == [SHOWN, disk["image_url"]]
    assert api.delete(f"{path}?device_types=cdrom").status_code == 204
    assert attached(api, name) == [disk["image_url"]]
    for _ in range(2):
        assert api.delete(path).status_code == 204
    assert attached(api, name) == []


def test_the_bmc_is_told_the_whole_url_and_nobody_else(wired):
    assert wired.api.post("/v1/nodes/redfish/vmedia", ISO).status_code == 204
    assert wired.rigs["redfish"].bmc.state.images == {"Cd": ISO["image_url"]}
    with wired.appliance.database.read() as session:
        told = list(session.scalars(select(Event.message).where(Event.kind == "bmc.set")))
    assert told == ["virtual media: cdrom attached"]
    assert "s3cr3t" not in wired.api.get("/v1/nodes/redfish/vmedia").get_data(as_text=True)


def test_its_shape(wired):
    assert wired.api.get("/v1/nodes/redfish/vmedia").get_json() == [
        {"media_types": ["CD", "DVD"], "inserted": False, "image": None},
        {"media_types": ["Floppy", "USBStick"], "inserted": False, "image": None},
    ]


@pytest.mark.parametrize("name", ["ipmi", "manual-management"])
@pytest.mark.parametrize(("method", "what"), [("GET", "get"), ("POST", "attach"), ("DELETE", "detach")])
def test_drivers_without_virtual_media_say_so(wired, name, method, what):
    answer = wired.api(method, f"/v1/nodes/{name}/vmedia", ISO if method == "POST" else None)
    assert answer.status_code == 400
    words = f"Driver {name} does not support {what}_virtual_media (disabled or not implemented)."
    assert fault(answer)["faultstring"] == words


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"device_type": "tape"}, "Schema error for vmedia"),
        ({"image_url": None}, "Schema error for vmedia"),
        ({"image_url": ["http://h/x"]}, "Schema error for vmedia"),
        ({"username": "x"}, "Schema error for vmedia"),
        ({"image_download_source": "carrier pigeon"}, "Schema error for vmedia"),
        ({"image_download_source": "local"}, "local is not supported"),
        ({"image_download_source": "swift"}, "swift is not supported"),
        ({"image_url": "0a0b0c"}, "Unsupported or missing URL scheme"),
        ({"image_url": "file:///etc/passwd"}, "Unsupported or missing URL scheme: file"),
        ({"image_url": "http://u:p@h/x.iso"}, "user name or password"),
        ({"image_url": "http://127.0.0.1/x.iso"}, "no BMC is sent"),
    ],
)
def test_what_cannot_be_attached(wired, change, words):
    answer = wired.api.post("/v1/nodes/redfish/vmedia", {**ISO, **change})
    assert answer.status_code == 400
    assert words in fault(answer)["faultstring"]
    assert wired.rigs["redfish"].bmc.requests == []


def test_kinds_that_there_are_not_are_not_detached(wired):
    answer = wired.api.delete("/v1/nodes/redfish/vmedia?device_types=cdrom,tape")
    assert answer.status_code == 400
    assert fault(answer)["faultstring"] == "Invalid device type(s) tape (valid are cdrom, disk, floppy)"


def test_a_bmc_that_refuses_says_why(wired):
    wired.rigs["redfish"].bmc.weather.status = 503
    answer = wired.api.post("/v1/nodes/redfish/vmedia", ISO)
    assert answer.status_code == 424
    assert "The BMC answered 503" in fault(answer)["faultstring"]


def test_versions_and_strangers(wired):
    path = "/v1/nodes/redfish/vmedia"
    assert wired.api.post(path, ISO, version="1.88").status_code == 404
    assert wired.api.delete(path, version="1.88").status_code == 404
    assert wired.api.get(path, version="1.92").status_code == 404
    for method in ("GET", "POST", "DELETE"):
        assert wired.api(method, "/v1/nodes/nobody/vmedia", ISO if method == "POST" else None).status_code == 404
