"""The commands that few guides have, as typed: each does what it says, or is refused in words that say why."""

import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.serving import boot_sector
from tests.interop.clients import Terminal

STEP = '{"interface": "bios", "step": "apply_configuration", "args": {"settings": []}, '
FAIL = """--actions '[{"op": "fail", "args": {"msg": "no"}}]'"""


@pytest.fixture
def name() -> str:
    return f"n{secrets.token_hex(4)}"


@pytest.fixture
def node(typed: Terminal, name: str) -> Iterator[str]:
    """A node of fake-hardware called `name`, enrolled; its UUID."""
    made = typed.shows(f"openstack baremetal node create --driver fake-hardware --name {name}")
    yield made["uuid"]
    typed.does(f"openstack baremetal node delete {name}")


def mac() -> str:
    return "52:54:00:" + ":".join(f"{one:02x}" for one in secrets.token_bytes(3))


def refused(typed: Terminal, line: str, *words: str) -> None:
    said = typed(line)
    assert said.code == 1, said
    assert all(word in said.err for word in words), said


# -- bare metal


def test_a_file_of_nodes_ports_and_chassis(typed: Terminal, home: Path, name: str):
    one = {"driver": "fake-hardware", "name": name, "ports": [{"address": mac()}],
           "portgroups": [{"name": f"{name}-bond", "ports": [{"address": mac()}]}]}  # fmt: skip
    (home / f"{name}.json").write_text(json.dumps({"chassis": [{"description": name, "nodes": [one]}]}))
    typed.does(f"openstack baremetal create {home}/{name}.json")
    assert len(typed.shows(f"openstack baremetal port list --node {name}")) == 2
    chassis = typed.shows(f"openstack baremetal node show {name}")["chassis_uuid"]
    typed.does(f"openstack baremetal node delete {name}")
    typed.does(f"openstack baremetal chassis unset {chassis} --description")
    assert typed.shows(f"openstack baremetal chassis show {chassis}")["description"] is None
    typed.does(f"openstack baremetal chassis delete {chassis}")


def test_ports_lose_what_they_had(typed: Terminal, node: str, name: str):
    bond = typed.shows(f"openstack baremetal port group create --node {node} --name {name}-bond --extra a=b")
    port = typed.shows(
        f"openstack baremetal port create --node {node} --port-group {bond['uuid']} --physical-network prov {mac()}"
    )["uuid"]
    refused(typed, f"openstack baremetal port group delete {name}-bond", "contains ports")
    typed.does(f"openstack baremetal port unset {port} --physical-network --port-group")
    shown = typed.shows(f"openstack baremetal port show {port}")
    assert (shown["physical_network"], shown["portgroup_uuid"]) == (None, None)
    typed.does(f"openstack baremetal port group unset {name}-bond --extra a")
    assert typed.shows(f"openstack baremetal port group show {name}-bond")["extra"] == {}
    number = f"--local-link-connection switch_id={mac()} --local-link-connection port_id=7"
    refused(typed, f"openstack baremetal port create --node {node} {number} {mac()}", "port_id is a text")


def test_traits_in_the_newer_order_of_words(typed: Terminal, node: str, name: str):
    typed.does(f"openstack baremetal node trait add {name} CUSTOM_GPU")
    refused(typed, f"openstack baremetal node trait add {name} gpu", "'gpu' is not a trait")
    typed.does(f"openstack baremetal node trait remove {name} CUSTOM_GPU")
    assert typed.shows(f"openstack baremetal node trait list {name}") == []


def test_children_by_the_name_of_their_parent(typed: Terminal, node: str, name: str):
    typed.does(f"openstack baremetal node create --driver fake-hardware --name {name}-c --parent-node {name}")
    for parent in (name, node):
        listed = typed.shows(f"openstack baremetal node list --parent-node {parent}")
        assert [one["name"] for one in listed] == [f"{name}-c"]
    typed.does(f"openstack baremetal node delete {name}-c")


def test_what_fake_hardware_has_and_has_not(typed: Terminal, node: str, name: str):
    assert typed.shows(f"openstack baremetal node bios setting list {name}") == []
    refused(typed, f"openstack baremetal node bios setting show {name} x", "BIOS setting 'x'", "(HTTP 404)")
    assert typed.shows(f"openstack baremetal node firmware list {name}") == []
    typed.does(f"openstack baremetal node boot mode set {name} uefi")
    assert typed.shows(f"openstack baremetal node passthru list {name}") == []
    refused(typed, f"openstack baremetal node passthru call {name} x", "does not support vendor_passthru")
    for verb in ("show", "enable", "disable"):
        refused(typed, f"openstack baremetal node console {verb} {name}", "does not support console")
    for verb in ("on", "off"):
        refused(typed, f"openstack baremetal node secure boot {verb} {name}", "does not support set_secure_boot_state")
    raid = {one["property"] for one in typed.shows("openstack baremetal driver raid property list fake-hardware")}
    assert raid >= {"size_gb", "raid_level"}
    assert typed.shows("openstack baremetal driver passthru list fake-hardware") == []
    refused(typed, "openstack baremetal driver passthru call fake-hardware x", "No handler for method x")


def test_a_node_is_held_and_let_go(typed: Terminal, node: str, name: str):
    typed.does(f"openstack baremetal node manage {name} --wait 30")
    hold = """'[{"interface": "deploy", "step": "hold"}]'"""
    typed.does(f"openstack baremetal node clean {name} --clean-steps {hold}")
    for _ in range(100):
        if typed.shows(f"openstack baremetal node show {name}")["provision_state"] == "clean hold":
            break
    typed.does(f"openstack baremetal node unhold {name}")
    refused(typed, f"openstack baremetal node unhold {name}", 'The requested action "unhold" can not be performed')
    for _ in range(100):
        if typed.shows(f"openstack baremetal node show {name}")["provision_state"] == "manageable":
            return
    raise AssertionError(typed.shows(f"openstack baremetal node show {name}"))


def test_things_are_set_and_unset(typed: Terminal, name: str):
    typed(f"openstack baremetal allocation create --resource-class {name} --name {name}")
    typed.does(f"openstack baremetal allocation set {name} --extra a=b")
    typed.does(f"openstack baremetal allocation unset {name} --extra a")
    assert typed.shows(f"openstack baremetal allocation show {name}")["extra"] == {}
    typed.does(f"openstack baremetal allocation delete {name}")
    upper = f"CUSTOM_{name.upper()}"
    for kind, create in (
        ("deploy template", f"""{upper} --steps '[{STEP}"priority": 9}}]'"""),
        ("runbook", f"""--name {upper} --steps '[{STEP}"order": 9}}]'"""),
    ):
        typed.does(f"openstack baremetal {kind} create {create} --extra a=b")
        typed.does(f"openstack baremetal {kind} unset {upper} --extra a")
        assert typed.shows(f"openstack baremetal {kind} show {upper}")["extra"] == {}
        typed.does(f"openstack baremetal {kind} delete {upper}")


def test_an_inspection_rule_is_changed(typed: Terminal):
    rule = typed.shows(f"openstack baremetal inspection rule create {FAIL} --priority 5 --description x")["uuid"]
    typed.does(f"openstack baremetal inspection rule set {rule} --priority 7")
    assert typed.shows(f"openstack baremetal inspection rule show {rule}")["priority"] == 7
    typed.does(f"openstack baremetal inspection rule unset {rule} --description")
    assert typed.shows(f"openstack baremetal inspection rule show {rule}")["description"] is None
    typed.does(f"openstack baremetal inspection rule delete {rule}")


def test_volumes_are_changed(typed: Terminal, node: str, name: str):
    typed.does(f"openstack baremetal node power off {name}")
    for kind, create, change, field in (
        ("connector", "--type ip --connector-id 192.0.2.1", "--connector-id 192.0.2.2", "connector_id"),
        ("target", "--type iscsi --boot-index 0 --volume-id v1", "--volume-id 192.0.2.2", "volume_id"),
    ):
        line = f"openstack baremetal volume {kind}"
        made = typed.shows(f"{line} create --node {node} {create} --extra a=b")["uuid"]
        typed.does(f"{line} set {made} {change}")
        typed.does(f"{line} unset {made} --extra a")
        shown = typed.shows(f"{line} show {made}")
        assert (shown[field], shown["extra"]) == ("192.0.2.2", {})
        assert [one["uuid"] for one in typed.shows(f"{line} list --node {name} --fields uuid")] == [made]
        typed.does(f"{line} delete {made}")


# -- identity


def test_groups_regions_and_domains_are_shown_and_set(typed: Terminal, name: str):
    typed.does(f"openstack group create {name}")
    typed.does(f"openstack group set {name} --description x")
    assert typed.shows(f"openstack group show {name}")["description"] == "x"
    assert name in {one["Name"] for one in typed.shows("openstack group list")}
    typed.does(f"openstack group delete {name}")
    typed.does(f"openstack region create {name}")
    typed.does(f"openstack region set {name} --description x")
    assert typed.shows(f"openstack region show {name}")["description"] == "x"
    typed.does(f"openstack region delete {name}")
    assert typed.shows("openstack domain show default")["name"] == "Default"
    typed.does(f"openstack role create {name}")
    typed.does(f"openstack implied role create {name} --implied-role reader")
    typed.does(f"openstack implied role delete {name} --implied-role reader")
    typed.does(f"openstack role delete {name}")


def test_limits(typed: Terminal, name: str):
    made = typed.shows(f"openstack registered limit create --service baremetal --default-limit 10 {name}")
    typed.does(f"openstack registered limit set --default-limit 20 {made['id']}")
    assert typed.shows(f"openstack registered limit show {made['id']}")["default_limit"] == 20
    own = typed.shows(f"openstack limit create --project admin --service baremetal --resource-limit 5 {name}")
    typed.does(f"openstack limit set --resource-limit 6 {own['id']}")
    assert typed.shows(f"openstack limit show {own['id']}")["resource_limit"] == 6
    assert own["id"] in {one["ID"] for one in typed.shows("openstack limit list")}
    typed.does(f"openstack limit delete {own['id']}")
    typed.does(f"openstack registered limit delete {made['id']}")
    assert made["id"] not in {one["ID"] for one in typed.shows("openstack registered limit list")}


def test_endpoints_of_some_projects(typed: Terminal, home: Path, name: str):
    typed.does(f"openstack project create {name}")
    typed.does(f"openstack service create --name {name} tape-{name}")
    one = typed.shows(f"openstack endpoint create --region RegionOne {name} public https://tape.example.net/")["id"]
    typed.does(f"openstack endpoint set {one} --url https://tape.example.net/v2")
    assert typed.shows(f"openstack endpoint show {one}")["url"].endswith("/v2")
    typed.does(f"openstack endpoint add project {one} {name}")
    assert [row["ID"] for row in typed.shows(f"openstack endpoint list --project {name}")] == [one]
    typed.does(f"openstack endpoint remove project {one} {name}")
    (home / "filters.json").write_text('{"interface": "public"}')
    group = typed.shows(f"openstack endpoint group create {name} {home}/filters.json")["id"]
    typed.does(f"openstack endpoint group set {group} --description x")
    assert typed.shows(f"openstack endpoint group show {group}")["description"] == "x"
    typed.does(f"openstack endpoint group add project {group} {name}")
    typed.does(f"openstack endpoint group remove project {group} {name}")
    assert group in {row["ID"] for row in typed.shows("openstack endpoint group list")}
    typed.does(f"openstack endpoint group delete {group}")
    typed.does(f"openstack service delete {name}")
    typed.does(f"openstack project delete {name}")


def test_policies(typed: Terminal, home: Path):
    (home / "rules.json").write_text("{}")
    made = typed.shows(f"openstack policy create {home}/rules.json")["id"]
    typed.does(f"openstack policy set {made} --type text/plain")
    assert typed.shows(f"openstack policy show {made}")["type"] == "text/plain"
    assert made in {one["ID"] for one in typed.shows("openstack policy list")}
    typed.does(f"openstack policy delete {made}")


def test_access_rules_and_a_password_of_ones_own(typed: Terminal, name: str):
    password, new = "An-0perators-long-password", "Another-0perators-password"
    typed.does(f"openstack user create --password {password} {name}")
    typed.does(f"openstack role add --user {name} --project admin reader")
    own = f"openstack --os-username {name} --os-password {new} "
    typed.does(
        f"openstack --os-username {name} --os-password {password} user password set "
        f"--original-password {password} --password {new}"
    )
    rule = """'[{"service": "baremetal", "method": "GET", "path": "/v1/nodes"}]'"""
    typed.does(f"{own}application credential create {name} --access-rules {rule}")
    assert typed.shows(f"{own}application credential show {name}")["Name"] == name
    kept = typed.shows(f"{own}access rule list")[0]["ID"]
    assert typed.shows(f"{own}access rule show {kept}")["Path"] == "/v1/nodes"
    typed.does(f"{own}application credential delete {name}")
    typed.does(f"{own}access rule delete {kept}")
    assert {one["Name"] for one in typed.shows(f"{own}federation project list")} == {"admin"}
    assert typed.shows(f"{own}federation domain list") == []
    typed.does(f"openstack user delete {name}")


@pytest.mark.parametrize(
    "line", ["credential list", "trust list", "ec2 credentials list", "mapping list", "identity provider list",
             "service provider list"],
)  # fmt: skip
def test_what_the_appliance_does_not_keep(typed: Terminal, line: str):
    refused(typed, f"openstack {line}", "404", "The resource could not be found.")


# -- images


def test_stage_tasks_and_stores(typed: Terminal, home: Path, name: str):
    (home / "small.raw").write_bytes(boot_sector() + bytes(4096))
    image = typed.shows(f"openstack image create --disk-format raw {name}")["id"]
    typed.does(f"openstack image stage {image} --file {home}/small.raw")
    typed.does(f"openstack image import {image} --method glance-direct --wait")
    assert typed.shows(f"openstack image show {image}")["status"] == "active"
    task = typed.shows("openstack image task list")[0]["ID"]
    assert typed.shows(f"openstack image task show {task}")["status"] == "success"
    assert [one["Default"] for one in typed.shows("openstack image stores list")] == [True]
    project = typed.shows("openstack project show admin")["id"]
    typed.does(f"openstack image add project {image} admin")
    assert typed.shows(f"openstack image member get {image} {project}")["status"] == "pending"
    refused(typed, "openstack cached image list", "404")
    typed.does(f"openstack image delete {image}")


def test_metadata_definitions(typed: Terminal, name: str):
    line = "openstack image metadef "
    typed.does(f"{line}namespace create {name} --public")
    typed.does(f"{line}namespace set {name} --display-name Racks")
    assert typed.shows(f"{line}namespace show {name}")["display_name"] == "Racks"
    assert name in str(typed.shows(f"{line}namespace list"))
    typed.does(f"{line}object create --namespace {name} box")
    typed.does(f"{line}object update {name} box --name crate")
    typed.does(f"{line}object update {name} crate --name box")
    assert typed.shows(f"{line}object show {name} box")["name"] == "box"
    assert "box" in str(typed.shows(f"{line}object list {name}"))
    typed.does(f"{line}property create {name} --name p --title P --type string --schema '{{}}'")
    typed.does(f"{line}property set {name} p --title Q")
    assert typed.shows(f"{line}property show {name} p")["title"] == "Q"
    assert "p" in str(typed.shows(f"{line}property list {name}"))
    typed.does(f"{line}resource type association create {name} OS::Rack")
    assert "OS::Rack" in str(typed.shows(f"{line}resource type association list {name}"))
    assert "OS::Rack" in str(typed.shows(f"{line}resource type list"))
    typed.does(f"{line}resource type association delete {name} OS::Rack")
    typed.does(f"{line}property delete {name} p")
    typed.does(f"{line}object delete {name} box")
    typed.does(f"{line}namespace delete {name}")
