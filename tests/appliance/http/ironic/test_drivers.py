"""/v1/drivers."""

import pytest

from appliance.http.ironic import hardware


def test_the_drivers_that_there_are(ironic):
    drivers = ironic.get("/v1/drivers").get_json()["drivers"]
    assert {one["name"] for one in drivers} == set(hardware.names())
    assert all(one["type"] == "dynamic" and "default_boot_interface" not in one for one in drivers)
    detailed = ironic.get("/v1/drivers?detail=True").get_json()["drivers"]
    assert all(one["default_deploy_interface"] in one["enabled_deploy_interfaces"] for one in detailed)
    assert ironic.get("/v1/drivers?type=classic").get_json() == {"drivers": []}
    fields = ironic.get("/v1/drivers?fields=name,hosts").get_json()["drivers"]
    assert all(set(one) == {"name", "hosts", "links"} for one in fields)


@pytest.mark.parametrize("name", hardware.names())
def test_one_driver(ironic, name):
    shown = ironic.get(f"/v1/drivers/{name}").get_json()
    assert shown["default_power_interface"] in shown["enabled_power_interfaces"]
    assert isinstance(ironic.get(f"/v1/drivers/{name}/properties").get_json(), dict)
    disk = ironic.get(f"/v1/drivers/{name}/raid/logical_disk_properties")
    assert disk.status_code == (200 if shown["default_raid_interface"] == "fake" else 404)
    assert disk.status_code == 404 or {"size_gb", "raid_level"} <= set(disk.get_json())
    assert ironic.get(f"/v1/drivers/{name}/vendor_passthru/methods").get_json() == {}
    assert ironic.post(f"/v1/drivers/{name}/vendor_passthru/x", {}).status_code == 400
    assert ironic.post(f"/v1/drivers/{name}/vendor_passthru?method=x", {}).status_code == 400


def test_kinds_of_interfaces_come_with_their_versions(ironic):
    for kind, since in (("storage", 33), ("rescue", 38), ("bios", 40), ("firmware", 86), ("boot", 30)):
        key = f"default_{kind}_interface"
        assert key in ironic.get("/v1/drivers/ipmi", version=f"1.{since}").get_json()
        assert key not in ironic.get("/v1/drivers/ipmi", version=f"1.{since - 1}").get_json()


@pytest.mark.parametrize(
    ("path", "status", "version"),
    [
        ("/nope", 404, "1.110"), ("?type=other", 400, "1.110"), ("?type=dynamic", 406, "1.29"),
        ("?fields=name", 406, "1.76"), ("?fields=colour", 400, "1.110"), ("?detail=True&fields=name", 400, "1.110"),
        ("/ipmi/raid/logical_disk_properties", 406, "1.11"), ("/nope/properties", 404, "1.110"),
    ],
)  # fmt: skip
def test_what_there_is_not_is_refused(ironic, path, status, version):
    assert ironic.get(f"/v1/drivers{path}", version=version).status_code == status


def test_driver_properties_name_what_driver_info_takes(ironic):
    for name in ("ipmi", "redfish"):
        assert f"{name}_address" in ironic.get(f"/v1/drivers/{name}/properties").get_json()
    assert ironic.get("/v1/drivers/fake-hardware/properties").get_json() == {}
    further = set(ironic.get("/v1/drivers/redfish/properties").get_json())
    assert further >= {"redfish_system_id", "redfish_verify_ca", "redfish_fingerprint", "redfish_port"}
