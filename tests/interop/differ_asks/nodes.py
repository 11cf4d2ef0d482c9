"""Nodes: made, read one by one, deleted."""

from collections.abc import Iterator

from tests.interop.differ_asks.common import ABSENT, FAKE, ODD, VERSIONS, delete, get, node, post, put, trial
from tests.interop.differ_worlds import Ask

WRITABLE = (
    "name", "uuid", "driver", "driver_info", "instance_info", "properties", "extra", "chassis_uuid", "instance_uuid",
    "resource_class", "owner", "lessee", "shard", "parent_node", "description", "automated_clean", "protected",
    "protected_reason", "retired", "retired_reason", "network_data", "disable_power_off", "conductor_group",
    "maintenance", "instance_name", "boot_mode", "secure_boot", "console_enabled", "deploy_interface",
    "bios_interface", "network_interface", "rescue_interface", "storage_interface",
)  # fmt: skip
READ_ONLY = (
    "provision_state", "target_provision_state", "power_state", "target_power_state", "last_error", "reservation",
    "driver_internal_info", "created_at", "updated_at", "links", "ports", "states", "traits", "fault",
    "maintenance_reason", "clean_step", "raid_config", "target_raid_config", "inspection_started_at",
    "provision_updated_at", "conductor", "allocation_uuid", "health", "id", "colour", "chassis_id", "version",
)  # fmt: skip
GOOD = {
    "name": "good", "uuid": ABSENT, "driver_info": {"a": 1}, "instance_info": {"a": [1, {"b": None}]},
    "properties": {"cpus": 8, "memory_mb": "1024", "capabilities": "boot_mode:uefi", "local_gb": 10,
                   "cpu_arch": "x86_64"},
    "extra": {"k": "v"}, "resource_class": "bm", "owner": "me", "lessee": "you", "shard": "s", "description": "d",
    "automated_clean": False, "network_data": {}, "conductor_group": "", "instance_uuid": ABSENT,
    "instance_name": "inst", "deploy_interface": "fake", "bios_interface": "no-bios", "network_interface": "noop",
    "rescue_interface": "fake", "storage_interface": "noop", "boot_interface": "fake", "retired": False,
    "retired_reason": "r", "disable_power_off": True, "maintenance": True, "protected": False, "boot_mode": "uefi",
    "firmware_interface": "fake", "inspect_interface": "fake", "vendor_interface": "no-vendor",
}  # fmt: skip
NAMES = ("ok", "a.b", "a-b", "a_b", "a~b", "A", "9", "-a", "a-", ".a", "a b", "a/b", "é", "x" * 255, "x" * 256, ABSENT,
         ABSENT.upper(), "detail", "states", "validate", "vmedia", "ports", "name", "nodes", "traits", "allocation",
         "management", "maintenance", "firmware", "history", "children")  # fmt: skip
UUIDS = (ABSENT, ABSENT.upper(), ABSENT.replace("-", ""), "x", f"{{{ABSENT}}}")


def creates() -> Iterator[Ask]:
    for version in VERSIONS:
        yield from trial("/v1/nodes", {"driver": FAKE}, version)
        yield from trial("/v1/nodes", {"driver": FAKE, "name": "a_b"}, version)
        for name, value in GOOD.items():
            yield from trial("/v1/nodes", {"driver": FAKE, name: value}, version)
    for name in WRITABLE:
        for odd in ODD:
            yield from trial("/v1/nodes", {"driver": FAKE} | {name: odd})
    yield from _names()
    yield from _bodies()
    yield from _twice()


def _names() -> Iterator[Ask]:
    for name in READ_ONLY:
        for value in (None, "x", {}):
            yield from trial("/v1/nodes", {"driver": FAKE, name: value})
    for name in NAMES:
        yield from trial("/v1/nodes", {"driver": FAKE, "name": name})
    for name in NAMES[:8]:
        yield from trial("/v1/nodes", {"driver": FAKE, "name": name}, "1.9")
    for uuid in UUIDS:
        yield from trial("/v1/nodes", {"driver": FAKE, "uuid": uuid})


def _bodies() -> Iterator[Ask]:
    for body in ({}, {"name": "x"}, {"driver": "no-such"}, {"driver": "fake"}, {"driver": FAKE, "driver_info": {"": 1}},
                 {"driver": FAKE, "deploy_interface": "no-such"}, {"driver": FAKE, "boot_interface": "no-such"},
                 {"driver": FAKE, "chassis_uuid": ABSENT}, {"driver": FAKE, "parent_node": ABSENT},
                 {"driver": FAKE, "parent_node": "x"}, {"driver": FAKE, "conductor_group": "no-such"},
                 {"driver": FAKE, "properties": {"capabilities": 5}}, {"driver": FAKE, "properties": {"cpus": "x"}},
                 {"driver": FAKE, "properties": {"memory_mb": -1}}, {"driver": FAKE, "protected": True},
                 {"driver": FAKE, "protected_reason": "x"}, {"driver": FAKE, "retired_reason": "x"},
                 {"driver": FAKE, "retired": True}, {"driver": FAKE, "network_data": {"x": 1}},
                 {"driver": FAKE, "network_data": {"links": [], "networks": [], "services": []}},
                 {"driver": FAKE, "network_data": {"links": [{"id": 5}], "networks": []}},
                 {"driver": FAKE, "driver_info": {"password": "p", "ipmi_password": "s", "deploy_kernel": "k"}},
                 {"driver": FAKE, "instance_info": {"configdrive": "x", "image_url": "http://u:p@h/x"}},
                 {"driver": FAKE, "description": "d" * 4096}, {"driver": FAKE, "description": "d" * 4097},
                 {"driver": FAKE, "owner": "o" * 255}, {"driver": FAKE, "resource_class": "r" * 80},
                 {"driver": FAKE, "resource_class": "r" * 81}, {"driver": FAKE, "shard": "s" * 255}):  # fmt: skip
        yield from trial("/v1/nodes", body)


def _twice() -> Iterator[Ask]:
    yield node("twice", name="twice")
    yield node("other", name="twice")
    yield node("other", uuid="<twice>")
    yield node("other", instance_uuid=ABSENT)
    yield node("another", instance_uuid=ABSENT)
    yield node("child", parent_node="<twice>", name="child")
    yield node("other", parent_node="twice")
    yield delete("/v1/nodes/<other>")
    yield delete("/v1/nodes/twice")
    yield delete("/v1/nodes/<child>")
    yield delete("/v1/nodes/<twice>")


def reads() -> Iterator[Ask]:
    yield node("one", name="one", properties={"cpus": 8}, extra={"a": 1}, driver_info={"password": "p", "x": 1},
               instance_info={"image_url": "http://h/x"}, resource_class="bm", owner="me")  # fmt: skip
    for version in VERSIONS:
        for ident in ("<one>", "one", ABSENT, "no-such", "a_b", "a b", "x" * 256, "<one>.json", "one.json"):
            yield get(f"/v1/nodes/{ident}", version)
    for fields in ("uuid", "name,uuid", "uuid,links", "x", "uuid,x", "", "driver_info", "ports", "states", "uuid,uuid",
                   "traits", "conductor", "instance_info,driver_info", "provision_state, uuid", "chassis_uuid",
                   "allocation_uuid", "id", "health", "instance_name", "network_data", "links"):  # fmt: skip
        for version in ("1.7", "1.8", "1.31", "1.110"):
            yield get(f"/v1/nodes/<one>?fields={fields}", version)
    for query in ("detail=true", "x=1", "limit=1", "node_uuid=x", "fields=uuid&fields=name"):
        yield get(f"/v1/nodes/<one>?{query}")
    yield get(f"/v1/nodes?node_uuid={ABSENT}")
    yield put("/v1/nodes/<one>", {})
    yield post("/v1/nodes/<one>", {})


def deletes() -> Iterator[Ask]:
    for version in VERSIONS:
        yield node("gone", name="gone")
        yield delete("/v1/nodes/no-such", version)
        yield delete(f"/v1/nodes/{ABSENT}", version)
        yield delete("/v1/nodes/gone", version)
        yield delete("/v1/nodes/<gone>", version)
        yield delete("/v1/nodes/<gone>", version)
    yield delete("/v1/nodes/a b")
    yield delete("/v1/nodes")
    yield node("gone", instance_uuid=ABSENT)
    yield delete("/v1/nodes/<gone>")
    yield put("/v1/nodes/<gone>/maintenance", {})
    yield delete("/v1/nodes/<gone>")
