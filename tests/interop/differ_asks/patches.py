"""PATCH of nodes: each operation on each kind of attribute, in old and new versions."""

from collections.abc import Iterator
from typing import Any

from tests.interop.differ_asks.common import (
    ABSENT,
    FAKE,
    ODD,
    VERSIONS,
    add,
    delete,
    get,
    node,
    patch,
    post,
    put,
    remove,
    replace,
)
from tests.interop.differ_asks.nodes import GOOD, READ_ONLY, WRITABLE
from tests.interop.differ_worlds import Ask, Force

FORMS: tuple[Any, ...] = (
    [], {}, None, "x", [5], [{}], [{"op": "add"}], [{"path": "/name"}], [{"op": "add", "path": "/name"}],
    [{"op": "move", "from": "/name", "path": "/owner"}], [{"op": "copy", "from": "/name", "path": "/owner"}],
    [{"op": "test", "path": "/name", "value": "x"}], [{"op": "x", "path": "/name", "value": "x"}],
    [{"op": "add", "path": "name", "value": "x"}], [{"op": "add", "path": "/", "value": "x"}],
    [{"op": "add", "path": "", "value": {}}], [{"op": "add", "path": "/extra/", "value": 1}],
    [{"op": "add", "path": "/extra//a", "value": 1}], [{"op": 5, "path": "/name", "value": "x"}],
    [{"op": "add", "path": 5, "value": "x"}], [{"op": "add", "path": "/name", "value": "x", "colour": 1}],
    [{"op": "ADD", "path": "/name", "value": "x"}], [{"op": "replace", "path": "/name"}],
    [{"op": "remove", "path": "/name", "value": "x"}],
)  # fmt: skip
INSIDE = (
    [add("/extra/a", 1)],
    [add("/extra/a/b", 1)],
    [remove("/extra/nothing")],
    [replace("/extra/nothing", 1)],
    [add("/extra/list", [1, 2]), add("/extra/list/-", 3)],
    [add("/extra/list", [1]), add("/extra/list/5", 3)],
    [add("/extra/list", [1]), remove("/extra/list/0")],
    [add("/extra/list", [1]), add("/extra/list/x", 0)],
    [replace("/extra/k", {"deep": {"er": 1}})],
    [remove("/extra/k")],
    [remove("/extra")],
    [replace("/extra", {})],
    [replace("/extra", "x")],
    [add("/extra/a~1b", 1)],
    [add("/extra/a~0b", 1)],
    [add("/properties/cpus", "8")],
    [add("/properties/cpus", "x")],
    [add("/properties/capabilities", 5)],
    [remove("/properties/cpus")],
    [add("/driver_info/password", "secret")],
    [replace("/driver_info/password", "******")],
    [remove("/driver_info/nothing")],
    [add("/instance_info/image_source", "http://h/i")],
    [add("/instance_info/display_name", "web")],
    [replace("/extra/k", "v"), replace("/extra/nothing", "v")],
    [remove("/name"), add("/name", "again")],
    [replace("/name", "a"), replace("/name", "b")],
)
ROOT = (
    [replace("/driver", "no-such")],
    [replace("/driver", FAKE)],
    [remove("/driver")],
    [replace("/driver", None)],
    [replace("/name", "taken")],
    [replace("/name", "")],
    [replace("/name", "a b")],
    [replace("/name", "detail")],
    [replace("/uuid", ABSENT)],
    [remove("/uuid")],
    [replace("/chassis_uuid", ABSENT)],
    [remove("/chassis_uuid")],
    [replace("/deploy_interface", "no-such")],
    [remove("/deploy_interface")],
    [replace("/boot_interface", None)],
    [replace("/parent_node", "<patched>")],
    [replace("/parent_node", ABSENT)],
    [replace("/conductor_group", "x")],
    [remove("/conductor_group")],
    [remove("/properties")],
    [remove("/driver_info")],
    [remove("/instance_info")],
    [remove("/maintenance")],
    [remove("/protected")],
    [remove("/retired")],
    [replace("/protected", True)],
    [replace("/protected_reason", "x")],
    [replace("/protected", True), replace("/protected_reason", "x")],
    [replace("/retired", True)],
    [replace("/retired_reason", "x")],
    [remove("/automated_clean")],
    [replace("/network_data", {"links": []})],
    [add("/colour", 1)],
    [add("/traits/-", "CUSTOM_A")],
    [replace("/states", "x")],
    [replace("/links", [])],
    [replace("/instance_uuid", "x")],
)


def steps() -> Iterator[Ask | Force]:
    yield node("taken", name="taken")
    for form in FORMS:
        yield from _one(form)
        yield from _one(form, "1.31")
    for operations in (*INSIDE, *ROOT):
        yield from _one(operations)
    for name in (*WRITABLE, *READ_ONLY):
        yield from _one([remove(f"/{name}")])
        yield from _one([add(f"/{name}/x", 1)])
        for odd in ODD if name in WRITABLE else ("x",):
            yield from _one([replace(f"/{name}", odd)])
    for version in VERSIONS[::3]:
        for name, value in GOOD.items():
            yield from _one([replace(f"/{name}", value)], version)
            yield from _one([remove(f"/{name}")], version)
    yield from _reset()
    for ident in ("no-such", ABSENT, "a b", "taken"):
        yield patch(f"/v1/nodes/{ident}", [replace("/extra", {})])
        yield patch(f"/v1/nodes/{ident}", [replace("/extra", {})], "1.1")


def _one(operations: Any, version: str = "1.110") -> Iterator[Ask]:
    yield node("patched", name="patched", extra={"k": "v"}, properties={"cpus": 4}, driver_info={"password": "p"},
               resource_class="bm")  # fmt: skip
    yield patch("/v1/nodes/<patched>", operations, version)
    if "instance_uuid" in str(operations):  # else the next patch would meet a node that stayed
        yield put("/v1/nodes/<patched>/maintenance", {})
    yield delete("/v1/nodes/<patched>")


def _reset() -> Iterator[Ask]:
    for query in ("reset_interfaces=true", "reset_interfaces=false", "reset_interfaces=x", "x=1"):
        for operations in ([replace("/driver", FAKE)], [replace("/extra", {})]):
            for version in ("1.44", "1.45", "1.110"):
                yield node("patched")
                yield patch(f"/v1/nodes/<patched>?{query}", operations, version)
                yield delete("/v1/nodes/<patched>")


def states() -> Iterator[Ask | Force]:
    """What may be changed depends on where the node is."""
    operations = (
        [replace("/name", "moved")], [remove("/name")], [replace("/driver", FAKE)], [replace("/resource_class", "x")],
        [remove("/resource_class")], [replace("/deploy_interface", "fake")], [replace("/bios_interface", "no-bios")],
        [replace("/instance_uuid", ABSENT)], [replace("/owner", "x")], [replace("/protected", True)],
        [replace("/retired", True)], [replace("/conductor_group", "")], [replace("/parent_node", None)],
        [replace("/extra", {})], [replace("/network_data", {})], [replace("/maintenance", True)],
    )  # fmt: skip
    for state in ("manageable", "available", "active", "deploying", "wait call-back", "cleaning", "clean wait",
                  "clean failed", "inspecting", "inspect wait", "deploy failed", "error", "rescue", "adopt failed",
                  "service wait", "verifying"):  # fmt: skip
        for one in operations:
            yield node("moved", resource_class="bm", name="stood")
            yield Force(node="moved", state=state)
            yield patch("/v1/nodes/<moved>", one)
            yield Force(node="moved", state="enroll")
            yield put("/v1/nodes/<moved>/maintenance", {})
            yield patch("/v1/nodes/<moved>", [replace("/protected", False)])
            yield delete("/v1/nodes/<moved>")
    yield get("/v1/nodes/moved")
    yield post("/v1/nodes", {})
