"""Provision verbs: whole lives of nodes, and every verb in every state."""

from collections.abc import Iterator
from typing import Any

from tests.interop.differ_asks.common import ABSENT, VERSIONS, delete, get, node, patch, post, put, replace
from tests.interop.differ_worlds import Ask, Force, Settle

STEP = {"interface": "deploy", "step": "erase_devices_metadata"}
HOLD = {"step": "hold"}
TARGETS: dict[str, dict[str, Any]] = {
    "active": {}, "deploy": {}, "deleted": {}, "undeploy": {}, "rebuild": {}, "manage": {}, "provide": {},
    "inspect": {}, "abort": {}, "adopt": {}, "unrescue": {}, "unhold": {},
    "clean": {"clean_steps": [STEP]}, "service": {"service_steps": [STEP]}, "rescue": {"rescue_password": "pw"},
}  # fmt: skip
STATES = (
    "enroll", "verifying", "manageable", "available", "active", "deploying", "wait call-back", "deploy hold",
    "deploy failed", "deleting", "error", "cleaning", "clean wait", "clean hold", "clean failed", "inspecting",
    "inspect wait", "inspect failed", "adopting", "adopt failed", "rescuing", "rescue wait", "rescue",
    "rescue failed", "unrescuing", "unrescue failed", "servicing", "service wait", "service hold", "service failed",
)  # fmt: skip


def to(name: str, target: Any, version: str = "1.110", **more: Any) -> Ask:
    return put(f"/v1/nodes/<{name}>/states/provision", {"target": target, **more}, version)


def lives() -> Iterator[Ask | Force | Settle]:
    for version in VERSIONS:
        yield from _life(version)
    yield from _bodies()


def _life(version: str) -> Iterator[Ask | Settle]:
    yield node("life", name="life")
    for target, rest in (
        ("manage", ("manageable",)), ("inspect", ("manageable",)), ("provide", ("available",)),
        ("active", ("active",)), ("rebuild", ("active",)), ("rescue", ("rescue",)), ("unrescue", ("active",)),
        ("deleted", ("available",)), ("manage", ("manageable",)), ("adopt", ("active",)), ("deleted", ("available",)),
    ):  # fmt: skip
        yield to("life", target, version, **TARGETS[target])
        yield Settle(node="life", states=(*rest, "enroll", "active", "available", "manageable"), within_s=5)
        yield get("/v1/nodes/<life>", version)
        yield get("/v1/nodes/<life>/states", version)
    yield get("/v1/nodes/<life>/inventory")
    yield delete("/v1/nodes/<life>", version)
    yield Settle(node="life", states=("", "None", "available"), within_s=1)


def _bodies() -> Iterator[Ask | Force | Settle]:
    """What comes with a verb, in the state where the verb is right."""
    drives: tuple[Any, ...] = (
        "aGVsbG8=", "http://127.0.0.1:1/x", {"meta_data": {}}, {"x": 1}, 5, [], "not base64!", "",
        {"meta_data": {}, "user_data": "x", "network_data": {}, "vendor_data": {}}, {"meta_data": "x"},
    )  # fmt: skip
    steps: tuple[Any, ...] = (
        [], {}, "x", [{}], [STEP], [{**STEP, "priority": 5}], [{**STEP, "x": 1}], [{"step": "x"}],
            [{"interface": "deploy"}],
        [{"interface": "x", "step": "x"}], [{**STEP, "args": "x"}], [{**STEP, "args": {"a": 1}}], [HOLD],
            [{"step": "wait"}],
        [{"step": "power_on"}], [{"step": "reboot"}], [{**HOLD, "interface": "deploy"}], [{"step": 5,
            "interface": "deploy"}],
        [{**STEP, "execute_on_child_nodes": True}], [{**STEP, "execute_on_child_nodes": "x"}], 5, None,
    )  # fmt: skip
    sent: list[tuple[str, str, dict[str, Any]]] = []
    sent += [("available", "active", {"configdrive": one}) for one in drives]
    sent += [("active", "rebuild", {"configdrive": one}) for one in drives]
    sent += [("available", "active", {"deploy_steps": one}) for one in steps]
    sent += [("manageable", "clean", {"clean_steps": one}) for one in steps]
    sent += [("active", "service", {"service_steps": one}) for one in steps]
    sent += [("active", "rescue", {"rescue_password": one}) for one in ("", " ", None, 5, [], "ok")]
    sent += [("manageable", "clean", {"clean_steps": [STEP], "disable_ramdisk": one}) for one in (True, "x", None)]
    sent += [
        ("manageable", "clean", {}), ("active", "service", {}), ("active", "rescue", {}),
        ("manageable", "clean", {"runbook": "no-such"}), ("manageable", "clean", {"runbook": ABSENT}),
        ("manageable", "clean", {"runbook": "x", "clean_steps": [STEP]}), ("active", "service", {"runbook": "x"}),
        ("manageable", "provide", {"clean_steps": [STEP]}), ("manageable", "manage", {"configdrive": "x"}),
        ("manageable", "inspect", {"rescue_password": "x"}), ("available", "active", {"rescue_password": "x"}),
        ("available", "active", {"colour": 1}), ("available", "active", {"runbook": "x"}),
        ("manageable", "provide", {"deploy_steps": [STEP]}), ("manageable", "provide", {"disable_ramdisk": True}),
    ]  # fmt: skip
    for state, target, more in sent:
        yield node("tried")
        yield Force(node="tried", state=state)
        yield to("tried", target, **more)
        yield from _put_away("tried")
    for version in VERSIONS:
        for state, target, more in (
            ("available", "active", {"configdrive": {"meta_data": {}}}), ("active", "rebuild", {"configdrive": "aGk="}),
            ("available", "active", {"configdrive": {"vendor_data": {}}}), ("manageable", "clean",
                {"clean_steps": [STEP]}),
            ("available", "active", {"deploy_steps": [{**STEP, "priority": 5}]}),
        ):  # fmt: skip
            yield node("tried")
            yield Force(node="tried", state=state)
            yield to("tried", target, version, **more)
            yield from _put_away("tried")
    for one in ("no-such", ABSENT):
        yield put(f"/v1/nodes/{one}/states/provision", {"target": "manage"})


def _put_away(name: str) -> Iterator[Ask | Force | Settle]:
    yield Settle(node=name, states=("active", "available", "manageable", "enroll", "deploy failed", "clean failed",
                                    "service failed", "rescue", "rescue failed", "clean hold", "deploy hold",
                                    "service hold", "error", "inspect failed"), within_s=5)  # fmt: skip


def matrix() -> Iterator[Ask | Force]:
    """A fresh node each time: what an accepted verb leads to is not looked at here."""
    for state in STATES:
        for target, more in TARGETS.items():
            yield node("judged")
            yield Force(node="judged", state=state)
            yield to("judged", target, **more)
        for target, version in (("abort", "1.40"), ("abort", "1.109"), ("manage", "1.3"), ("inspect", "1.5"),
                                ("clean", "1.14"), ("adopt", "1.16"), ("rescue", "1.37"), ("unhold", "1.84"),
                                ("service", "1.86"), ("deploy", "1.72"), ("undeploy", "1.72"), ("abort",
                                    "1.12")):  # fmt: skip
            yield node("judged")
            yield Force(node="judged", state=state)
            yield to("judged", target, version, **TARGETS[target])


def others() -> Iterator[Ask | Force]:
    """Everything else whose answer may depend on the state."""
    asked: tuple[Ask, ...] = (
        delete("/v1/nodes/<stood>"), put("/v1/nodes/<stood>/states/power", {"target": "power on"}),
        put("/v1/nodes/<stood>/states/power", {"target": "power off"}),
        put("/v1/nodes/<stood>/maintenance", {}), put("/v1/nodes/<stood>/traits/CUSTOM_A"),
        put("/v1/nodes/<stood>/management/boot_device", {"boot_device": "pxe"}),
        put("/v1/nodes/<stood>/states/boot_mode", {"target": "uefi"}),
        put("/v1/nodes/<stood>/states/raid", {"logical_disks": [{"size_gb": 10, "raid_level": "1"}]}),
        post("/v1/nodes/<stood>/vifs", {"id": "v"}), get("/v1/nodes/<stood>"), get("/v1/nodes/<stood>", "1.1"),
        get("/v1/nodes/<stood>", "1.31"), get("/v1/nodes/<stood>/validate"), get("/v1/nodes/<stood>/states", "1.1"),
        post("/v1/ports", {"node_uuid": "<stood>", "address": "52:54:00:00:77:01"}),
        post("/v1/allocations", {"node": "<stood>"}), get("/v1/nodes?provision_state=available", "1.9"),
        patch("/v1/nodes/<stood>", [replace("/instance_uuid", None)]),
    )  # fmt: skip
    for state in STATES:
        for one in asked:
            yield node("stood")
            yield Force(node="stood", state=state)
            yield one
            yield Force(node="stood", state="enroll")
            yield delete("/v1/nodes/<stood>")
    for one in (put("/v1/nodes/<stood>/states/provision", {"target": "active"}),
                put("/v1/nodes/<stood>/states/provision", {"target": "manage"}),
                put("/v1/nodes/<stood>/states/provision", {"target": "deleted"})):  # fmt: skip
        for state in ("enroll", "available", "active", "deploy failed"):
            for changed in ("protected", "retired", "maintenance"):
                yield node("stood")
                yield Force(node="stood", state="active")
                yield patch("/v1/nodes/<stood>", [replace(f"/{changed}", True)])
                yield Force(node="stood", state=state)
                yield one
