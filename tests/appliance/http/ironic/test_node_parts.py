"""What lies below /v1/nodes/{node}: states, verbs, management, traits, VIFs, history, and what is refused."""

import pytest
from sqlalchemy import select

from appliance.models.event import Event
from appliance.models.node import Inventory, Node
from tests.fakes.ironic_client import fault

IPMI = {"ipmi_address": "10.0.0.5", "ipmi_username": "admin", "ipmi_password": "x"}


@pytest.fixture
def node(ironic):
    return ironic.post("/v1/nodes", {"driver": "fake-hardware", "name": "n1"}).get_json()


@pytest.fixture
def real(ironic):
    return ironic.post("/v1/nodes", {"driver": "ipmi", "name": "m1"}).get_json()


def put_in(appliance, state, **columns):
    with appliance.database.write() as session:
        row = session.scalars(select(Node).where(Node.name == "n1")).one()
        row.provision_state = state
        for name, value in columns.items():
            setattr(row, name, value)


def words(answer):
    return fault(answer)["faultstring"]


def test_states_are_shown_as_far_as_the_version_knows_them(ironic, node):
    assert set(ironic.get("/v1/nodes/n1/states").get_json()) == {
        "console_enabled", "last_error", "power_state", "provision_state", "target_power_state",
        "target_provision_state", "provision_updated_at", "raid_config", "target_raid_config", "boot_mode",
        "secure_boot",
    }  # fmt: skip
    old = ironic.get(f"/v1/nodes/{node['uuid']}/states", version="1.11").get_json()
    assert not {"raid_config", "boot_mode"} & set(old)


def test_power_is_switched_and_read_back(ironic, appliance, node):
    for target, state in (
        ("power on", "power on"),
        ("rebooting", "power on"),
        ("soft power off", "power off"),
        ("soft rebooting", "power on"),
        ("power off", "power off"),
    ):
        answer = ironic.put("/v1/nodes/n1/states/power", {"target": target, "timeout": 5})
        assert answer.status_code == 202
        assert answer.headers["Location"].endswith("/v1/nodes/n1/states")
        appliance.settle()
        assert ironic.get("/v1/nodes/n1/states").get_json()["power_state"] == state


@pytest.mark.parametrize(
    ("body", "version", "status"),
    [
        ({"target": "explode"}, "1.110", 400),
        ({"target": ["power on"]}, "1.110", 400),
        ({"target": {"power": "on"}}, "1.110", 400),
        ({}, "1.110", 400),
        ({"target": "power on", "timeout": 0}, "1.110", 400),
        ({"target": "power on", "timeout": "x"}, "1.110", 400),
        ({"target": "soft power off"}, "1.26", 406),
        ({"target": "power on", "timeout": 5}, "1.26", 406),
    ],
)
def test_power_that_is_refused(ironic, node, body, version, status):
    assert ironic.put("/v1/nodes/n1/states/power", body, version=version).status_code == status


def test_power_of_a_node_that_is_cleaned_or_never_switched_off(ironic, appliance, node):
    put_in(appliance, "cleaning")
    refused = ironic.put("/v1/nodes/n1/states/power", {"target": "power off"})
    assert (refused.status_code, 'while it is in state "cleaning"' in words(refused)) == (400, True)
    put_in(appliance, "active", keeps_power=True)
    assert ironic.put("/v1/nodes/n1/states/power", {"target": "power off"}).status_code == 409
    assert ironic.put("/v1/nodes/n1/states/power", {"target": "rebooting"}).status_code == 202
    appliance.settle()


def provision(ironic, target, version="1.110", **more):
    return ironic.put("/v1/nodes/n1/states/provision", {"target": target, **more}, version=version)


def test_a_verb_starts_work_and_one_out_of_place_is_refused_in_the_words_of_the_field(ironic, node):
    refused = provision(ironic, "active")
    assert refused.status_code == 400
    assert words(refused) == (
        f'The requested action "active" can not be performed on node "{node["uuid"]}" while it is in state "enroll".'
    )
    started = provision(ironic, "manage")
    assert started.status_code == 202
    assert started.headers["Location"].endswith("/v1/nodes/n1/states")
    assert ironic.get("/v1/nodes/n1").get_json()["provision_state"] == "verifying"
    assert provision(ironic, "manage").status_code == 400


def test_a_verb_out_of_place_on_a_node_that_is_worked_on_names_the_holder(ironic, appliance, node):
    from appliance.models.flow import Flow

    provision(ironic, "manage")
    with appliance.database.write() as session:
        session.scalars(select(Flow)).one().owner = "w1"
    refused = provision(ironic, "provide")
    assert refused.status_code == 409
    assert f"Node {node['uuid']} is locked by host" in words(refused)
    assert "please retry after the current operation is completed. (it is held by fake-verify)" in words(refused)


def test_a_node_that_is_held_is_locked_in_the_words_that_clients_wait_for(ironic, appliance, node):
    """The host that is named is that of the engine which works on it, as in `reservation`."""
    from appliance.models.flow import Flow, Worker

    provision(ironic, "manage")
    with appliance.database.write() as session:
        session.add(Worker(id="w1", host="rack-7", started_at=appliance.now, expires_at=appliance.now))
        session.scalars(select(Flow)).one().owner = "w1"
    assert ironic.get("/v1/nodes/n1").get_json()["reservation"] == "rack-7"
    for refused in (
        ironic.put("/v1/nodes/n1/states/power", {"target": "power on"}),
        ironic.put("/v1/nodes/n1/management/boot_device", {"boot_device": "pxe"}),
        provision(ironic, "provide"),
    ):
        assert refused.status_code == 409
        text = f"Node {node['uuid']} is locked by host rack-7, please retry after the current operation is completed."
        assert words(refused).startswith(text)
        assert "is held by fake-verify" in words(refused)


@pytest.mark.parametrize(
    ("target", "since"),
    [("manage", 4), ("provide", 4), ("inspect", 6), ("abort", 13), ("clean", 15), ("adopt", 17), ("rescue", 38),
     ("unrescue", 38), ("deploy", 73), ("undeploy", 73), ("unhold", 85), ("service", 87)],
)  # fmt: skip
def test_verbs_came_with_their_versions(ironic, appliance, node, target, since):
    put_in(appliance, "error")
    for minor, expected in ((since - 1, 406), (since, 400)):
        body = {"target": target}
        answer = ironic.put(f"/v1/nodes/{node['uuid']}/states/provision", body, version=f"1.{minor}")
        if target == "undeploy" and minor == since:
            assert answer.status_code == 202
        else:
            assert answer.status_code == expected, answer.get_data(as_text=True)


@pytest.mark.parametrize(
    "case",
    [
        ("available", {"target": "explode"}),
        ("available", {"target": None}),
        ("available", {"target": "active", "colour": "red"}),
        ("available", {"target": "active", "clean_steps": [{}]}),
        ("available", {"target": "active", "rescue_password": "x"}),
        ("available", {"target": "active", "configdrive": 7}),
        ("available", {"target": "active", "configdrive": {"colour": 1}}),
        ("available", {"target": "active", "configdrive": "not base64!"}),
        ("available", {"target": "active", "deploy_steps": "x"}),
        ("manageable", {"target": "clean"}),
        ("manageable", {"target": "clean", "clean_steps": "x"}),
        ("manageable", {"target": "clean", "clean_steps": [{}], "runbook": "r"}),
        ("manageable", {"target": "provide", "configdrive": "aGk="}),
        ("active", {"target": "rescue"}),
        ("active", {"target": "rescue", "rescue_password": " "}),
        ("active", {"target": "service"}),
    ],
)
def test_what_comes_with_a_verb_is_checked(ironic, appliance, node, case):
    state, body = case
    put_in(appliance, state)
    assert ironic.put("/v1/nodes/n1/states/provision", body).status_code == 400
    assert ironic.get("/v1/nodes/n1").get_json()["provision_state"] == state


STEP = {"interface": "deploy", "step": "erase_devices_metadata", "args": {}, "order": 1}


@pytest.mark.parametrize(
    "case",
    [
        ([], ["CUSTOM_WIPE"], "1.111", 202, ""),
        (["CUSTOM_A"], ["CUSTOM_A"], "1.111", 400, "has not been approved"),
        ([], ["CUSTOM_WIPE"], "1.112", 400, "has no traits configured"),
        (["CUSTOM_A"], ["CUSTOM_WIPE"], "1.112", 400, "does not have any of the runbook's traits ['CUSTOM_A']"),
        (["CUSTOM_A", "CUSTOM_B"], ["CUSTOM_B", "CUSTOM_C"], "1.112", 202, ""),
    ],
)  # fmt: skip
def test_a_runbook_needs_a_trait_of_the_node(ironic, appliance, node, case):
    of_book, of_node, version, status, said = case
    put_in(appliance, "manageable", traits=of_node)
    ironic.post("/v1/runbooks", {"name": "CUSTOM_WIPE", "steps": [STEP]})
    ironic.put("/v1/runbooks/CUSTOM_WIPE/traits", {"traits": of_book})
    answer = provision(ironic, "clean", version, runbook="CUSTOM_WIPE")
    assert answer.status_code == status
    assert not said or said in words(answer)


def test_marks_forbid_verbs(ironic, appliance, node):
    put_in(appliance, "active", is_protected=True)
    for target in ("deleted", "rebuild"):
        answer = provision(ironic, target)
        assert (answer.status_code, "is protected" in words(answer)) == (403, True)
    assert ironic.delete("/v1/nodes/n1").status_code == 403
    put_in(appliance, "manageable", is_protected=False, is_retired=True)
    answer = provision(ironic, "provide")
    assert (answer.status_code, "because it is retired" in words(answer)) == (400, True)
    put_in(appliance, "available", is_retired=False, maintenance=True)
    answer = provision(ironic, "active")
    assert (answer.status_code, "in maintenance mode" in words(answer)) == (400, True)


def test_a_node_without_a_bmc_is_not_managed(ironic, real):
    answer = ironic.put("/v1/nodes/m1/states/provision", {"target": "manage"})
    assert (answer.status_code, "ipmi_address" in words(answer)) == (400, True)


def test_raid_is_wished_of_pretended_hardware_alone(ironic, node, real):
    wish = {"logical_disks": [{"size_gb": 100, "raid_level": "1"}]}
    assert ironic.put("/v1/nodes/n1/states/raid", wish).status_code == 204
    assert ironic.get("/v1/nodes/n1").get_json()["target_raid_config"] == wish
    assert ironic.put("/v1/nodes/n1/states/raid", {"disks": []}).status_code == 400
    assert ironic.put(f"/v1/nodes/{node['uuid']}/states/raid", wish, version="1.11").status_code == 406
    answer = ironic.put("/v1/nodes/m1/states/raid", wish)
    assert (answer.status_code, words(answer)) == (
        404, "Driver ipmi does not support set_target_raid_config (disabled or not implemented).",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("request_", "words_"),
    [
        (("GET", "states/console", None), "console"),
        (("PUT", "states/console", {"enabled": True}), "console"),
        (("PUT", "states/secure_boot", {"target": True}), "set_secure_boot_state"),
        (("GET", "management/indicators", None), "get_supported_indicators"),
        (("GET", "management/indicators/led@chassis", None), "get_indicator_state"),
        (("PUT", "management/indicators/led@chassis", {"state": "ON"}), "set_indicator_state"),
        (("GET", "vmedia", None), "get_virtual_media"),
        (("POST", "vmedia", {"device_type": "cdrom", "image_url": "http://h/x.iso"}), "attach_virtual_media"),
        (("DELETE", "vmedia", None), "detach_virtual_media"),
        (("POST", "vendor_passthru?method=x", {}), "vendor_passthru"),
        (("POST", "vendor_passthru/x", {}), "vendor_passthru"),
    ],
)
def test_what_the_driver_cannot_do_is_refused_and_never_taken(ironic, real, request_, words_):
    method, path, body = request_
    answer = ironic(method, f"/v1/nodes/m1/{path}", body)
    assert answer.status_code == 400, answer.get_data(as_text=True)
    assert words(answer) == f"Driver ipmi does not support {words_} (disabled or not implemented)."


@pytest.mark.parametrize(
    ("path", "since"),
    [("management/inject_nmi", 29), ("management/indicators", 63), ("vifs", 28), ("traits", 37), ("bios", 40),
     ("history", 78), ("inventory", 81), ("children", 83), ("firmware", 86), ("vmedia", 93)],
)  # fmt: skip
def test_what_came_later_is_not_there_before(ironic, node, path, since):
    method = "PUT" if path.endswith("nmi") else "GET"
    answer = ironic(method, f"/v1/nodes/{node['uuid']}/{path}", version=f"1.{since - 1}")
    assert answer.status_code == (406 if path == "traits" else 404)
    there = ironic(method, f"/v1/nodes/{node['uuid']}/{path}", version=f"1.{since}")
    assert "The resource could not be found" not in there.get_data(as_text=True)


def test_empty_lists_are_honest(ironic, node):
    assert ironic.get("/v1/nodes/n1/bios").get_json() == {"bios": []}
    assert ironic.get("/v1/nodes/n1/firmware").get_json() == {"firmware": []}
    assert ironic.get("/v1/nodes/n1/vendor_passthru/methods").get_json() == {}
    assert ironic.get("/v1/nodes/n1/bios/x").status_code == 404


def test_the_boot_device_is_set_and_read(ironic, node):
    assert (
        ironic.put("/v1/nodes/n1/management/boot_device", {"boot_device": "pxe", "persistent": True}).status_code == 204
    )
    assert ironic.get("/v1/nodes/n1/management/boot_device").get_json() == {"boot_device": "pxe", "persistent": True}
    supported = ironic.get("/v1/nodes/n1/management/boot_device/supported").get_json()
    assert supported == {"supported_boot_devices": ["pxe", "disk", "cdrom", "bios"]}
    for body in ({}, {"boot_device": "floppy"}, {"boot_device": "pxe", "persistent": "perhaps"}):
        assert ironic.put("/v1/nodes/n1/management/boot_device", body).status_code == 400


def test_the_boot_mode_is_set_but_not_under_way(ironic, appliance, node):
    assert ironic.put("/v1/nodes/n1/states/boot_mode", {"target": "uefi"}).status_code == 202
    assert ironic.get("/v1/nodes/n1").get_json()["boot_mode"] == "uefi"
    assert ironic.put("/v1/nodes/n1/states/boot_mode", {"target": "x"}).status_code == 400
    put_in(appliance, "deploying")
    assert ironic.put("/v1/nodes/n1/states/boot_mode", {"target": "bios"}).status_code == 409


def test_maintenance_is_set_and_ended(ironic, node):
    assert ironic.put("/v1/nodes/n1/maintenance", {"reason": "fan"}).status_code == 202
    shown = ironic.get("/v1/nodes/n1").get_json()
    assert (shown["maintenance"], shown["maintenance_reason"]) == (True, "fan")
    assert ironic.delete("/v1/nodes/n1/maintenance").status_code == 202
    shown = ironic.get("/v1/nodes/n1").get_json()
    assert (shown["maintenance"], shown["maintenance_reason"]) == (False, None)
    assert ironic.put("/v1/nodes/n1/maintenance", {"reason": 7}).status_code == 400


def test_traits_are_replaced_added_and_removed(ironic, node):
    traits = "/v1/nodes/n1/traits"
    assert ironic.put(traits, {"traits": ["CUSTOM_B", "CUSTOM_A", "CUSTOM_B"]}).status_code == 204
    assert ironic.get(traits).get_json() == {"traits": ["CUSTOM_A", "CUSTOM_B"]}
    assert ironic.put(f"{traits}/HW_CPU_X86_VMX").status_code == 204
    assert ironic.get("/v1/nodes/n1").get_json()["traits"] == ["CUSTOM_A", "CUSTOM_B", "HW_CPU_X86_VMX"]
    assert ironic.delete(f"{traits}/CUSTOM_A").status_code == 204
    assert ironic.delete(f"{traits}/CUSTOM_A").status_code == 404
    assert ironic.put(f"{traits}/small").status_code == 400
    assert ironic.put(traits, {}).status_code == 400
    assert ironic.put(f"{traits}/CUSTOM_X", {"traits": []}).status_code == 400
    assert ironic.put(traits, {"traits": [f"CUSTOM_{n}" for n in range(51)]}).status_code == 400
    assert ironic.delete(traits).status_code == 204
    assert ironic.get(traits).get_json() == {"traits": []}


def test_vifs_are_attached_once_and_detached(ironic, node):
    vifs = "/v1/nodes/n1/vifs"
    assert ironic.post(vifs, {"id": "net-1"}).status_code == 204
    assert ironic.post(vifs, {"id": "net-1"}).status_code == 409
    assert ironic.get(vifs).get_json() == {"vifs": [{"id": "net-1"}]}
    assert ironic.delete(f"{vifs}/net-1").status_code == 204
    assert ironic.delete(f"{vifs}/net-1").status_code == 400
    uuid = "123e4567-e89b-42d3-a456-426614174000"
    for body in ({}, {"id": "a b"}, {"id": "x", "port_uuid": uuid}, {"id": "x", "port_uuid": "x"},
                 {"id": "x", "portgroup_uuid": uuid, "port_uuid": uuid}):  # fmt: skip
        assert ironic.post(vifs, body).status_code == 400


def test_history_is_what_happened_to_the_node(ironic, appliance, node):
    ironic.patch("/v1/nodes/n1", [{"op": "add", "path": "/extra/a", "value": 1}])
    with appliance.database.write() as session:
        row = session.scalars(select(Node)).one()
        session.add(
            Event(at=appliance.now, kind="state", actor="engine", node_id=row.id, message="x" * 300,
                  data={"to": "clean failed"})
        )  # fmt: skip
    found = ironic.get("/v1/nodes/n1/history").get_json()["history"]
    assert [entry["severity"] for entry in found] == ["INFO", "INFO", "ERROR"]
    assert len(found[2]["event"]) == 254
    assert "user" not in found[0]
    one = ironic.get(f"/v1/nodes/n1/history/{found[2]['uuid']}").get_json()
    assert (one["event"], one["event_type"], one["user"]) == ("x" * 300, "provisioning", "engine")
    first = ironic.get("/v1/nodes/n1/history?limit=1&detail=true").get_json()
    rest = ironic.get(first["next"].partition("/baremetal")[2]).get_json()["history"]
    assert [entry["uuid"] for entry in first["history"] + rest] == [entry["uuid"] for entry in found][:2]
    for uuid in ("x", "00000000-0000-4000-8000-999999999999"):
        assert ironic.get(f"/v1/nodes/n1/history/{uuid}").status_code == 404


@pytest.mark.parametrize(
    ("happened", "severity"),
    [
        (("state", {"from": "verifying", "to": "enroll"}), "ERROR"),
        (("state", {"from": "deleting", "to": "error"}), "ERROR"),
        (("state", {"from": "inspecting", "to": "inspect failed"}), "ERROR"),
        (("state", {"from": "verifying", "to": "manageable"}), "INFO"),
        (("power.failed", {}), "ERROR"),
        (("power", {"fault": "power failure"}), "ERROR"),
        (("power", {}), "INFO"),
    ],
)
def test_what_went_wrong_is_an_error_in_the_history(ironic, appliance, node, happened, severity):
    kind, data = happened
    with appliance.database.write() as session:
        row = session.scalars(select(Node)).one()
        session.add(Event(at=appliance.now, kind=kind, actor="engine", node_id=row.id, message="x", data=data))
    assert ironic.get("/v1/nodes/n1/history").get_json()["history"][-1]["severity"] == severity


def test_the_inventory_is_as_the_agent_of_the_field_writes_it(ironic, appliance, node):
    assert ironic.get("/v1/nodes/n1/inventory").status_code == 404
    report = {"memory_mib": 1024, "cpu": {"threads": 4, "architecture": "x86_64"}, "boot_mode": "uefi",
              "disks": [{"name": "/dev/vda", "size_bytes": 5, "is_rotational": True}],
              "nics": [{"name": "eth0", "mac": "52:54:00:00:00:01", "address": None}], "bmc": None}  # fmt: skip
    with appliance.database.write() as session:
        row = session.scalars(select(Node)).one()
        session.add(Inventory(node_id=row.id, reported_at=appliance.now, report=report))
    found = ironic.get("/v1/nodes/n1/inventory").get_json()
    assert found["inventory"]["memory"] == {"physical_mb": 1024, "total": 1 << 30}
    assert found["inventory"]["cpu"]["count"] == 4
    assert found["inventory"]["interfaces"][0]["mac_address"] == "52:54:00:00:00:01"
    assert found["plugin_data"] == {}


def test_children_are_listed_by_their_parent(ironic, node):
    child = ironic.post("/v1/nodes", {"driver": "fake-hardware", "parent_node": "n1"}).get_json()
    found = ironic.get("/v1/nodes/n1/children").get_json()
    assert found["children"] == [child["uuid"]]
    assert node["uuid"] in found["links"]["href"]


def test_validation_says_what_stands_in_the_way(ironic, node, real):
    fake = ironic.get("/v1/nodes/n1/validate").get_json()
    assert {kind for kind, verdict in fake.items() if not verdict["result"]} == {"console"}
    found = ironic.get("/v1/nodes/m1/validate").get_json()
    failing = {kind for kind, verdict in found.items() if not verdict["result"]}
    assert failing == {"bios", "console", "deploy", "firmware", "management", "power", "raid"}
    assert "image_source" in found["deploy"]["reason"]
    ironic.patch("/v1/nodes/m1", [
        {"op": "add", "path": "/driver_info", "value": IPMI},
        {"op": "add", "path": "/instance_info/image_source", "value": "http://h/x"},
        {"op": "add", "path": "/instance_info/image_checksum", "value": "0" * 64},
    ])  # fmt: skip
    found = ironic.get(f"/v1/nodes/validate?node={real['uuid']}").get_json()
    assert {kind for kind, verdict in found.items() if not verdict["result"]} == {"bios", "console", "firmware", "raid"}


def test_nothing_of_another_project_is_there(ironic, appliance, client_for, app, node):
    """Whatever is asked of a node that is not one's own: 404, as for one that is not there."""
    token, _project = appliance.project_token()
    member = client_for(token)
    tried = 0
    for rule in app.url_map.iter_rules():
        if not rule.rule.startswith("/baremetal/v1/nodes/<") or rule.rule.endswith("/"):
            continue
        path = rule.rule.removeprefix("/baremetal").replace("<ident>", node["uuid"])
        for name in rule.arguments - {"ident"}:
            path = path.replace(f"<{name}>", "CUSTOM_X")
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            body = [] if method == "PATCH" else {"traits": []} if path.endswith("traits") else {}
            if path.endswith("vifs"):
                body = {"id": "x"}
            answer = member(method, path, None if method in ("GET", "DELETE") else body)
            tried += 1
            assert answer.status_code == 404, (method, path, answer.get_data(as_text=True))
    assert tried > 40
