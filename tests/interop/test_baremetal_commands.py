"""The bare metal commands of an OpenStack guide, as typed.

A node of the driver `ipmi` has a virtual BMC behind it, so that power and boot device are a machine's; whole lives are
led by nodes of `fake-hardware`.
"""

import base64
import gzip
import json
import secrets
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bmc.types import BootDevice
from images import configdrive
from tests.fakes.bmcs import SECRET, Rig
from tests.interop.clients import Terminal

STEPS = """'[{"interface": "bios", "step": "apply_configuration", "args": {"settings": []}, "priority": 150}]'"""
RUNBOOK = """'[{"interface": "bios", "step": "apply_configuration", "args": {"settings": []}, "order": 1}]'"""
INSTANCE = "--instance-info image_source=http://127.0.0.1:9/disk.raw --instance-info image_checksum=" + "0" * 32


@pytest.fixture
def name() -> str:
    return f"n{secrets.token_hex(4)}"


@pytest.fixture
def real(typed: Terminal, rig: Rig, name: str):
    """A node with a BMC."""
    made = typed.shows(
        f"openstack baremetal node create --driver ipmi --driver-info ipmi_address={rig.bmc.address} "
        f"--driver-info ipmi_port={rig.bmc.udp_port} --driver-info ipmi_username=admin "
        f"--driver-info ipmi_password={SECRET} --property cpus=8 --property memory_mb=16384 --property local_gb=100 "
        f"--property cpu_arch=x86_64 --resource-class gold --name {name}"
    )
    yield made
    remove(typed, name)


@pytest.fixture
def fake(typed: Terminal, name: str):
    """A node of fake-hardware, enrolled."""
    made = typed.shows(f"openstack baremetal node create --driver fake-hardware --name {name}")
    yield made
    remove(typed, name)


@pytest.fixture
def available(typed: Terminal, fake, name: str):
    typed.does(f"openstack baremetal node manage {name} --wait 100")
    typed.does(f"openstack baremetal node provide {name} --wait 100")
    return fake


@pytest.fixture
def active(typed: Terminal, available, name: str):
    typed.does(f"openstack baremetal node set {name} {INSTANCE}")
    typed.does(f"openstack baremetal node deploy {name} --wait 100")
    return available


def remove(typed: Terminal, name: str) -> None:
    typed.does(f"openstack baremetal node maintenance set {name}")
    typed.does(f"openstack baremetal node delete {name}")


def state(typed: Terminal, name: str, field: str = "provision_state"):
    return typed.shows(f"openstack baremetal node show {name} --fields {field}")[field]


def until(claim: Callable[[], object], within_s: float = 60) -> None:
    ends = time.monotonic() + within_s
    while not claim():
        assert time.monotonic() < ends, f"not within {within_s} s"


def mac() -> str:
    return "52:54:00:" + ":".join(f"{one:02x}" for one in secrets.token_bytes(3))


# -- nodes


def test_node_create(typed: Terminal, real, name: str):
    assert real["driver"] == "ipmi"
    assert real["provision_state"] == "enroll"
    assert real["properties"]["cpus"] in {"8", 8}
    assert real["driver_info"]["ipmi_password"] == "******"
    assert SECRET not in json.dumps(real)
    listed = {one["name"]: one for one in typed.shows("openstack baremetal node list")}
    assert listed[name]["uuid"] == real["uuid"]
    assert listed[name]["provision_state"] == "enroll"
    assert listed[name]["maintenance"] is False


@pytest.mark.parametrize(
    ("options", "is_found"),
    [
        ("--provision-state enroll", True),
        ("--provision-state active", False),
        ("--driver ipmi", True),
        ("--driver fake-hardware", False),
        ("--resource-class gold", True),
        ("--no-maintenance", True),
        ("--unassociated", True),
        ("--long", True),
        ("--sort provision_state:desc --limit 1000", True),
    ],
)
def test_node_list(typed: Terminal, real, options: str, is_found: bool):
    listed = typed.shows(f"openstack baremetal node list {options}")
    assert (real["uuid"] in {one["uuid"] for one in listed}) == is_found


def test_node_list_fields(typed: Terminal, real, name: str):
    listed = typed.shows("openstack baremetal node list --fields name driver properties")
    assert {tuple(one) for one in listed} == {("name", "driver", "properties")}


def test_node_set_and_unset(typed: Terminal, fake, name: str):
    typed.does(
        f"openstack baremetal node set {name} --property rack=7 --extra owner=ops --description 'Old one' "
        "--resource-class silver --driver-info fake=yes"
    )
    shown = typed.shows(f"openstack baremetal node show {name}")
    assert (shown["extra"], shown["description"], shown["resource_class"]) == ({"owner": "ops"}, "Old one", "silver")
    typed.does(f"openstack baremetal node unset {name} --property rack --extra owner --description")
    shown = typed.shows(f"openstack baremetal node show {name}")
    assert (shown["extra"], shown["description"]) == ({}, None)
    assert "rack" not in shown["properties"]


def test_a_name_is_given_once(typed: Terminal, fake, name: str):
    said = typed(f"openstack baremetal node create --driver fake-hardware --name {name}")
    assert said.code == 1
    assert "(HTTP 409)" in said.err


def test_a_driver_that_there_is_not(typed: Terminal):
    said = typed("openstack baremetal node create --driver floppy")
    assert said.code == 1
    assert "No valid host was found" in said.err
    assert "(HTTP 400)" in said.err


def test_a_node_that_there_is_not(typed: Terminal):
    said = typed("openstack baremetal node show no-such-node")
    assert said.code == 1
    assert "(HTTP 404)" in said.err


def test_maintenance(typed: Terminal, fake, name: str):
    typed.does(f"openstack baremetal node maintenance set {name} --reason 'New fan'")
    shown = typed.shows(f"openstack baremetal node show {name}")
    assert (shown["maintenance"], shown["maintenance_reason"]) == (True, "New fan")
    typed.does(f"openstack baremetal node maintenance unset {name}")
    shown = typed.shows(f"openstack baremetal node show {name}")
    assert (shown["maintenance"], shown["maintenance_reason"]) == (False, None)


def test_validate(typed: Terminal, fake, name: str):
    found = {one["Interface"]: one["Result"] for one in typed.shows(f"openstack baremetal node validate {name}")}
    assert found["power"] is True
    assert found["management"] is True
    assert {"boot", "deploy", "network", "bios", "inspect", "raid", "rescue"} <= set(found)


def test_traits(typed: Terminal, fake, name: str):
    typed.does(f"openstack baremetal node add trait {name} CUSTOM_GPU HW_CPU_X86_VMX")
    listed = {one["traits"] for one in typed.shows(f"openstack baremetal node trait list {name}")}
    assert listed == {"CUSTOM_GPU", "HW_CPU_X86_VMX"}
    typed.does(f"openstack baremetal node remove trait {name} CUSTOM_GPU")
    typed.does(f"openstack baremetal node remove trait {name} --all")
    assert typed.shows(f"openstack baremetal node trait list {name}") == []


def test_children(typed: Terminal, fake, name: str):
    made = typed.shows(f"openstack baremetal node create --driver fake-hardware --parent-node {fake['uuid']}")
    listed = typed.shows(f"openstack baremetal node children list {name}")
    assert made["uuid"] in json.dumps(listed)
    typed.does(f"openstack baremetal node delete {made['uuid']}")


# -- the real machine


def test_manage_asks_the_bmc(typed: Terminal, real, rig: Rig, name: str):
    typed.does(f"openstack baremetal node manage {name} --wait 60")
    shown = typed.shows(f"openstack baremetal node show {name}")
    assert (shown["provision_state"], shown["power_state"]) == ("manageable", "power off")


def test_manage_with_a_wrong_password(typed: Terminal, real, name: str):
    typed.does(f"openstack baremetal node set {name} --driver-info ipmi_password=wrong")
    said = typed(f"openstack baremetal node manage {name} --wait 60")
    assert said.code == 1
    shown = typed.shows(f"openstack baremetal node show {name}")
    assert shown["provision_state"] == "enroll"
    assert shown["last_error"]
    assert "wrong" not in shown["last_error"].lower().replace("wrong password", "")


def test_power(typed: Terminal, real, rig: Rig, name: str):
    typed.does(f"openstack baremetal node manage {name} --wait 60")
    for line, is_on, power_state in (
        (f"openstack baremetal node power on {name}", True, "power on"),
        (f"openstack baremetal node power off {name}", False, "power off"),
    ):
        typed.does(line)
        until(lambda wanted=power_state: state(typed, name, "power_state") == wanted)
        assert rig.machine.is_on() == is_on


def test_reboot(typed: Terminal, real, rig: Rig, name: str):
    typed.does(f"openstack baremetal node manage {name} --wait 60")
    typed.does(f"openstack baremetal node power on {name}")
    until(lambda: rig.machine.is_on() and state(typed, name, "target_power_state") is None)
    before = len(rig.machine.history)
    typed.does(f"openstack baremetal node reboot {name}")
    until(lambda: len(rig.machine.history) > before and rig.machine.is_on())


def test_boot_device(typed: Terminal, real, rig: Rig, name: str):
    typed.does(f"openstack baremetal node manage {name} --wait 60")
    assert "pxe" in str(typed.shows(f"openstack baremetal node boot device show {name} --supported"))
    typed.does(f"openstack baremetal node boot device set {name} disk --persistent")
    shown = typed.shows(f"openstack baremetal node boot device show {name}")
    assert (shown["boot_device"], shown["persistent"]) == ("disk", True)
    assert rig.machine.persistent is BootDevice.DISK
    typed.does(f"openstack baremetal node boot device set {name} pxe")
    assert rig.machine.once is BootDevice.PXE


def test_inject_nmi(typed: Terminal, real, rig: Rig, name: str):
    typed.does(f"openstack baremetal node manage {name} --wait 60")
    said = typed(f"openstack baremetal node inject nmi {name}")
    assert said.code == 1
    assert "The machine is off" in said.err
    rig.machine.power_on()
    typed.does(f"openstack baremetal node inject nmi {name}")
    assert rig.machine.history == ["on", "nmi"]


def test_inspect_is_aborted(typed: Terminal, real, rig: Rig, name: str):
    """The machine is told to boot into inspection; nobody is there to boot it, so the operator gives up."""
    typed.does(f"openstack baremetal port create --node {real['uuid']} {mac()}")
    typed.does(f"openstack baremetal node manage {name} --wait 60")
    typed.does(f"openstack baremetal node inspect {name}")
    until(lambda: state(typed, name) == "inspect wait")
    typed.does(f"openstack baremetal node abort {name}")
    until(lambda: state(typed, name) == "inspect failed")
    typed.does(f"openstack baremetal node manage {name} --wait 60")


# -- a whole life


def test_a_verb_that_the_state_forbids(typed: Terminal, fake, name: str):
    said = typed(f"openstack baremetal node deploy {name}")
    assert said.code == 1
    assert 'The requested action "active" can not be performed on node' in said.err
    assert 'while it is in state "enroll".' in said.err
    assert "(HTTP 400)" in said.err


def test_manage_provide_inspect(typed: Terminal, fake, name: str):
    typed.does(f"openstack baremetal node manage {name} --wait 100")
    assert state(typed, name) == "manageable"
    typed.does(f"openstack baremetal node inspect {name} --wait 100")
    assert state(typed, name) == "manageable"
    typed.does(f"openstack baremetal node provide {name} --wait 100")
    assert state(typed, name) == "available"


@pytest.mark.parametrize(
    "config_drive", ["", """ --config-drive '{"meta_data": {"hostname": "one"}, "user_data": "#!"}'"""]
)
def test_deploy_rebuild_undeploy(typed: Terminal, available, name: str, config_drive: str):
    typed.does(f"openstack baremetal node set {name} {INSTANCE}")
    typed.does(f"openstack baremetal node deploy {name}{config_drive} --wait 100")
    assert state(typed, name) == "active"
    typed.does(f"openstack baremetal node rebuild {name} --wait 100")
    assert state(typed, name) == "active"
    typed.does(f"openstack baremetal node undeploy {name} --wait 100")
    assert state(typed, name) == "available"


def test_config_drive_of_a_file(typed: Terminal, available, name: str, tmp_path: Path):
    """A file holds what the client would make of a directory, had it a tool for it: base64 of a gzipped ISO 9660."""
    drive = configdrive.of_documents(meta_data={"hostname": "one"}, user_data=None, network=None, vendor=None)
    (tmp_path / "drive").write_bytes(base64.b64encode(gzip.compress(drive)))
    typed.does(f"openstack baremetal node set {name} {INSTANCE}")
    typed.does(f"openstack baremetal node deploy {name} --config-drive {tmp_path}/drive --wait 100")
    assert state(typed, name) == "active"
    typed.does(f"openstack baremetal node undeploy {name} --wait 100")


def test_rescue(typed: Terminal, active, name: str):
    typed.does(f"openstack baremetal node rescue {name} --rescue-password s3cret-rescue --wait 100")
    assert state(typed, name) == "rescue"
    typed.does(f"openstack baremetal node unrescue {name} --wait 100")
    assert state(typed, name) == "active"
    assert "s3cret-rescue" not in typed(f"openstack baremetal node show {name} -f json").out


def test_clean(typed: Terminal, fake, name: str):
    typed.does(f"openstack baremetal node manage {name} --wait 100")
    steps = """'[{"interface": "deploy", "step": "erase_devices"}]'"""
    typed.does(f"openstack baremetal node clean {name} --clean-steps {steps} --wait 100")
    assert state(typed, name) == "manageable"


def test_service(typed: Terminal, active, name: str):
    steps = """'[{"interface": "deploy", "step": "erase_devices"}]'"""
    said = typed(f"openstack baremetal node service {name} --service-steps {steps} --wait 100")
    assert said.code == 0 or "(HTTP 400)" in said.err
    assert state(typed, name) in {"active", "service failed"}


def test_adopt(typed: Terminal, fake, name: str):
    typed.does(f"openstack baremetal node set {name} {INSTANCE}")
    typed.does(f"openstack baremetal node manage {name} --wait 100")
    typed.does(f"openstack baremetal node adopt {name} --wait 100")
    assert state(typed, name) == "active"


def test_history(typed: Terminal, active, name: str):
    listed = typed.shows(f"openstack baremetal node history list {name}")
    assert isinstance(listed, list)
    for one in listed[:1]:
        assert typed.shows(f"openstack baremetal node history get {name} {one['uuid']}")["uuid"] == one["uuid"]


def test_inventory_save(typed: Terminal, fake, name: str, tmp_path: Path):
    typed.does(f"openstack baremetal node manage {name} --wait 100")
    said = typed(f"openstack baremetal node inventory save {name} --file {tmp_path}/inventory.json")
    assert said.code == 1, "nobody has inspected it"
    assert "(HTTP 404)" in said.err
    typed.does(f"openstack baremetal node inspect {name} --wait 100")
    said = typed(f"openstack baremetal node inventory save {name} --file {tmp_path}/inventory.json")
    assert said.code == 0 or "(HTTP 404)" in said.err


# -- ports, port groups, chassis


def test_port(typed: Terminal, fake, name: str):
    address = mac()
    made = typed.shows(
        f"openstack baremetal port create --node {fake['uuid']} --physical-network prov --pxe-enabled true "
        f"--local-link-connection switch_id={address} --local-link-connection port_id=Ethernet1/7 {address}"
    )
    assert (made["address"], made["node_uuid"], made["physical_network"]) == (address, fake["uuid"], "prov")
    assert made["local_link_connection"] == {"switch_id": address, "port_id": "Ethernet1/7"}
    assert [one["address"] for one in typed.shows(f"openstack baremetal port list --node {name}")] == [address]
    assert typed.shows(f"openstack baremetal port show --address {address}")["uuid"] == made["uuid"]
    typed.does(f"openstack baremetal port set {made['uuid']} --extra slot=left")
    assert typed.shows(f"openstack baremetal port show {made['uuid']}")["extra"] == {"slot": "left"}
    again = typed(f"openstack baremetal port create --node {fake['uuid']} {address}")
    assert again.code == 1
    assert "(HTTP 409)" in again.err
    typed.does(f"openstack baremetal port delete {made['uuid']}")
    assert typed.shows(f"openstack baremetal port list --node {name}") == []


def test_port_group(typed: Terminal, fake, name: str):
    create = f"openstack baremetal port group create --node {fake['uuid']} --address {mac()}"
    made = typed.shows(f"{create} --name {name}-bond --mode 802.3ad")
    assert (made["name"], made["mode"]) == (f"{name}-bond", "802.3ad")
    typed.does(f"openstack baremetal port group set {name}-bond --mode active-backup")
    assert typed.shows(f"openstack baremetal port group show {name}-bond")["mode"] == "active-backup"
    assert f"{name}-bond" in {one["name"] for one in typed.shows("openstack baremetal port group list")}
    typed.does(f"openstack baremetal port group delete {name}-bond")


def test_chassis(typed: Terminal):
    made = typed.shows("openstack baremetal chassis create --description 'Blade box'")
    typed.does(f"openstack baremetal chassis set {made['uuid']} --description 'Blade box 2'")
    assert typed.shows(f"openstack baremetal chassis show {made['uuid']}")["description"] == "Blade box 2"
    assert made["uuid"] in {one["uuid"] for one in typed.shows("openstack baremetal chassis list")}
    typed.does(f"openstack baremetal chassis delete {made['uuid']}")


def test_vif(typed: Terminal, fake, name: str):
    typed.does(f"openstack baremetal port create --node {fake['uuid']} {mac()}")
    identity = "9c2b7e6a-1f3d-4a5b-8c7d-6e5f4a3b2c1d"
    typed.does(f"openstack baremetal node vif attach {name} {identity}")
    assert identity in json.dumps(typed.shows(f"openstack baremetal node vif list {name}"))
    typed.does(f"openstack baremetal node vif detach {name} {identity}")
    assert typed.shows(f"openstack baremetal node vif list {name}") == []


# -- what the appliance is


def test_driver(typed: Terminal):
    listed = {one["name"]: one["hosts"] for one in typed.shows("openstack baremetal driver list")}
    assert {"fake-hardware", "ipmi", "manual-management"} <= set(listed)
    assert all(listed.values())
    shown = typed.shows("openstack baremetal driver show ipmi")
    assert (shown["name"], shown["type"]) == ("ipmi", "dynamic")
    assert shown["default_power_interface"]
    properties = {one["property"] for one in typed.shows("openstack baremetal driver property list ipmi")}
    assert {"ipmi_address", "ipmi_username", "ipmi_password", "ipmi_port"} <= properties


def test_conductor(typed: Terminal):
    listed = typed.shows("openstack baremetal conductor list")
    assert [one["alive"] for one in listed] == [True]
    host = listed[0]["hostname"]
    shown = typed.shows(f"openstack baremetal conductor show {host}")
    assert shown["hostname"] == host
    assert "fake-hardware" in shown["drivers"]


# -- allocations, templates, runbooks, rules, volumes


def test_allocation(typed: Terminal, available, name: str):
    typed.does(f"openstack baremetal node set {name} --resource-class {name}")
    typed.does(f"openstack baremetal node add trait {name} CUSTOM_GPU")
    made = typed.shows(
        f"openstack baremetal allocation create --resource-class {name} --trait CUSTOM_GPU --name a{name} --wait 100"
    )
    assert (made["state"], made["node_uuid"]) == ("active", available["uuid"])
    assert typed.shows(f"openstack baremetal node show {name}")["allocation_uuid"] == made["uuid"]
    assert f"a{name}" in {one["name"] for one in typed.shows("openstack baremetal allocation list")}
    typed.does(f"openstack baremetal allocation delete a{name}")
    assert typed.shows(f"openstack baremetal node show {name}")["instance_uuid"] is None


def test_allocation_of_nothing(typed: Terminal, name: str):
    said = typed(f"openstack baremetal allocation create --resource-class {name} --name a{name} --wait 100")
    assert said.code == 1
    shown = typed.shows(f"openstack baremetal allocation show a{name}")
    assert shown["state"] == "error"
    assert shown["last_error"]
    typed.does(f"openstack baremetal allocation delete a{name}")


def test_deploy_template(typed: Terminal, name: str):
    template = f"CUSTOM_{name.upper()}"
    made = typed.shows(f"openstack baremetal deploy template create {template} --steps {STEPS}")
    assert made["name"] == template
    assert template in {one["name"] for one in typed.shows("openstack baremetal deploy template list")}
    typed.does(f"openstack baremetal deploy template set {template} --extra by=ops")
    assert typed.shows(f"openstack baremetal deploy template show {template}")["extra"] == {"by": "ops"}
    typed.does(f"openstack baremetal deploy template delete {template}")


def test_runbook(typed: Terminal, name: str):
    runbook = f"CUSTOM_{name.upper()}"
    made = typed.shows(f"openstack baremetal runbook create --name {runbook} --steps {RUNBOOK}")
    assert made["name"] == runbook
    assert runbook in {one["name"] for one in typed.shows("openstack baremetal runbook list")}
    typed.does(f"openstack baremetal runbook set {runbook} --public true")
    assert typed.shows(f"openstack baremetal runbook show {runbook}")["public"] is True
    typed.does(f"openstack baremetal runbook delete {runbook}")


def test_runbook_with_traits(typed: Terminal, fake, name: str):
    typed.does(f"openstack baremetal runbook create --name {name} --description wipe --steps {RUNBOOK}")
    typed.does(f"openstack baremetal runbook trait add {name} CUSTOM_WIPE CUSTOM_B")
    typed.does(f"openstack baremetal runbook trait remove {name} CUSTOM_B")
    assert typed.shows(f"openstack baremetal runbook trait list {name}") == [{"traits": "CUSTOM_WIPE"}]
    assert typed.shows(f"openstack baremetal runbook show {name}")["description"] == "wipe"
    typed.does(f"openstack baremetal node manage {name} --wait 100")
    refused = typed(f"openstack baremetal node clean {name} --runbook {name}")
    assert "does not have any of the runbook's traits ['CUSTOM_WIPE']" in refused.err
    typed.does(f"openstack baremetal node add trait {name} CUSTOM_WIPE")
    typed.does(f"openstack baremetal node clean {name} --runbook {name} --wait 100")
    assert state(typed, name) == "manageable"
    typed.does(f"openstack baremetal runbook delete {name}")


def test_inspection_rule(typed: Terminal):
    made = typed.shows(
        "openstack baremetal inspection rule create --description Big "
        """--conditions '[{"op": "eq", "args": {"values": [1, 1]}}]' """
        """--actions '[{"op": "set-attribute", "args": {"path": "/extra/big", "value": "yes"}}]'"""
    )
    assert made["uuid"] in {one["uuid"] for one in typed.shows("openstack baremetal inspection rule list")}
    typed.does(f"openstack baremetal inspection rule delete {made['uuid']}")


def test_volumes(typed: Terminal, fake, name: str):
    typed.does(f"openstack baremetal node power off {name}")
    connector = typed.shows(
        f"openstack baremetal volume connector create --node {fake['uuid']} --type iqn "
        f"--connector-id iqn.2026-11.net.example:{name}"
    )
    assert connector["type"] == "iqn"
    target = typed.shows(
        f"openstack baremetal volume target create --node {fake['uuid']} --type iscsi --boot-index 0 --volume-id {name}"
    )
    assert target["volume_id"] == name
    typed.does(f"openstack baremetal volume target delete {target['uuid']}")
    typed.does(f"openstack baremetal volume connector delete {connector['uuid']}")


def test_shards(typed: Terminal, fake, name: str):
    typed.does(f"openstack baremetal node set {name} --shard s{name}")
    assert {"name": f"s{name}", "count": 1} in typed.shows("openstack baremetal shard list")
    assert [one["name"] for one in typed.shows(f"openstack baremetal node list --shards s{name}")] == [name]
