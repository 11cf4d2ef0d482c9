"""Ports and their groups, and what of them may change by the state of their node."""

from collections.abc import Iterator
from typing import Any

from tests.interop.differ_asks.common import ABSENT, delete, get, node, patch, post, put, remove, replace, trial
from tests.interop.differ_asks.shelves import LINK, MAC, shelf
from tests.interop.differ_worlds import Ask, Force


def ports() -> Iterator[Ask]:
    yield node("owner_of_ports", name="owner-of-ports")
    base = {"node_uuid": "<owner_of_ports>", "address": MAC}
    good = {
        "extra": {"a": 1}, "local_link_connection": LINK | {"switch_info": "s"},
        "pxe_enabled": False, "physical_network": "net", "portgroup_uuid": ABSENT, "is_smartnic": False, "name": "port",
        "description": "d", "vendor": "v", "category": "c", "internal_info": {},
    }  # fmt: skip
    filters = ("address=52:54:00:00:00:01", "address=x", "address=52:54:00:00:00:99", "node=owner-of-ports",
               "node=no-such", "node_uuid=<owner_of_ports>", f"node_uuid={ABSENT}", "node_uuid=x", "portgroup=x",
               f"portgroup={ABSENT}", "shard=s", "shard=s,t", "sort_key=address", "sort_key=node_uuid",
               "sort_key=portgroup_uuid", "sort_key=local_link_connection", "sort_key=internal_info",
               "sort_key=physical_network", "fields=node_uuid,address", "fields=portgroup_uuid", "fields=internal_info",
               "description_contains=d", "conductor_groups=x")  # fmt: skip
    yield from shelf("ports", base, good, filters)
    for link in ({"switch_id": "x", "port_id": "p"}, {"port_id": "p"}, {"switch_id": "0a:1b:2c:3d:4e:5f"}, {"x": 1},
                 {"network_type": "unmanaged"}, {"network_type": "x"}, {"switch_id": "0a1b2c3d4e5f", "port_id": 5},
                 {"port_id": "rep", "hostname": "h"}, LINK | {"x": "y"}):  # fmt: skip
        yield from trial("/v1/ports", {**base, "local_link_connection": link})
    for mac in ("52:54:00:00:00:0A", "52-54-00-00-00-0a", "525400000001", "52:54:00:00:00", "ff:ff:ff:ff:ff:ff",
                "00:00:00:00:00:00", "01:00:5e:00:00:01", "x", "52:54:00:00:00:01:02:03",
                " 52:54:00:00:00:01"):  # fmt: skip
        yield from trial("/v1/ports", {**base, "address": mac})
    yield post("/v1/ports", base, keep="port")
    yield post("/v1/ports", base, keep="port2")
    yield post("/v1/ports", {**base, "address": "52:54:00:00:00:02"}, keep="port2")
    yield patch("/v1/ports/<port2>", [replace("/address", MAC)])
    yield get("/v1/ports?limit=1")
    yield get("/v1/ports?sort_key=address&sort_dir=desc&limit=1")
    for path in ("ports", "ports/detail", "ports?limit=1", "ports?fields=uuid", "ports?detail=true"):
        yield get(f"/v1/nodes/<owner_of_ports>/{path}")
    yield get(f"/v1/ports/{MAC}")
    for state in ("active", "deploying", "manageable", "inspecting", "cleaning"):
        yield Force(node="owner_of_ports", state=state)
        for one in ([replace("/address", "52:54:00:00:00:03")], [replace("/pxe_enabled", False)],
                    [replace("/physical_network", "n")], [replace("/extra", {})],
                    [replace("/local_link_connection", {"switch_id": "0a:1b:2c:3d:4e:5f",
                        "port_id": "p"})]):  # fmt: skip
            yield patch("/v1/ports/<port2>", one)
        yield from trial("/v1/ports", {**base, "address": "52:54:00:00:00:07"})
        yield delete("/v1/ports/<port2>")
    yield from _rewired()
    yield Force(node="owner_of_ports", state="enroll")
    yield delete("/v1/ports/<port>")


REWIRINGS: tuple[tuple[dict[str, Any], ...], ...] = (
    (replace("/address", "52:54:00:00:00:05"),), (replace("/address", MAC),), (replace("/pxe_enabled", False),),
    (replace("/pxe_enabled", True),), (replace("/physical_network", "wired"),), (remove("/physical_network"),),
    (replace("/extra", {"a": 2}), replace("/name", "wired")),
    (replace("/local_link_connection", LINK), replace("/vendor", "v")), (remove("/local_link_connection"),),
    (replace("/portgroup_uuid", "<wired>"),), (replace("/physical_network", "in-group"),), (remove("/portgroup_uuid"),),
)  # fmt: skip


def _rewired() -> Iterator[Ask | Force]:
    """What may change of a port, by the state of its node, in maintenance and with an instance's id."""
    yield post("/v1/portgroups", {"node_uuid": "<owner_of_ports>", "name": "wired"}, keep="wired")
    for state in ("available", "active", "manageable", "inspect wait", "clean failed", "rescue", "error"):
        for aside in (False, True):
            if aside:
                yield put("/v1/nodes/<owner_of_ports>/maintenance", {"reason": "r"})
            yield Force(node="owner_of_ports", state=state)
            for change in REWIRINGS:
                yield patch("/v1/ports/<port>", list(change))
                yield patch("/v1/ports/<port>", list(change), "1.101")
        yield delete("/v1/nodes/<owner_of_ports>/maintenance")
    yield Force(node="owner_of_ports", state="manageable")
    yield patch("/v1/nodes/<owner_of_ports>", [replace("/instance_uuid", ABSENT)])
    for change in REWIRINGS:
        yield patch("/v1/ports/<port>", list(change))
    yield patch("/v1/nodes/<owner_of_ports>", [remove("/instance_uuid")])
    yield delete("/v1/portgroups/<wired>")


def portgroups() -> Iterator[Ask]:
    yield node("owner_of_groups", name="owner-of-groups")
    base = {"node_uuid": "<owner_of_groups>"}
    good = {
        "address": MAC, "name": "bond", "extra": {"a": 1}, "mode": "802.3ad", "properties": {"miimon": 100},
        "standalone_ports_supported": False, "internal_info": {}, "physical_network": "n", "description": "d",
    }  # fmt: skip
    filters = ("address=52:54:00:00:00:01", "address=x", "node=owner-of-groups", "node=x", "sort_key=name",
               "sort_key=address", "sort_key=properties", "sort_key=node_uuid", "fields=name,mode",
                   "fields=ports")  # fmt: skip
    yield from shelf("portgroups", base, good, filters)
    for name in ("ok", "a b", "x" * 256, ABSENT, "é", "a/b", "a.b"):
        yield from trial("/v1/portgroups", {**base, "name": name})
    yield post("/v1/portgroups", {**base, "name": "bond", "address": MAC}, keep="bond")
    yield post("/v1/portgroups", {**base, "name": "bond"}, keep="bond2")
    yield post("/v1/portgroups", {**base, "address": MAC}, keep="bond2")
    yield get("/v1/portgroups/bond")
    member = {"node_uuid": "<owner_of_groups>", "address": "52:54:00:00:00:11", "portgroup_uuid": "<bond>"}
    yield post("/v1/ports", member, keep="member")
    for path in ("/v1/portgroups/<bond>/ports", "/v1/portgroups/bond/ports", "/v1/portgroups/bond/ports/detail",
                 "/v1/ports?portgroup=bond", "/v1/ports?portgroup=<bond>", "/v1/nodes/<owner_of_groups>/portgroups",
                 "/v1/portgroups/no-such/ports", "/v1/portgroups/bond/ports?fields=uuid"):  # fmt: skip
        yield get(path)
        yield get(path, "1.23")
    yield from _regrouped()
    yield delete("/v1/portgroups/<bond>")
    yield delete("/v1/ports/<member>")
    yield delete("/v1/portgroups/bond")
    yield delete("/v1/nodes/<owner_of_groups>")


def _regrouped() -> Iterator[Ask | Force]:
    """What may change of a group with a port and of one without, by the state of their node."""
    yield post("/v1/portgroups", {"node_uuid": "<owner_of_groups>", "name": "empty"}, keep="empty")
    yield node("other_of_groups", name="other-of-groups")
    changes = ([replace("/node_uuid", "<other_of_groups>")], [replace("/node_uuid", "<owner_of_groups>")],
               [remove("/mode")], [replace("/mode", "802.3ad"), replace("/properties", {"a": 1})],
               [replace("/standalone_ports_supported", False)], [replace("/standalone_ports_supported", True)],
               [replace("/physical_network", "regrouped")], [replace("/physical_network", None)],
               [replace("/address", "52:54:00:00:00:0b")], [replace("/extra", {"b": 1})])  # fmt: skip
    for state in ("available", "active", "inspecting", "manageable"):
        yield Force(node="owner_of_groups", state=state)
        yield Force(node="other_of_groups", state=state)
        for change in changes:
            yield patch("/v1/portgroups/<bond>", change)
            yield get("/v1/ports/<member>")
            yield patch("/v1/portgroups/<empty>", change, "1.38")
            yield patch("/v1/portgroups/<empty>", change)
    more = {"node_uuid": "<owner_of_groups>", "portgroup_uuid": "<bond>"}
    for number, values in enumerate(({"physical_network": "else"}, {"pxe_enabled": False}, {})):
        yield from trial("/v1/ports", {**more, **values, "address": f"52:54:00:00:00:2{number}"})
    yield delete("/v1/portgroups/<empty>")
    yield Force(node="owner_of_groups", state="enroll")
    yield Force(node="other_of_groups", state="enroll")
    yield delete("/v1/nodes/<other_of_groups>")
