"""What lies below a node: maintenance, power, boot device, traits, VIFs, firmware and the rest."""

from collections.abc import Iterator

from tests.interop.differ_asks.common import ABSENT, ODD, VERSIONS, delete, get, node, post, put
from tests.interop.differ_worlds import Ask

READS = (
    "states", "validate", "states/console", "management/boot_device", "management/boot_device/supported",
    "management/indicators", "management/indicators/x", "management/indicators/chassis", "management/indicators/x/y",
    "management", "traits", "vifs", "bios", "bios/x", "bios?detail=true", "bios?fields=name,value", "firmware",
    "inventory", "history", f"history/{ABSENT}", "history/x", "history?detail=true", "history?limit=1", "children",
    "allocation", "ports", "ports/detail", "portgroups", "portgroups/detail", "volume", "volume/connectors",
    "volume/targets", "vmedia", "vendor_passthru", "vendor_passthru/methods", "vendor_passthru?method=x", "maintenance",
    "states/power", "states/provision", "states/raid", "states/boot_mode", "traits/CUSTOM_A", "vifs/x", "x",
    "management/inject_nmi", "ports?fields=uuid", "ports?x=1", "validate?x=1", "states?fields=power_state",
    "firmware?x=1", "inventory?x=1", "history?sort_key=created_at", "history?marker=x", "children?x=1",
)  # fmt: skip
WRITES: tuple[tuple[str, tuple[object, ...]], ...] = (
    ("states/power", ({"target": "power on"}, {"target": "x"}, {"target": None}, {"target": 5}, {},
                      {"target": "soft power off"}, {"target": "soft rebooting", "timeout": 5},
                      {"target": "power on", "timeout": 0}, {"target": "power on", "timeout": "x"},
                      {"target": "power on", "timeout": -1}, {"target": "rebooting"}, {"target": "reboot"},
                      {"target": "power on", "x": 1}, {"target": "power off", "timeout": 1.5}, "x", [])),
    ("states/raid", ({}, {"logical_disks": []}, {"logical_disks": [{"size_gb": 10, "raid_level": "1"}]},
                     {"logical_disks": [{"size_gb": "x", "raid_level": "1"}]}, {"logical_disks": [{"raid_level": "1"}]},
                     {"logical_disks": [{"size_gb": 10, "raid_level": "99"}]}, {"logical_disks": "x"}, {"x": 1},
                     {"logical_disks": [{"size_gb": "MAX", "raid_level": "5", "is_root_volume": True}]},
                     {"logical_disks": [{"size_gb": 1, "raid_level": "1", "x": 1}]}, "x", [])),
    ("states/console", ({"enabled": True}, {"enabled": "x"}, {}, {"enabled": False})),
    ("states/boot_mode", ({"target": "uefi"}, {"target": "bios"}, {"target": "x"}, {}, {"target": None})),
    ("states/secure_boot", ({"target": True}, {"target": False}, {"target": "x"}, {}, {"target": None})),
    ("management/boot_device", ({"boot_device": "pxe"}, {"boot_device": "pxe", "persistent": True},
                                {"boot_device": "disk", "persistent": "x"}, {"boot_device": "x"}, {},
                                {"boot_device": None}, {"boot_device": "cdrom", "persistent": False},
                                {"boot_device": "pxe", "x": 1}, {"boot_device": "bios"})),
    ("management/inject_nmi", (None, {}, {"x": 1})),
    ("management/indicators/chassis/led", ({"state": "on"}, {"state": "x"}, {})),
    ("maintenance", (None, {}, {"reason": "r"}, {"reason": None}, {"reason": 5}, {"x": 1}, "x")),
    ("traits", ({"traits": ["CUSTOM_A", "HW_CPU_X86_VMX"]}, {"traits": []}, {"traits": ["x"]}, {"traits": "x"}, {},
                {"traits": ["CUSTOM_A", "CUSTOM_A"]}, {"traits": None}, {"traits": [5]}, {"traits": ["CUSTOM_a"]},
                {"traits": ["CUSTOM_" + "A" * 250]}, {"traits": [f"CUSTOM_{n}" for n in range(51)]}, [],
                {"traits": ["CUSTOM_A"], "x": 1}, {"traits": ["HW_NO_SUCH"]}, {"traits": ["CUSTOM_"]})),
    ("traits/CUSTOM_B", (None, {}, {"x": 1}, {"traits": ["CUSTOM_A"]})),
    ("traits/x", (None,)),
    ("traits/HW_CPU_X86_VMX", (None,)),
    ("vendor_passthru?method=x", ({}, None)),
    ("vendor_passthru", ({},)),
    ("colour", ({},)),
)  # fmt: skip
POSTS: tuple[tuple[str, tuple[object, ...]], ...] = (
    ("vifs", ({"id": "v1"}, {"id": "v1"}, {}, {"id": ""}, {"id": 5}, {"id": None}, {"id": ABSENT}, {"id": "a b"},
              {"id": "v2", "port_uuid": ABSENT}, {"id": "v2", "portgroup_uuid": ABSENT}, {"id": "v3", "x": 1},
              {"id": "v2", "port_uuid": "x"}, {"id": "v2", "port_uuid": ABSENT, "portgroup_uuid": ABSENT}, [], "x")),
    ("vmedia", ({"device_type": "cdrom", "image_url": "http://h/x.iso"}, {}, {"device_type": "x", "image_url": "http://h"},
                {"device_type": "cdrom"}, {"device_type": "cdrom", "image_url": "x"},
                {"device_type": "cdrom", "image_url": "http://h/x", "x": 1},
                {"device_type": "disk", "image_url": "http://h/x", "image_download_source": "x"},
                {"device_type": "floppy", "image_url": "file:///etc/passwd"}, [])),
    ("vendor_passthru?method=x", ({},)),
    ("vendor_passthru?method=first_method", ({"bar": "x"},)),
    ("vendor_passthru?method=third_method_sync", ({"bar": "meow"},)),
    ("maintenance", ({},)),
    ("traits", ({"traits": []},)),
)  # fmt: skip
DELETES = (
    "traits/CUSTOM_A", "traits/CUSTOM_A", "traits/x", "traits", "vifs/v1", "vifs/v1", "vifs/no-such", "vifs/a b",
    "vifs",
    "maintenance", "maintenance", "vmedia", "vmedia?device_types=cdrom", "vmedia?device_types=x", "allocation", "bios",
    "states", "inventory", "history",
)  # fmt: skip


def steps() -> Iterator[Ask]:
    yield node("part", name="part")
    yield get("/v1/nodes/validate?node_uuid=<part>")
    yield get("/v1/nodes/validate?node=part")
    yield get("/v1/nodes/validate?node=part", "1.1")
    for path in READS:
        for version in VERSIONS:
            yield get(f"/v1/nodes/<part>/{path}", version)
        yield get(f"/v1/nodes/part/{path}")
        yield get(f"/v1/nodes/no-such/{path}")
        yield get(f"/v1/nodes/{ABSENT}/{path}")
    yield from _writes()
    yield from _others()


def _writes() -> Iterator[Ask]:
    for path, bodies in WRITES:
        for body in bodies:
            yield put(f"/v1/nodes/<part>/{path}", body)
        for version in VERSIONS:
            yield put(f"/v1/nodes/<part>/{path}", bodies[0], version)
        yield put(f"/v1/nodes/no-such/{path}", bodies[0])
        yield get("/v1/nodes/<part>")
    for path, bodies in POSTS:
        for body in bodies:
            yield post(f"/v1/nodes/<part>/{path}", body)
        for version in VERSIONS:
            yield post(f"/v1/nodes/<part>/{path}", bodies[0], version)
        yield post(f"/v1/nodes/no-such/{path}", bodies[0])


def _others() -> Iterator[Ask]:
    yield put("/v1/nodes/<part>/traits", {"traits": ["CUSTOM_B", "CUSTOM_A"]})
    for path in ("traits", "", "states", "vifs", "validate", "management/boot_device", "history"):
        yield get(f"/v1/nodes/<part>/{path}".rstrip("/"))
    for path in DELETES:
        yield delete(f"/v1/nodes/<part>/{path}")
    for path in DELETES:
        for version in ("1.1", "1.31", "1.61", "1.89"):
            yield delete(f"/v1/nodes/<part>/{path}", version)
        yield delete(f"/v1/nodes/no-such/{path}")
    for odd in ODD:
        yield put("/v1/nodes/<part>/states/provision", {"target": odd})
        yield put("/v1/nodes/<part>/maintenance", {"reason": odd})
    yield get("/v1/nodes/<part>")
    yield delete("/v1/nodes/<part>")
