"""NMI and secure boot: what reaches the machine, by driver, and what is refused."""

import pytest

from tests.fakes.ironic_client import fault


@pytest.mark.parametrize("driver", ["ipmi", "redfish"])
def test_an_nmi_reaches_a_machine_that_runs(wired, driver):
    path, machine = f"/v1/nodes/{driver}/management/inject_nmi", wired.rigs[driver].machine
    answer = wired.api.put(path)
    assert answer.status_code == 400
    assert "The machine is off" in fault(answer)["faultstring"]
    machine.power_on()
    assert wired.api.put(path).status_code == 204
    assert machine.history == ["on", "nmi"]
    history = wired.api.get(f"/v1/nodes/{driver}/history?detail=True").get_json()["history"]
    assert "NMI injected" in [one["event"] for one in history]


@pytest.mark.parametrize("driver", ["fake-hardware", "manual-management"])
def test_drivers_without_nmi_say_so(wired, driver):
    answer = wired.api.put(f"/v1/nodes/{driver}/management/inject_nmi")
    assert answer.status_code == 400
    words = f"Driver {driver} does not support inject_nmi (disabled or not implemented)."
    assert fault(answer)["faultstring"] == words


def test_an_nmi_wants_a_bmc_to_tell(wired):
    assert wired.api.post("/v1/nodes", {"driver": "ipmi", "name": "bare"}).status_code == 201
    answer = wired.api.put("/v1/nodes/bare/management/inject_nmi")
    assert (answer.status_code, "ipmi_address" in fault(answer)["faultstring"]) == (400, True)


def test_secure_boot_is_set_on_redfish(wired):
    bmc = wired.rigs["redfish"].bmc
    for target in (True, "false"):
        assert wired.api.put("/v1/nodes/redfish/states/secure_boot", {"target": target}).status_code == 202
        assert bmc.state.has_secure_boot is (target is True)
        for shown in (wired.api.get("/v1/nodes/redfish"), wired.api.get("/v1/nodes/redfish/states")):
            assert shown.get_json()["secure_boot"] is (target is True)
    assert wired.api.put("/v1/nodes/redfish/states/secure_boot", {}).status_code == 400


def test_the_boot_device_of_a_redfish_node_is_set_for_real(wired):
    path, machine = "/v1/nodes/redfish/management/boot_device", wired.rigs["redfish"].machine
    assert wired.api.put("/v1/nodes/redfish/states/boot_mode", {"target": "uefi"}).status_code == 202
    assert wired.api.put(path, {"boot_device": "cdrom", "persistent": True}).status_code == 204
    assert wired.api.get(path).get_json() == {"boot_device": "cdrom", "persistent": True}
    assert machine.persistent.value == "cdrom"
    assert wired.rigs["redfish"].bmc.state.boot["BootSourceOverrideMode"] == "UEFI"
