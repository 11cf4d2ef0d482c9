"""What is kept beside the nodes: ports, portgroups, chassis, volumes, allocations, templates, runbooks, rules."""

from collections.abc import Iterator, Mapping
from typing import Any

from tests.interop.differ_asks.common import (
    ABSENT,
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
    trial,
)
from tests.interop.differ_worlds import Ask, Force

LINK = {"switch_id": "0a:1b:2c:3d:4e:5f", "port_id": "p"}
MAC = "52:54:00:00:00:01"
LISTS = ("", "limit=1", "limit=x", "limit=0", "limit=-1", "marker=x", f"marker={ABSENT}", "sort_key=uuid", "sort_key=x",
         "sort_key=created_at", "sort_key=extra", "sort_dir=desc", "sort_dir=x", "fields=uuid", "fields=x", "fields=",
         "detail=true", "detail=x", "detail=true&fields=uuid", "x=1", "limit=1&sort_key=created_at&sort_dir=desc",
         "limit=1&fields=uuid", "limit=1&detail=true", "sort_key=links", "sort_key=id")  # fmt: skip
UUIDS_UNJUDGED = ("allocations", "inspection_rules")
"""Ironic takes any text for a UUID there, and can delete none of these afterwards."""


def shelf(path: str, base: Mapping[str, Any], good: Mapping[str, Any], filters: tuple[str, ...] = ()) -> Iterator[Ask]:
    """Everything that holds for any of them. base: what is required; good: values of the other attributes."""
    url = f"/v1/{path}"
    for version in VERSIONS:
        yield from trial(url, dict(base), version)
        for name, value in good.items():
            yield from trial(url, {**base, name: value}, version)
    for name in (*base, *good, *(() if path in UUIDS_UNJUDGED else ("uuid",)), "created_at", "links", "id", "colour"):
        for odd in ODD:
            yield from trial(url, {**base, name: odd})
    for name in base:
        yield from trial(url, {key: value for key, value in base.items() if key != name})
    for body in ({}, [], "x", None):
        yield from trial(url, body)
    yield from _thing(url, base, good, filters)


def _thing(url: str, base: Mapping[str, Any], good: Mapping[str, Any], filters: tuple[str, ...]) -> Iterator[Ask]:
    yield post(url, {**base, "uuid": "3be26c0b-03f2-4d2e-ae87-c02d7f33c123"}, keep="thing")
    yield post(url, {**base, "uuid": "3be26c0b-03f2-4d2e-ae87-c02d7f33c123"}, keep="again")
    for version in VERSIONS:
        yield get(url, version)
        yield get(f"{url}/<thing>", version)
        yield get(f"{url}/detail", version)
        yield get(f"{url}?detail=true", version)
        yield get(f"{url}/<thing>?fields=uuid", version)
        yield patch(f"{url}/<thing>", [replace("/extra", {"v": version})], version)
    for query in (*LISTS, *filters):
        yield get(f"{url}?{query}")
        yield get(f"{url}/detail?{query}")
    for query in ("fields=uuid", "fields=x", "fields=uuid,links", "x=1", "detail=true"):
        yield get(f"{url}/<thing>?{query}")
    for ident in (ABSENT, "no-such", "a b", "x" * 256):
        yield get(f"{url}/{ident}")
        yield patch(f"{url}/{ident}", [replace("/extra", {})])
        yield delete(f"{url}/{ident}")
    yield from _patches(f"{url}/<thing>", base, good)
    yield put(f"{url}/<thing>", dict(base))
    yield post(f"{url}/<thing>", dict(base))
    yield get(f"{url}/<thing>/colour")
    yield delete(url)
    yield delete(f"{url}/<thing>")
    yield delete(f"{url}/<thing>")


def _patches(url: str, base: Mapping[str, Any], good: Mapping[str, Any]) -> Iterator[Ask]:
    for name, value in {**base, **good}.items():
        for odd in ODD:
            yield patch(url, [replace(f"/{name}", odd)])
        yield patch(url, [remove(f"/{name}")])
        yield patch(url, [replace(f"/{name}", value)])
    for operations in ([], {}, [{}], [{"op": "add", "path": "/extra"}], [replace("/uuid", ABSENT)], [remove("/uuid")],
                       [replace("/colour", 1)], [add("/colour", 1)], [remove("/colour")], [replace("/created_at", "x")],
                       [replace("/links", [])], [{"op": "test", "path": "/uuid", "value": 1}],
                       [add("/extra/a", 1)], [remove("/extra/b")], [replace("/extra/b", 1)]):  # fmt: skip
        yield patch(url, operations)


def chassis() -> Iterator[Ask]:
    yield from shelf("chassis", {}, {"description": "rack", "extra": {"a": 1}}, ("sort_key=description",))
    yield from trial("/v1/chassis", {"description": "d" * 255})
    yield post("/v1/chassis", {"description": "c"}, keep="chassis")
    yield node("housed", chassis_uuid="<chassis>")
    for path in ("", "/nodes", "/nodes/detail", "/nodes?detail=true", "/nodes?limit=1", "/nodes?fields=uuid", "/x"):
        yield get(f"/v1/chassis/<chassis>{path}")
    yield get("/v1/nodes?chassis_uuid=<chassis>")
    yield get(f"/v1/chassis/{ABSENT}/nodes")
    yield get("/v1/chassis/x/nodes")
    yield delete("/v1/chassis/<chassis>")
    yield patch("/v1/nodes/<housed>", [remove("/chassis_uuid")], "1.24")
    yield patch("/v1/nodes/<housed>", [remove("/chassis_uuid")])
    yield delete("/v1/chassis/<chassis>")
    yield delete("/v1/nodes/<housed>")


def volumes() -> Iterator[Ask]:
    yield node("stored", name="stored")
    node_uuid = {"node_uuid": "<stored>"}
    filters = ("node=stored", "node=x", "node=<stored>", f"node={ABSENT}", "sort_key=type", "sort_key=properties")
    yield from shelf(
        "volume/connectors", {**node_uuid, "type": "iqn", "connector_id": "iqn.2017"}, {"extra": {}}, filters
    )
    target = {**node_uuid, "volume_type": "iscsi", "boot_index": 0, "volume_id": "v"}
    yield from shelf("volume/targets", target, {"extra": {}, "properties": {"target_iqn": "x"}}, filters)
    for kind in ("iqn", "ip", "mac", "wwnn", "wwpn", "port", "portgroup", "x"):
        yield from trial("/v1/volume/connectors", {**node_uuid, "type": kind, "connector_id": "c"})
    for index in (0, 1, -1, "0", 1000, 2**31):
        yield from trial("/v1/volume/targets", {**target, "boot_index": index})
    connector = {**node_uuid, "type": "ip", "connector_id": "c"}
    yield post("/v1/volume/connectors", connector, keep="connector")
    yield post("/v1/volume/connectors", connector, keep="connector2")
    yield post("/v1/volume/targets", target, keep="target")
    yield post("/v1/volume/targets", target, keep="target2")
    for path in ("volume", "volume/connectors", "volume/targets", "volume/targets?detail=true"):
        yield get(f"/v1/nodes/stored/{path}")
    yield get("/v1/volume")
    yield put("/v1/nodes/stored/states/power", {"target": "power on"})
    yield delete("/v1/nodes/stored")


def allocations() -> Iterator[Ask]:
    good = {"name": "a1", "traits": ["CUSTOM_A"], "candidate_nodes": ["no-such"], "extra": {"a": 1}, "owner": "me",
            "node": "no-such"}  # fmt: skip
    filters = ("node=x", "resource_class=none", "state=error", "state=x", "owner=me", "sort_key=name",
               "sort_key=resource_class", "sort_key=state", "sort_key=traits", "sort_key=node_uuid",
                   "fields=name,state")  # fmt: skip
    yield from shelf("allocations", {"resource_class": "none"}, good, filters)
    for name in ("ok", "a b", "x" * 256, ABSENT, "é", "a.b"):
        yield from trial("/v1/allocations", {"resource_class": "none", "name": name})
    for body in ({"resource_class": "x" * 81}, {"resource_class": "none", "traits": ["x"]},
                 {"resource_class": "none", "candidate_nodes": [ABSENT]}, {"resource_class": "none", "traits": []},
                 {"resource_class": "none", "candidate_nodes": []}, {"node": ABSENT}, {"node": "x", "traits": []},
                 {"resource_class": "none", "state": "active"}, {"resource_class": "none",
                     "node_uuid": ABSENT}):  # fmt: skip
        yield from trial("/v1/allocations", body)
    yield post("/v1/allocations", {"resource_class": "none", "name": "twin"}, keep="twin")
    yield post("/v1/allocations", {"resource_class": "none", "name": "twin"}, keep="twin2")
    yield get("/v1/allocations/twin")
    yield get("/v1/allocations/twin?fields=name,node_uuid")
    yield patch("/v1/allocations/twin", [replace("/name", "twins")])
    yield delete("/v1/allocations/twins")
    yield node("allocated", resource_class="alloc", name="allocated")
    yield Force(node="allocated", state="available")
    yield post("/v1/allocations", {"node": "allocated", "name": "fill"}, keep="fill")
    yield Force(node="allocated", state="active")
    yield patch("/v1/nodes/allocated", [replace("/instance_uuid", "4be26c0b-03f2-4d2e-ae87-c02d7f33c123")])
    yield post("/v1/allocations", {"node": "allocated", "name": "fill2"}, keep="fill2")
    for path in (
        "/v1/nodes/allocated/allocation",
        "/v1/nodes/allocated",
        "/v1/allocations/fill",
        "/v1/allocations/fill2",
    ):
        yield get(path)
    yield delete("/v1/allocations/fill2")
    yield delete("/v1/nodes/allocated/allocation")
    yield delete("/v1/allocations/fill")


def steps_of_operators() -> Iterator[Ask]:
    """Deploy templates and runbooks."""
    step = {"interface": "deploy", "step": "x", "args": {}}
    template = {**step, "priority": 10}
    filters = ("sort_key=name", "sort_key=steps", "fields=name,steps")
    yield from shelf("deploy_templates", {"name": "CUSTOM_T", "steps": [template]}, {"extra": {"a": 1}}, filters)
    order = {**step, "order": 1}
    good = {"extra": {"a": 1}, "disable_ramdisk": False, "public": False, "owner": "me", "description": "d"}
    yield from shelf("runbooks", {"name": "CUSTOM_T", "steps": [order]}, good, filters)
    odd: tuple[Any, ...] = (
        [], [{}], [5], "x", [{**step}], [{**step, "priority": "x"}], [{**step, "priority": -1}],
        [{**step, "priority": "10"}], [{**step, "interface": "x", "priority": 1}], [{**template, "x": 1}],
        [{**template, "step": ""}], [{**template, "step": 5}], [{**template, "args": "x"}], [template, template],
        [{"interface": "deploy", "step": "x", "priority": 1}], [{**step, "priority": 1, "order": 1}],
    )  # fmt: skip
    for steps in odd:
        yield from trial("/v1/deploy_templates", {"name": "CUSTOM_T", "steps": steps})
        swapped = json_swap(steps)
        yield from trial("/v1/runbooks", {"name": "CUSTOM_T", "steps": swapped})
    for name in ("custom_t", "T", "CUSTOM_", "HW_CPU_X86_VMX", "CUSTOM_" + "T" * 250, "a b", ABSENT):
        yield from trial("/v1/deploy_templates", {"name": name, "steps": [template]})
        yield from trial("/v1/runbooks", {"name": name, "steps": [order]})
    for path, body in (("deploy_templates", template), ("runbooks", order)):
        yield post(f"/v1/{path}", {"name": "CUSTOM_U", "steps": [body]}, keep="first")
        yield post(f"/v1/{path}", {"name": "CUSTOM_U", "steps": [body]}, keep="second")
        yield get(f"/v1/{path}/CUSTOM_U")
        yield patch(f"/v1/{path}/CUSTOM_U", [replace("/steps/0/step", "y")])
        yield patch(f"/v1/{path}/CUSTOM_U", [add("/steps/-", body)])
        yield patch(f"/v1/{path}/CUSTOM_U", [remove("/steps/0")])
        yield delete(f"/v1/{path}/CUSTOM_U")


def json_swap(steps: Any) -> Any:
    """The same faults in a runbook, whose steps have an order where a template's have a priority."""
    if not isinstance(steps, list):
        return steps
    swap = {"priority": "order"}
    return [{swap.get(k, k): v for k, v in one.items()} if isinstance(one, dict) else one for one in steps]


def inspection_rules() -> Iterator[Ask]:
    action = {"op": "log", "args": {"msg": "hi"}}
    good = {
        "description": "d", "conditions": [{"op": "eq", "args": {"values": [1, 1]}}], "priority": 5, "phase": "main",
        "sensitive": False, "scope": "s",
    }  # fmt: skip
    yield from shelf("inspection_rules", {"actions": [action]}, good, ("sort_key=priority", "fields=actions"))
    for actions in ([], [{}], [{"op": "x", "args": {}}], [{"op": "log"}], [{"op": "fail", "args": {"msg": "x"}}],
                    [{"op": "log", "args": {}}], [{"op": "set-attribute", "args": {"path": "/name", "value": "x"}}],
                    [{**action, "loop": [1]}], [{**action, "x": 1}], [{"op": "log", "args": ["x"]}], "x"):  # fmt: skip
        yield from trial("/v1/inspection_rules", {"actions": actions})
    for conditions in ([], [{}], [{"op": "x", "args": {}}], [{"op": "!eq", "args": {"values": [1, 2]}}],
                       [{"op": "! eq", "args": {"values": [1, 2]}}], [{"op": "eq", "args": {}}],
                       [{"op": "is-true", "args": {"value": "x"}, "multiple": "any"}],
                       [{"op": "is-true", "args": {"value": "x"}, "multiple": "x"}], "x"):  # fmt: skip
        yield from trial("/v1/inspection_rules", {"actions": [action], "conditions": conditions})
    for priority in (-1, 0, 9999, 10000, "5", 1.5):
        yield from trial("/v1/inspection_rules", {"actions": [action], "priority": priority})
    yield post("/v1/inspection_rules", {"actions": [action]})
    yield post("/v1/inspection_rules", {"actions": [action], "sensitive": True}, keep="hidden")
    yield get("/v1/inspection_rules/<hidden>")
    yield patch("/v1/inspection_rules/<hidden>", [replace("/sensitive", False)])
    yield delete("/v1/inspection_rules")
    yield get("/v1/inspection_rules")
