"""The requests that Metal3's baremetal-operator makes through gophercloud, as it makes them, without a client library.

It logs in by password, finds the endpoint in the catalogue, reads the server's maximum microversion and picks 1.89,
1.93, 1.95, 1.109 or 1.110 by it.
"""

import json
import secrets
import time
from dataclasses import dataclass
from typing import Any

import pytest
import urllib3

from tests.fakes.serving import Appliance
from tests.interop import demo

VERSIONS = ("1.89", "1.93", "1.95", "1.109", "1.110")
MAX = "1.110"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: Any
    body: Any

    @property
    def fault(self) -> str:
        """What gophercloud finds in the doubly encoded error."""
        return str(json.loads(self.body["error_message"])["faultstring"])


class Caller:
    """Requests to /baremetal with a token."""

    def __init__(self, cloud: Appliance) -> None:
        self._pool = urllib3.PoolManager(ca_certs=str(cloud.ca), retries=False, timeout=30)
        auth = demo.read(cloud.state / "clouds.yaml")["clouds"]["rackwright"]["auth"]
        user = {"name": auth["username"], "password": auth["password"], "domain": {"name": "Default"}}
        scope = {"project": {"name": auth["project_name"], "domain": {"name": "Default"}}}
        asked = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
        issued = self.send("POST", f"{auth['auth_url']}/auth/tokens", asked, {})
        assert issued.status == 201, issued
        self.token = issued.headers["X-Subject-Token"]
        catalogue = {one["type"]: one["endpoints"] for one in issued.body["token"]["catalog"]}
        self.endpoint = next(one["url"] for one in catalogue["baremetal"] if one["interface"] == "public").rstrip("/")

    def __call__(self, method: str, path: str, body: Any = None, version: str | None = MAX) -> Answer:
        headers = {"X-Auth-Token": self.token, "Accept": "application/json"}
        if version:
            headers["X-OpenStack-Ironic-API-Version"] = version
        return self.send(method, self.endpoint + path, body, headers)

    def send(self, method: str, url: str, body: Any, headers: dict[str, str]) -> Answer:
        content = None if body is None else json.dumps(body).encode()
        said = self._pool.request(method, url, body=content, headers={**headers, "Content-Type": "application/json"})
        parsed = json.loads(said.data) if said.data and "json" in said.headers.get("Content-Type", "") else None
        return Answer(status=said.status, headers=said.headers, body=parsed)

    def close(self) -> None:
        self._pool.clear()


@pytest.fixture(scope="module")
def call(cloud: Appliance):
    one = Caller(cloud)
    yield one
    one.close()


@pytest.fixture
def node(call: Caller):
    """As it registers a host: named, fake for the BMC, everything it ever sets."""
    made = call(
        "POST", "/v1/nodes",
        {
            "driver": "fake-hardware", "name": f"metal3~{secrets.token_hex(4)}", "automated_clean": False,
            "driver_info": {"deploy_kernel": "http://192.0.2.1/kernel", "deploy_ramdisk": "http://192.0.2.1/ramdisk"},
            "properties": {"capabilities": "boot_mode:uefi", "cpu_arch": "x86_64"},
        },
    )  # fmt: skip
    assert made.status == 201, made
    yield made.body
    call("PUT", f"/v1/nodes/{made.body['uuid']}/maintenance", {"reason": "test"})
    assert call("DELETE", f"/v1/nodes/{made.body['uuid']}").status == 204


def reach(call: Caller, node: Any, target: str, state: str, **more: Any) -> None:
    said = call("PUT", f"/v1/nodes/{node['uuid']}/states/provision", {"target": target, **more})
    assert said.status == 202, said
    ends = time.monotonic() + 60
    while (now := call("GET", f"/v1/nodes/{node['uuid']}").body)["provision_state"] != state:
        assert time.monotonic() < ends, now
        time.sleep(0.1)


def patch(call: Caller, node: Any, *operations: dict[str, Any]) -> Answer:
    return call("PATCH", f"/v1/nodes/{node['uuid']}", list(operations))


# -- versions


def test_root_and_v1_need_no_token(cloud: Appliance, call: Caller):
    for path in ("", "/", "/v1", "/v1/"):
        said = call.send("GET", call.endpoint + path, None, {})
        assert said.status == 200, path
    assert said.body["id"] == "v1"


def test_the_range_is_said(call: Caller):
    said = call("GET", "/v1/nodes")
    assert said.headers["X-OpenStack-Ironic-API-Minimum-Version"] == "1.1"
    low, high = said.headers["X-OpenStack-Ironic-API-Maximum-Version"].split(".")
    assert (low, int(high) >= 110) == ("1", True)


@pytest.mark.parametrize("version", VERSIONS)
def test_versions_that_it_picks(call: Caller, node: Any, version: str):
    said = call("GET", f"/v1/nodes/{node['uuid']}", version=version)
    assert said.status == 200
    assert said.headers["X-OpenStack-Ironic-API-Version"] == version
    assert ("disable_power_off" in said.body) == (int(version[2:]) >= 95)


def test_a_version_out_of_the_range(call: Caller):
    assert call("GET", "/v1/nodes", version="1.9999").status == 406
    assert call("GET", "/v1/nodes", version="2.1").status == 406


# -- nodes


def test_registration(call: Caller, node: Any):
    assert (node["provision_state"], node["driver"], node["automated_clean"]) == ("enroll", "fake-hardware", False)
    found = call("GET", f"/v1/nodes/{node['name']}")
    assert found.body["uuid"] == node["uuid"]
    listed = call("GET", "/v1/nodes?fields=uuid,name,provision_state&limit=1000").body["nodes"]
    assert {"uuid", "name", "provision_state"} <= set(listed[0])
    assert node["uuid"] in {one["uuid"] for one in listed}


def test_a_host_that_there_is_not(call: Caller):
    said = call("GET", "/v1/nodes/metal3~nobody")
    assert said.status == 404
    assert "could not be found" in said.fault


def test_registered_twice(call: Caller, node: Any):
    said = call("POST", "/v1/nodes", {"driver": "fake-hardware", "name": node["name"]})
    assert said.status == 409


def test_update(call: Caller, node: Any):
    """It adds what it wants and removes what it no longer wants, a field at a time."""
    said = patch(
        call, node,
        {"op": "add", "path": "/instance_info/image_source", "value": "http://192.0.2.1/disk.raw"},
        {"op": "add", "path": "/instance_info/image_os_hash_algo", "value": "sha256"},
        {"op": "add", "path": "/instance_info/image_os_hash_value", "value": "0" * 64},
        {"op": "add", "path": "/instance_info/image_disk_format", "value": "raw"},
        {"op": "add", "path": "/instance_info/capabilities", "value": {"boot_option": "local"}},
        {"op": "add", "path": "/instance_uuid", "value": "8f3c2b1a-0d4e-4f5a-9b6c-7d8e9f0a1b2c"},
        {"op": "add", "path": "/driver_info/force_persistent_boot_device", "value": "Default"},
        {"op": "add", "path": "/properties/root_device", "value": {"name": "s== /dev/sda"}},
    )  # fmt: skip
    assert said.status == 200, said
    assert said.body["instance_uuid"] == "8f3c2b1a-0d4e-4f5a-9b6c-7d8e9f0a1b2c"
    assert said.body["instance_info"]["image_disk_format"] == "raw"
    said = patch(
        call, node,
        {"op": "remove", "path": "/instance_uuid"},
        {"op": "remove", "path": "/instance_info/image_disk_format"},
        {"op": "replace", "path": "/automated_clean", "value": True},
    )  # fmt: skip
    assert said.status == 200, said
    assert (said.body["instance_uuid"], said.body["automated_clean"]) == (None, True)
    assert "image_disk_format" not in said.body["instance_info"]


def test_a_patch_of_nothing(call: Caller, node: Any):
    assert patch(call, node, {"op": "remove", "path": "/instance_info/nothing"}).status == 400
    assert patch(call, node, {"op": "replace", "path": "/no_such_field", "value": 1}).status == 400


def test_validate(call: Caller, node: Any):
    said = call("GET", f"/v1/nodes/{node['uuid']}/validate")
    assert said.status == 200
    assert {"boot", "deploy", "power", "management", "network"} <= set(said.body)
    assert said.body["power"]["result"] is True


def test_maintenance(call: Caller, node: Any):
    path = f"/v1/nodes/{node['uuid']}/maintenance"
    assert call("PUT", path, {"reason": "fan"}).status == 202
    assert call("GET", f"/v1/nodes/{node['uuid']}").body["maintenance_reason"] == "fan"
    assert call("DELETE", path).status == 202
    assert call("GET", f"/v1/nodes/{node['uuid']}").body["maintenance"] is False


def test_ports(call: Caller, node: Any):
    address = "52:54:00:" + ":".join(f"{one:02x}" for one in secrets.token_bytes(3))
    made = call("POST", "/v1/ports", {"node_uuid": node["uuid"], "address": address, "pxe_enabled": True})
    assert made.status == 201, made
    listed = call("GET", f"/v1/ports?node_uuid={node['uuid']}&fields=uuid,node_uuid,address").body["ports"]
    assert [one["address"] for one in listed] == [address]
    assert [one["uuid"] for one in call("GET", f"/v1/ports?address={address}").body["ports"]] == [made.body["uuid"]]
    assert call("GET", f"/v1/ports/detail?address={address}").body["ports"][0]["node_uuid"] == node["uuid"]
    assert call("POST", "/v1/ports", {"node_uuid": node["uuid"], "address": address}).status == 409


def test_drivers(call: Caller):
    listed = {one["name"] for one in call("GET", "/v1/drivers").body["drivers"]}
    assert "fake-hardware" in listed


# -- the life of a host


def test_provisioning(call: Caller, node: Any):
    reach(call, node, "manage", "manageable")
    reach(call, node, "inspect", "manageable")
    reach(call, node, "clean", "manageable", clean_steps=[{"interface": "raid", "step": "delete_configuration"}])
    reach(call, node, "provide", "available")
    patch(
        call, node,
        {"op": "add", "path": "/instance_info/image_source", "value": "http://192.0.2.1/disk.raw"},
        {"op": "add", "path": "/instance_info/image_checksum", "value": "0" * 32},
    )  # fmt: skip
    drive = {"meta_data": {"uuid": node["uuid"], "local-hostname": "one"}, "user_data": "#cloud-config\n"}
    reach(call, node, "active", "active", configdrive=drive)
    reach(call, node, "deleted", "available")
    reach(call, node, "manage", "manageable")


def test_adoption(call: Caller, node: Any):
    """A host that runs already is taken over without being touched."""
    reach(call, node, "manage", "manageable")
    patch(call, node, {"op": "add", "path": "/instance_info/image_source", "value": "http://192.0.2.1/disk.raw"})
    reach(call, node, "adopt", "active")


def test_a_verb_that_the_state_forbids(call: Caller, node: Any):
    said = call("PUT", f"/v1/nodes/{node['uuid']}/states/provision", {"target": "active"})
    assert said.status == 400
    assert 'while it is in state "enroll"' in said.fault


def test_power(call: Caller, node: Any):
    reach(call, node, "manage", "manageable")
    for target, state in (("power on", "power on"), ("soft power off", "power off"), ("power on", "power on")):
        said = call("PUT", f"/v1/nodes/{node['uuid']}/states/power", {"target": target})
        assert said.status == 202, said
        ends = time.monotonic() + 60
        while call("GET", f"/v1/nodes/{node['uuid']}").body["power_state"] != state:
            assert time.monotonic() < ends
            time.sleep(0.1)


@pytest.mark.parametrize("path", ["bios?detail=True", "firmware", "inventory"])
def test_reads_of_the_hardware(call: Caller, node: Any, path: str):
    """It treats 404 as: not known."""
    said = call("GET", f"/v1/nodes/{node['uuid']}/{path}")
    assert said.status in {200, 404}, said


def test_raid(call: Caller, node: Any):
    """It resets the wanted RAID before each cleaning; on a driver without RAID it reads the refusal."""
    said = call("PUT", f"/v1/nodes/{node['uuid']}/states/raid", {"logical_disks": []})
    assert said.status in {204, 400, 404}, said


def test_virtual_media_is_attached_or_refused(call: Caller, node: Any):
    """A 202 or 204 has to mean that the driver has virtual media."""
    reach(call, node, "manage", "manageable")
    asked = {"device_type": "cdrom", "image_url": "http://192.0.2.1/config.iso"}
    said = call("POST", f"/v1/nodes/{node['uuid']}/vmedia", asked)
    assert said.status in {204, 400}, said
    assert call("POST", f"/v1/nodes/{node['uuid']}/vmedia", asked, version="1.88").status == 404
    wrong = call("POST", f"/v1/nodes/{node['uuid']}/vmedia", {**asked, "device_type": "tape"})
    assert wrong.status == 400


def test_event_subscriptions_are_refused(call: Caller, node: Any):
    said = call("GET", f"/v1/nodes/{node['uuid']}/vendor_passthru?method=get_all_subscriptions")
    assert said.status in {400, 404}
    assert said.fault


def test_no_token_and_a_wrong_one(call: Caller):
    for headers in ({}, {"X-Auth-Token": "gAAAAnonsense"}):
        assert call.send("GET", f"{call.endpoint}/v1/nodes", None, headers).status == 401
