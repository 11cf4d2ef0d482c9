"""A good request's body for each route of the faces that takes one, as their documentation has it; and what is odd.

`{word}` stands for a thing of that word made before (its UUID or id), `{n}` for a number that is used once.
"""

from typing import Any

NODES, V3, IMAGES = "/baremetal/v1/nodes", "/identity/v3", "/image/v2/images"
NAMESPACES = "/image/v2/metadefs/namespaces"
STEP = {"interface": "deploy", "step": "erase_devices_metadata", "args": {"a": 1}}
SIGN_IN = {
    "identity": {"methods": ["password"],
                 "password": {"user": {"name": "admin", "domain": {"id": "default"}, "password": "not-this-one"}}},
    "scope": {"project": {"name": "admin", "domain": {"name": "Default"}}},
}  # fmt: skip
PROPERTY = {"title": "t", "type": "string", "enum": ["a"], "minLength": 1, "items": {"type": "string"}, "default": "a"}

BODIES: dict[tuple[str, str], Any] = {
    ("POST", NODES): {
        "driver": "fake-hardware", "name": "fuzz{n}", "properties": {"cpus": 8, "capabilities": "a:b"},
        "extra": {"a": 1}, "driver_info": {"x": "y"}, "instance_info": {"image_source": "small"},
        "resource_class": "metal", "conductor_group": "", "owner": "o", "lessee": "l", "description": "d",
        "network_data": {"links": []},
        "chassis_uuid": "{chassis}", "shard": "s", "automated_clean": False, "retired": False,
        "deploy_interface": "direct", "parent_node": "{nodes}", "disable_power_off": False, "instance_name": "i{n}",
    },
    ("POST", "/baremetal/v1/ports"): {
        "node_uuid": "{nodes}", "address": "52:54:{m}", "pxe_enabled": True, "extra": {"a": 1}, "name": "port{n}",
        "local_link_connection": {"switch_id": "0a:1b:2c:3d:4e:5f", "port_id": "e0", "switch_info": "s"},
        "physical_network": "net", "is_smartnic": False, "portgroup_uuid": "{portgroups}", "description": "d",
    },
    ("POST", "/baremetal/v1/portgroups"): {
        "node_uuid": "{nodes}", "address": "52:55:{m}", "name": "group{n}", "mode": "active-backup",
        "properties": {"miimon": 100}, "standalone_ports_supported": True, "extra": {}, "physical_network": "net",
    },
    ("POST", "/baremetal/v1/chassis"): {"description": "c", "extra": {"a": 1}},
    ("POST", "/baremetal/v1/allocations"): {
        "resource_class": "none-has-it", "name": "allocation{n}", "traits": ["CUSTOM_A"],
        "candidate_nodes": ["{nodes}"], "extra": {}, "owner": "o",
    },
    ("POST", "/baremetal/v1/deploy_templates"): {
        "name": "CUSTOM_T{n}", "extra": {}, "steps": [{**STEP, "priority": 10}],
    },
    ("POST", "/baremetal/v1/runbooks"): {
        "name": "CUSTOM_R{n}", "extra": {}, "public": False, "disable_ramdisk": False, "owner": "o",
        "steps": [{**STEP, "order": 1}], "traits": ["CUSTOM_A"], "description": "d",
    },
    ("PUT", "/baremetal/v1/runbooks/{ident}/traits"): {"traits": ["CUSTOM_A"]},
    ("POST", "/baremetal/v1/inspection_rules"): {
        "description": "rule{n}", "priority": 1, "sensitive": False, "phase": "main", "scope": "s",
        "conditions": [{"op": "eq", "args": {"values": ["{inventory[cpu][count]}", 8]}, "loop": ["a"]}],
        "actions": [{"op": "set-attribute", "args": {"path": "/extra/a", "value": "b"}, "loop": ["a"]}],
    },
    ("POST", "/baremetal/v1/volume/connectors"): {
        "node_uuid": "{nodes}", "type": "iqn", "connector_id": "iqn.2026-11.example:{n}", "extra": {},
    },
    ("POST", "/baremetal/v1/volume/targets"): {
        "node_uuid": "{nodes}", "volume_type": "iscsi", "volume_id": "volume{n}", "boot_index": 0, "extra": {},
        "properties": {"target_iqn": "iqn.2026-11.example:x", "auth_password": "x"},
    },
    ("PUT", NODES + "/{ident}/maintenance"): {"reason": "fan"},
    ("PUT", NODES + "/{ident}/management/boot_device"): {"boot_device": "pxe", "persistent": True},
    ("PUT", NODES + "/{ident}/management/indicators/{light}"): {"state": "ON"},
    ("PUT", NODES + "/{ident}/management/inject_nmi"): {},
    ("PUT", NODES + "/{ident}/states/boot_mode"): {"target": "uefi"},
    ("PUT", NODES + "/{ident}/states/console"): {"enabled": True},
    ("PUT", NODES + "/{ident}/states/power"): {"target": "power on", "timeout": 5},
    ("PUT", NODES + "/{ident}/states/provision"): {
        "target": "manage", "configdrive": {"meta_data": {"a": "b"}, "user_data": "#!/bin/sh", "network_data": {}},
        "clean_steps": [STEP], "deploy_steps": [{**STEP, "priority": 1}], "service_steps": [STEP],
        "rescue_password": "x", "disable_ramdisk": False, "runbook": "{runbooks}",
    },
    ("PUT", NODES + "/{ident}/states/raid"): {"logical_disks": [{"size_gb": 100, "raid_level": "1"}]},
    ("PUT", NODES + "/{ident}/states/secure_boot"): {"target": True},
    ("PUT", NODES + "/{ident}/traits"): {"traits": ["CUSTOM_A"]},
    ("POST", NODES + "/{ident}/vifs"): {"id": "vif{n}", "port_uuid": "{ports}"},
    ("POST", NODES + "/{ident}/vmedia"): {
        "device_type": "cdrom", "image_url": "http://192.0.2.1/x.iso", "image_download_source": "http",
    },
    ("POST", V3 + "/auth/tokens"): {"auth": SIGN_IN},
    ("POST", V3 + "/projects"): {
        "project": {"name": "project{n}", "domain_id": "default", "description": "d", "enabled": True,
                    "is_domain": False, "parent_id": "{projects}", "tags": ["a"], "options": {}, "more": 1},
    },
    ("PATCH", V3 + "/projects/{project_id}"): {"project": {"name": "changed{n}", "enabled": True, "tags": ["b"]}},
    ("PUT", V3 + "/projects/{project_id}/tags"): {"tags": ["a", "b"]},
    ("POST", V3 + "/users"): {
        "user": {"name": "user{n}", "domain_id": "default", "default_project_id": "{projects}", "enabled": True,
                 "email": "a@b", "options": {"ignore_lockout_failure_attempts": True}},
    },
    ("PATCH", V3 + "/users/{user_id}"): {"user": {"name": "changed{n}", "enabled": True, "description": "d"}},
    ("POST", V3 + "/users/{user_id}/password"): {"user": {"password": "New-password-1", "original_password": "x"}},
    ("POST", V3 + "/users/{user_id}/application_credentials"): {
        "application_credential": {
            "name": "credential{n}", "secret": "s", "expires_at": "2030-01-01T00:00:00Z", "unrestricted": False,
            "roles": [{"name": "reader"}], "access_rules": [{"path": "/v2", "method": "GET", "service": "image"}],
        }
    },
    ("POST", V3 + "/groups"): {"group": {"name": "group{n}", "domain_id": "default", "description": "d"}},
    ("PATCH", V3 + "/groups/{group_id}"): {"group": {"name": "changed{n}"}},
    ("POST", V3 + "/roles"): {"role": {"name": "role{n}", "description": "d", "domain_id": None, "options": {}}},
    ("PATCH", V3 + "/roles/{role_id}"): {"role": {"name": "changed{n}"}},
    ("POST", V3 + "/domains"): {"domain": {"name": "domain{n}", "enabled": True, "description": "d", "options": {}}},
    ("PATCH", V3 + "/domains/{domain_id}"): {"domain": {"name": "changed{n}", "enabled": False}},
    ("POST", V3 + "/services"): {"service": {"name": "s{n}", "type": "x", "enabled": True, "description": "d"}},
    ("PATCH", V3 + "/services/{service_id}"): {"service": {"name": "changed{n}", "enabled": False}},
    ("POST", V3 + "/regions"): {"region": {"id": "region{n}", "description": "d", "parent_region_id": "{regions}"}},
    ("PUT", V3 + "/regions/{region_id}"): {"region": {"description": "d"}},
    ("PATCH", V3 + "/regions/{region_id}"): {"region": {"description": "e", "parent_region_id": "{regions}"}},
    ("POST", V3 + "/endpoints"): {
        "endpoint": {"service_id": "{services}", "interface": "public", "url": "https://192.0.2.1/$(project_id)s",
                     "region_id": "{regions}", "enabled": True},
    },
    ("PATCH", V3 + "/endpoints/{endpoint_id}"): {"endpoint": {"url": "https://192.0.2.2", "interface": "admin"}},
    ("POST", V3 + "/registered_limits"): {
        "registered_limits": [{"service_id": "{services}", "resource_name": "r{n}", "default_limit": 5,
                               "region_id": "{regions}", "description": "d"}],
    },
    ("PATCH", V3 + "/registered_limits/{limit_id}"): {"registered_limit": {"default_limit": 6, "description": "d"}},
    ("POST", V3 + "/limits"): {
        "limits": [{"service_id": "{services}", "resource_name": "r", "resource_limit": 5, "project_id": "{projects}"}],
    },
    ("PATCH", V3 + "/limits/{limit_id}"): {"limit": {"resource_limit": 4}},
    ("POST", V3 + "/policies"): {"policy": {"blob": "{}", "type": "application/json"}},
    ("PATCH", V3 + "/policies/{policy_id}"): {"policy": {"blob": "{}", "type": "text/plain"}},
    ("POST", V3 + "/OS-EP-FILTER/endpoint_groups"): {
        "endpoint_group": {"name": "e{n}", "description": "d", "filters": {"interface": "admin"}},
    },
    ("PATCH", V3 + "/OS-EP-FILTER/endpoint_groups/{group_id}"): {"endpoint_group": {"filters": {"region_id": "x"}}},
    ("POST", IMAGES): {
        "name": "image{n}", "disk_format": "raw", "container_format": "bare", "visibility": "private", "tags": ["a"],
        "min_disk": 1, "min_ram": 1, "protected": False, "os_hidden": False, "hw_x": "y", "owner": None,
    },
    ("POST", IMAGES + "/{uuid}/import"): {
        "method": {"name": "web-download", "uri": "http://127.0.0.1/x", "glance_image_id": "x"},
        "stores": ["a"], "all_stores": False, "all_stores_must_succeed": True,
    },
    ("POST", IMAGES + "/{uuid}/members"): {"member": "project{n}"},
    ("PUT", IMAGES + "/{uuid}/members/{member}"): {"status": "accepted"},
    ("POST", NAMESPACES): {
        "namespace": "NS{n}", "display_name": "d", "description": "d", "visibility": "public", "protected": False,
        "resource_type_associations": [{"name": "OS::Glance::Image", "prefix": "hw_"}], "properties": {"p": PROPERTY},
        "objects": [{"name": "o", "required": [], "properties": {"p": PROPERTY}}], "tags": [{"name": "t"}],
    },
    ("PUT", NAMESPACES + "/{namespace}"): {"namespace": "NS{n}", "visibility": "private", "protected": False},
    ("POST", NAMESPACES + "/{namespace}/objects"): {"name": "o{n}", "description": "d", "properties": {"p": PROPERTY}},
    ("PUT", NAMESPACES + "/{namespace}/objects/{name}"): {"name": "o{n}", "properties": {"p": PROPERTY}},
    ("POST", NAMESPACES + "/{namespace}/properties"): {"name": "p{n}", **PROPERTY},
    ("PUT", NAMESPACES + "/{namespace}/properties/{name}"): {"name": "p{n}", **PROPERTY},
    ("POST", NAMESPACES + "/{namespace}/resource_types"): {"name": "T{n}", "prefix": "x", "properties_target": "image"},
    ("POST", NAMESPACES + "/{namespace}/tags"): {"tags": [{"name": "t{n}"}]},
    ("PUT", NAMESPACES + "/{namespace}/tags/{name}"): {"name": "t{n}"},
}  # fmt: skip

PATCHED: dict[str, tuple[str, ...]] = {
    NODES + "/{ident}": (
        "/name", "/extra/a", "/extra", "/properties/cpus", "/properties", "/driver", "/driver_info/x", "/instance_info",
        "/instance_info/image_source", "/instance_uuid", "/maintenance", "/owner", "/lessee", "/chassis_uuid",
        "/network_data", "/parent_node", "/protected", "/retired", "/traits", "/resource_class", "/conductor_group",
        "/bios_interface", "/description", "/shard", "/automated_clean", "/", "", "/x/y/z", "/extra/-", "/uuid",
        "/boot_mode", "/instance_name", "/disable_power_off", "/power_state", "/driver_info",
        "/driver_info/ipmi_address",
    ),
    "/baremetal/v1/ports/{ident}": (
        "/address", "/extra/a", "/node_uuid", "/portgroup_uuid", "/local_link_connection/port_id", "/pxe_enabled",
        "/physical_network", "/is_smartnic", "/name", "/local_link_connection", "/internal_info", "/description",
    ),
    "/baremetal/v1/portgroups/{ident}": (
        "/address", "/mode", "/properties", "/properties/x", "/name", "/node_uuid", "/standalone_ports_supported",
    ),
    "/baremetal/v1/chassis/{ident}": ("/description", "/extra", "/extra/a"),
    "/baremetal/v1/allocations/{ident}": ("/name", "/extra", "/extra/a", "/owner"),
    "/baremetal/v1/deploy_templates/{ident}": ("/name", "/steps", "/steps/0", "/steps/0/args", "/steps/-", "/extra"),
    "/baremetal/v1/runbooks/{ident}": ("/name", "/steps", "/steps/0/args", "/public", "/owner", "/extra", "/traits"),
    "/baremetal/v1/inspection_rules/{ident}": ("/actions", "/conditions", "/priority", "/phase", "/description"),
    "/baremetal/v1/volume/connectors/{ident}": ("/type", "/connector_id", "/extra", "/node_uuid"),
    "/baremetal/v1/volume/targets/{ident}": (
        "/volume_type", "/boot_index", "/properties", "/properties/x", "/volume_id",
    ),
    IMAGES + "/{uuid}": (
        "/name", "/tags", "/visibility", "/hw_x", "/min_disk", "/owner", "/protected", "/a/b", "/disk_format",
        "/os_hidden", "/locations", "/id", "/status", "/", "",
    ),
}  # fmt: skip
"""What a JSON patch of a thing may be about, and some that it may not."""

ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 2**31, 2**63, 2**64, 1.5, 1e308, "", "\0", "a\nb", "é", "😀", "\ud800", "x" * 300,
    "x" * 70_000, [], [[]], [None], ["a"], [{"a": None}], ["a"] * 600, {}, {"a": 1}, {"": {}}, "true", "null",
    "2020-01-01T00:00:00Z", "9999-99-99T00:00:00Z", "CUSTOM_X", "../..", "%00", "10.0.0.1", "::1", "52:54:00:00:00:01",
    "http://127.0.0.1/x", "file:///etc/passwd", "http://[::1", "default", "{}", "{0.__class__}", "\u202e", "-", "1.1",
    "in:a,b", "gt:x", "H4sIAAAAAAAA", {"x": {"x": {"x": {"x": {"x": {}}}}}},
)  # fmt: skip
PATHS = ("nobody", "é", "%", "..", "x" * 300, "a/b", "\0", "0", "-1", "null", " ", "\n", "{}")
QUERIES = (
    "limit=2", "limit=0", "limit=-1", "limit=x", "marker={any}", "sort_key=name", "sort=name:desc", "sort_dir=x",
    "fields=uuid,name", "fields=x", "detail=true", "name={any}", "domain_id=default", "owner={any}", "node={any}",
    "visibility=all", "tag=a&tag=b", "size_min=1", "created_at=gt:2020", "name=in:a,b", "provision_state=active",
    "associated=true", "traits=CUSTOM_A", "scope.project.id={any}", "effective", "include_names=x", "user.id={any}",
)  # fmt: skip
RAW = (b"", b"{", b"\xff\xfe", b"[1", b'"x"', b"null", b"[" * 3000 + b"]" * 3000, b'{"a":' * 500, b"NaN", b"1" * 5000)
VERSIONS = ("1.110", "1.112", "latest", "1.31", "1.1", "1.80", "1.999", "2.0", "x", "1.-1", "")
VERBS = ("manage", "provide", "active", "deleted", "clean", "inspect", "abort", "adopt", "rescue", "rebuild", "service")
