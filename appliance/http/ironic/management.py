"""/v1/nodes/{node}/management and /maintenance: boot device, NMI; a node set aside. Indicators have their module."""

from flask import Response

from appliance.http.ironic import driver_info, hardware, node_body, pages, policy
from appliance.http.ironic.call import Call, Route
from appliance.http.ironic.errors import BadRequest
from appliance.http.ironic.node_access import find, find_to_change
from appliance.http.json_body import nothing, read_object, reply
from appliance.models import event
from appliance.models.node import Node
from appliance.services import nodes
from bmc.api import HasInterrupt
from bmc.types import BootDevice, BootOverride

SUPPORTED = ("pxe", "disk", "cdrom", "bios")
"""Boot devices of every driver (bmc.types.BootDevice)."""


def routes() -> list[Route]:
    below = "/nodes/<ident>/management"
    return [
        Route(method="GET", path=f"{below}/boot_device", view=_boot_device),
        Route(method="PUT", path=f"{below}/boot_device", view=_set_boot_device),
        Route(method="GET", path=f"{below}/boot_device/supported", view=_supported),
        Route(method="PUT", path=f"{below}/inject_nmi", view=_inject_nmi, since=29),
        Route(method="PUT", path="/nodes/<ident>/maintenance", view=_set_aside),
        Route(method="DELETE", path="/nodes/<ident>/maintenance", view=_take_back),
    ]


def _controlled(call: Call, ident: str, action: str) -> Node:
    """The node, if the caller may control it and it can be reached."""
    with call.context.database.read() as session:
        node = find(session, call, ident, policy.OWNER_MANAGER, f"baremetal:node:{action}")
        if action.startswith("set"):
            nodes.refuse_held(session, node, "its boot device is not yours now")
    refuse_unreachable(node)
    return node


def _boot_device(call: Call, ident: str) -> Response:
    node = _controlled(call, ident, "get_boot_device")
    with call.bmc(node) as bmc:
        override = bmc.boot_override()
    is_known = override.device is not BootDevice.NONE
    return reply(
        {
            "boot_device": override.device.value if is_known else None,
            "persistent": override.persistent if is_known else None,
        }
    )


def _supported(call: Call, ident: str) -> Response:
    with call.context.database.read() as session:
        find(session, call, ident, policy.OWNER_MANAGER, "baremetal:node:get_boot_device")
    return reply({"supported_boot_devices": list(SUPPORTED)})


def _set_boot_device(call: Call, ident: str) -> Response:
    body = {**call.arguments, **read_object()}
    pages.nothing_but(body, frozenset({"boot_device", "persistent"}))
    device, persistent = body.get("boot_device"), node_body.mark("persistent", body.get("persistent"))
    node = _controlled(call, ident, "set_boot_device")
    if device not in SUPPORTED:
        raise BadRequest(f"Invalid boot device {str(device)[:64]} specified.")
    wanted = BootOverride(device=BootDevice(device), persistent=persistent, is_uefi=node.boot_mode == "uefi")
    with call.bmc(node) as bmc:
        bmc.set_boot_override(wanted)
    note(call, node, f"boot device {device}{' (persistent)' if persistent else ' (once)'}")
    return nothing()


def _inject_nmi(call: Call, ident: str) -> Response:
    with call.context.database.read() as session:
        node = find(session, call, ident, policy.OWNER_MANAGER, "baremetal:node:inject_nmi")
        nodes.refuse_held(session, node, "it is not interrupted now")
    with call.bmc(node) as bmc:
        if not isinstance(bmc, HasInterrupt):
            raise hardware.unsupported(node.driver, "inject_nmi")
        refuse_unreachable(node)
        bmc.interrupt()
    note(call, node, "NMI injected")
    return nothing()


def refuse_unreachable(node: Node) -> None:
    absent = driver_info.missing(node.driver, node.bmc_address)
    if absent:
        raise BadRequest(f"Missing the following credentials in node's driver_info: {absent}.")


def note(call: Call, node: Node, text: str) -> None:
    """Into the node's history: what its BMC was told."""
    context = call.context
    with context.database.write() as session:
        event.record(session, at=context.clock(), kind="bmc.set", actor=call.actor.name, node_id=node.id, message=text)


def _set_aside(call: Call, ident: str) -> Response:
    body = {**call.arguments, **read_object()}
    pages.nothing_but(body, frozenset({"reason"}))
    reason = body.get("reason")
    if reason is not None and (not isinstance(reason, str) or len(reason) > nodes.LONGEST_REASON):
        raise BadRequest(f"Expected string for reason: it has at most {nodes.LONGEST_REASON} characters")
    return _maintain(call, ident, "set_maintenance", on=True, reason=reason)


def _take_back(call: Call, ident: str) -> Response:
    return _maintain(call, ident, "clear_maintenance", on=False, reason=None)


def _maintain(call: Call, ident: str, action: str, *, on: bool, reason: str | None) -> Response:
    context = call.context
    with context.database.write() as session:
        node = find_to_change(session, call, ident, policy.OWNER_MEMBER_LESSEE_MANAGER, f"baremetal:node:{action}")
        nodes.set_maintenance(session, node, on=on, reason=reason, actor=call.actor.name, now=context.clock())
    return Response(status=202)
