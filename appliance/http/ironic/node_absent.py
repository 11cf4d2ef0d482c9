"""What clients may ask of a node and no driver of this appliance has: BIOS settings, firmware, methods.

Lists are empty, and acts are refused in the words of the field; nothing is taken and forgotten.
"""

from flask import Response

from appliance.domain.errors import NotFound
from appliance.http.ironic import hardware, policy
from appliance.http.ironic.call import Call, Route
from appliance.http.ironic.errors import BadRequest
from appliance.http.ironic.node_access import find
from appliance.http.ironic.policy import Rule
from appliance.http.json_body import reply
from appliance.models.node import Node

BIOS_SINCE, FIRMWARE_SINCE = 40, 86


def routes() -> list[Route]:
    node = "/nodes/<ident>"
    passthru = [
        Route(method=method, path=f"{node}/vendor_passthru{tail}", view=_passthru)
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
        for tail in ("", "/<name>")
    ]
    return [
        Route(method="GET", path=f"{node}/bios", view=_bios, since=BIOS_SINCE),
        Route(method="GET", path=f"{node}/bios/<setting>", view=_bios_setting, since=BIOS_SINCE),
        Route(method="GET", path=f"{node}/firmware", view=_firmware, since=FIRMWARE_SINCE),
        Route(method="GET", path=f"{node}/vendor_passthru/methods", view=_methods),
        *passthru,
    ]


def _seen(call: Call, ident: str, rule: Rule, action: str) -> Node:
    with call.context.database.read() as session:
        return find(session, call, ident, rule, f"baremetal:node:{action}")


def _bios(call: Call, ident: str) -> Response:
    _seen(call, ident, policy.PROJECT_READER, "bios:get")
    return reply({"bios": []})


def _bios_setting(call: Call, ident: str, setting: str) -> Response:
    node = _seen(call, ident, policy.PROJECT_READER, "bios:get")
    raise NotFound(f"Node {node.uuid} doesn't have a BIOS setting '{setting[:255]}'")


def _firmware(call: Call, ident: str) -> Response:
    _seen(call, ident, policy.PROJECT_READER, "firmware:get")
    return reply({"firmware": []})


def _methods(call: Call, ident: str) -> Response:
    _seen(call, ident, policy.SYSTEM_ADMIN, "vendor_passthru")
    return reply({})


def _passthru(call: Call, ident: str, name: str = "") -> Response:
    node = _seen(call, ident, policy.SYSTEM_ADMIN, "vendor_passthru")
    if not (name or call.arguments.get("method")):
        raise BadRequest("Method not specified")
    raise hardware.unsupported(node.driver, "vendor_passthru")
