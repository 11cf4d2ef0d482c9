"""The native API as an OpenAPI 3.1 document, and the list of all routes of all faces.

One row per operation. A test compares the rows with the routes that are really registered, so a route cannot come, go
or change its method without its row. `python -m appliance.http.native.openapi` prints the document.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from flask import Flask, Response

from appliance.domain.access import Permission
from appliance.http.auth import authenticated
from appliance.http.context import Context
from appliance.http.json_body import reply
from appliance.http.native.nodes import VERBS
from appliance.http.native.openapi_schemas import (
    BOOLEAN,
    INTEGER,
    MAYBE_INTEGER,
    MAYBE_TEXT,
    OBJECT,
    SCHEMAS,
    STEP,
    TEXT,
    TIME,
    Schema,
    array,
    page,
    ref,
    shown,
    wish,
)
from appliance.services.nodes import LONGEST_REASON

FACES = ("v1", "identity", "baremetal", "image")
READ, OPERATE, CONFIGURE, IDENTITY = Permission.READ, Permission.OPERATE, Permission.CONFIGURE, Permission.IDENTITY
_NODE = ref("Node")
_LONG = {"type": "string", "maxLength": 4 * 1024 * 1024}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """permission: None where any valid token will do. errors: beside those that every operation may answer."""

    method: str
    path: str
    says: str
    permission: Permission | None = READ
    is_open: bool = False
    query: Sequence[tuple[str, Schema]] = ()
    headers: Sequence[tuple[str, Schema]] = ()
    body: Schema | None = None
    body_type: str = "application/json"
    status: int = 200
    answer: Schema | None = None
    answer_type: str = "application/json"
    errors: Sequence[int] = field(default=())


def _number(lowest: int, highest: int) -> Schema:
    return {"type": "integer", "minimum": lowest, "maximum": highest}


_LIMIT = ("limit", _number(1, 1000))
_STEPS = array(STEP, maxItems=100)
_DEPLOY = {
    "image": TEXT, "checksum": MAYBE_TEXT, "image_format": {"enum": ["raw", "qcow2", None]}, "hostname": TEXT,
    "ssh_keys": array(TEXT, maxItems=64), "user_data": MAYBE_TEXT,
    "network_data": {"type": ["object", "null"]}, "boot": {"enum": ["auto", "kexec", "reboot"]},
    "configdrive": {"anyOf": [_LONG, OBJECT, {"type": "null"}]}, "deploy_steps": _STEPS,
    "call_home": {"anyOf": [BOOLEAN, TEXT]},
}  # fmt: skip
_VERB_BODIES: dict[str, Schema] = {
    "deploy": wish(**_DEPLOY),
    "rebuild": wish(**_DEPLOY),
    "clean": wish(method={"enum": ["metadata", "shred"]}, clean_steps=_STEPS, disable_ramdisk=BOOLEAN),
    "service": wish(service_steps=_STEPS, disable_ramdisk=BOOLEAN),
    "rescue": wish("rescue_password", rescue_password={"type": "string", "writeOnly": True}),
}
_SUBNET = wish(
    "name", "cidr", "pool", "interface",
    name=TEXT, cidr=TEXT, pool={"type": "string", "examples": ["10.0.0.100-10.0.0.200"]}, interface=TEXT,
    gateway=MAYBE_TEXT, domain=MAYBE_TEXT, lease_s=_number(120, 30 * 86400),
)  # fmt: skip
_IMAGE = wish("name", name=TEXT, url=MAYBE_TEXT, sha256=MAYBE_TEXT, properties={"type": ["object", "null"]})
_LOGIN = wish("username", "password", username=TEXT, password={"type": "string", "writeOnly": True})
_LOGGED_IN = shown(token=TEXT, expires_at=TIME, must_change=BOOLEAN, username=TEXT, role=TEXT)
_BMC_ERRORS = (424,)
_REASON = wish(reason={"type": ["string", "null"], "maxLength": LONGEST_REASON})
_PASSWORDS = wish("old", "new", old={"type": "string", "writeOnly": True}, new={"type": "string", "writeOnly": True})


def _operation(method: str, path: str, says: str, **more: Any) -> Operation:
    return Operation(method=method, path=path, says=says, **more)


def _verbs() -> list[Operation]:
    return [
        _operation(
            "POST", f"/v1/nodes/{{ref}}/{verb}", f"Start the work that {verb} asks.", permission=OPERATE,
            body=_VERB_BODIES.get(verb, wish()), status=202, answer=ref("Started"),
        )
        for verb in VERBS
    ]  # fmt: skip


_one = _operation
OPERATIONS: tuple[Operation, ...] = (
    _one("POST", "/v1/login", "Prove who you are; the token goes into `Authorization: Bearer`.", is_open=True,
         permission=None, body=_LOGIN, answer=_LOGGED_IN),
    _one("POST", "/v1/logout", "End the token.", permission=None, status=204),
    _one("POST", "/v1/password", "Change your own password.", permission=None, body=_PASSWORDS, status=204),
    _one("POST", "/v1/token-keys", "Seal tokens with a new key from now on.", permission=IDENTITY,
         answer=shown(keys=INTEGER)),
    _one("GET", "/v1/whoami", "Who the token stands for.", permission=None, answer=shown(username=TEXT, role=TEXT)),
    _one("GET", "/v1/openapi.json", "This document.", permission=None, answer=OBJECT),
    _one("GET", "/v1/routes", "Every route of every face.", permission=None,
         answer=shown(faces=array(shown(face=TEXT, prefix=TEXT, routes=array(shown(method=TEXT, path=TEXT)))))),
    _one("GET", "/v1/doctor", "What is well and what is not.", answer=shown(checks=array(ref("Check")))),
    _one("GET", "/v1/flows", "Work, the newest first.", query=(("state", {"enum": ["active", "all"]}), _LIMIT),
         answer=page(ref("Flow"))),
    _one("GET", "/v1/flows/{uuid}", "One piece of work, with its steps.", answer=ref("FlowWithSteps")),
    _one("GET", "/v1/events", "Events after an id; `wait` holds the answer back until there is one.",
         query=(("after", _number(0, 2**40)), ("wait", _number(0, 30)), _LIMIT, ("node", TEXT),
                ("last", _number(1, 1000))),
         answer=page(ref("Event"), marker=MAYBE_INTEGER)),
    _one("GET", "/v1/nodes", "Nodes, a page at a time.",
         query=(*((name, TEXT) for name in ("state", "driver", "rack", "name", "mac", "marker")), _LIMIT,
                ("maintenance", {"enum": ["true", "false"]})),
         answer=page(_NODE)),
    _one("POST", "/v1/nodes", "Enroll a node.", permission=CONFIGURE, body=ref("NodeWish"), status=201, answer=_NODE),
    _one("POST", "/v1/nodes/bulk", "Enroll many; each line succeeds or fails by itself.", permission=CONFIGURE,
         body=wish("nodes", nodes=array(OBJECT, maxItems=1000), check=BOOLEAN),
         answer=shown(items=array(ref("BulkResult")))),
    _one("GET", "/v1/nodes/{ref}", "One node; ref is its name, UUID, a part of it, or a MAC.", answer=_NODE),
    _one("PATCH", "/v1/nodes/{ref}", "Change what is recorded.", permission=CONFIGURE, body=ref("NodeChange"),
         answer=_NODE),
    _one("DELETE", "/v1/nodes/{ref}", "Forget it.", permission=CONFIGURE, status=204),
    _one("PUT", "/v1/nodes/{ref}/maintenance", "Set it aside.", permission=OPERATE, body=_REASON,
         answer=_NODE),
    _one("DELETE", "/v1/nodes/{ref}/maintenance", "Take it back.", permission=OPERATE, answer=_NODE),
    *_verbs(),
    _one("POST", "/v1/nodes/{ref}/abort", "Stop the work on it.", permission=OPERATE, status=202,
         answer=shown(node=_NODE)),
    _one("GET", "/v1/nodes/{ref}/inventory", "Its last hardware report.",
         answer=shown(reported_at=TIME, inventory=OBJECT)),
    _one("GET", "/v1/nodes/{ref}/timeline", "What happened to it, the oldest first.",
         query=(("after", _number(0, 2**40)), _LIMIT), answer=page(ref("Event"), marker=MAYBE_INTEGER)),
    _one("GET", "/v1/nodes/{ref}/why", "Why it is where it is, and what to do.", answer=ref("Why")),
    _one("GET", "/v1/nodes/{ref}/power", "Ask the BMC.", answer=shown(power_state=TEXT, observed_at=TIME),
         errors=_BMC_ERRORS),
    _one("PUT", "/v1/nodes/{ref}/power", "Ask the BMC to switch.", permission=OPERATE,
         body=wish("target", target=ref("PowerAction")), status=202, answer=shown(node=TEXT, target=TEXT)),
    _one("GET", "/v1/nodes/{ref}/boot-device", "What it will boot from.",
         answer=shown(device=ref("BootDevice"), persistent=BOOLEAN, uefi=BOOLEAN), errors=_BMC_ERRORS),
    _one("PUT", "/v1/nodes/{ref}/boot-device", "Choose what it boots from.", permission=OPERATE,
         body=wish("device", device=ref("BootDevice"), persistent=BOOLEAN, uefi=BOOLEAN), status=204,
         errors=_BMC_ERRORS),
    _one("GET", "/v1/nodes/{ref}/sensors", "Readings.", answer=page(ref("Sensor")), errors=_BMC_ERRORS),
    _one("GET", "/v1/nodes/{ref}/sel", "The BMC's own event log.", answer=page(ref("SelEntry")), errors=_BMC_ERRORS),
    _one("GET", "/v1/nodes/{ref}/fru", "What it is made of.",
         answer={"type": "object", "additionalProperties": TEXT}, errors=_BMC_ERRORS),
    _one("GET", "/v1/nodes/{ref}/bmc", "The BMC itself.", answer=ref("BmcInfo"), errors=_BMC_ERRORS),
    _one("PUT", "/v1/nodes/{ref}/identify", "Light its lamp.", permission=OPERATE,
         body=wish(seconds=_number(0, 255)), status=204, errors=_BMC_ERRORS),
    _one("PUT", "/v1/nodes/{ref}/nmi", "Interrupt its system, which then writes down why it hangs.", permission=OPERATE,
         body=wish(), status=204, errors=_BMC_ERRORS),
    _one("GET", "/v1/nodes/{ref}/console", "Its serial console, from now on.", permission=OPERATE,
         query=(("seconds", _number(1, 86400)),), answer={"type": "string", "format": "binary"},
         answer_type="application/octet-stream", errors=_BMC_ERRORS),
    _one("GET", "/v1/images", "Images, a page at a time.", query=(_LIMIT, ("marker", TEXT)), answer=page(ref("Image"))),
    _one("POST", "/v1/images", "An image, fetched from `url` or waiting for its bytes.", permission=CONFIGURE,
         body=_IMAGE, status=201, answer=ref("Image")),
    _one("GET", "/v1/images/{ref}", "One image.", answer=ref("Image")),
    _one("DELETE", "/v1/images/{ref}", "Forget it.", permission=CONFIGURE, status=204),
    _one("PUT", "/v1/images/{ref}/file", "Its bytes.", permission=CONFIGURE,
         headers=(("X-Checksum-Sha256", {"type": "string", "pattern": "^[0-9a-fA-F]{64}$"}),),
         body={"type": "string", "format": "binary"}, body_type="application/octet-stream", status=202,
         answer=ref("Image"), errors=(411,)),
    _one("PUT", "/v1/images/{ref}/cloud-config-schema", "What its cloud-init understands.", permission=CONFIGURE,
         body=OBJECT, status=204),
    _one("GET", "/v1/subnets", "Subnets.", answer=page(ref("Subnet"))),
    _one("POST", "/v1/subnets", "Serve a subnet.", permission=CONFIGURE, body=_SUBNET, status=201,
         answer=ref("NewSubnet")),
    _one("GET", "/v1/subnets/{name}", "One subnet.", answer=ref("Subnet")),
    _one("DELETE", "/v1/subnets/{name}", "Serve it no longer.", permission=CONFIGURE, status=204),
    _one("GET", "/v1/leases", "Addresses that are lent.", answer=page(ref("Lease"))),
    _one("GET", "/v1/sightings", "Machines that booted and that no node claims.", answer=page(ref("Sighting"))),
    _one("DELETE", "/v1/sightings/{mac}", "Forget one.", permission=CONFIGURE, status=204),
)  # fmt: skip
_ALWAYS = {
    400: "A value cannot be used.", 401: "A valid token is needed.", 403: "Your role does not allow this.",
    404: "There is no such thing.", 405: "Not this method.", 409: "Its state, or somebody, forbids this now.",
    413: "Larger than is taken.", 503: "Busy; try again.", 507: "The appliance's disk is full.",
}  # fmt: skip
_SOMETIMES = {411: "The length is needed.", 424: "The BMC did not do what it was asked."}


def document() -> dict[str, Any]:
    """The whole, as OpenAPI 3.1.1."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation)
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "Rackwright", "version": version("rackwright"), "license": {"name": "Apache-2.0"},
            "description": "The appliance's own API. Refusals are one shape (Error) with the next step in them.",
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }  # fmt: skip


def _described(operation: Operation) -> dict[str, Any]:
    slug = operation.path.removeprefix("/v1/").replace("{", "").replace("}", "").replace("/", "-")
    shape: dict[str, Any] = {
        "operationId": f"{operation.method.lower()}-{slug}",
        "summary": operation.says,
        "parameters": list(_parameters(operation)),
        "responses": _responses(operation),
    }
    if operation.permission is not None:
        shape["description"] = f"Needs the permission `{operation.permission}`."
    if operation.is_open:
        shape["security"] = []
    if operation.body is not None:
        needs = bool(operation.body.get("required")) or operation.body_type != "application/json"
        shape["requestBody"] = {"required": needs, "content": {operation.body_type: {"schema": operation.body}}}
    return shape


def _parameters(operation: Operation) -> Iterable[dict[str, Any]]:
    for part in operation.path.split("/"):
        if part.startswith("{"):
            yield {"name": part[1:-1], "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    for name, schema in operation.query:
        yield {"name": name, "in": "query", "required": False, "schema": schema}
    for name, schema in operation.headers:
        yield {"name": name, "in": "header", "required": False, "schema": schema}


def _responses(operation: Operation) -> dict[str, Any]:
    good: dict[str, Any] = {"description": operation.says}
    if operation.answer is not None:
        good["content"] = {operation.answer_type: {"schema": operation.answer}}
    refusal = {"application/json": {"schema": ref("Error")}}
    answers = {str(operation.status): good}
    for status, words in _ALWAYS.items():
        answers[str(status)] = {"description": words, "content": refusal}
    for status in operation.errors:
        answers[str(status)] = {"description": _SOMETIMES[status], "content": refusal}
    return answers


def routes(app: Flask) -> list[dict[str, Any]]:
    """Every route of every face, as it is registered: [{face, prefix, routes: [{method, path}]}]."""
    found: dict[str, set[tuple[str, str]]] = {face: set() for face in FACES}
    for rule in app.url_map.iter_rules():
        face = rule.rule[1:].partition("/")[0]
        path = rule.rule.replace("<path:", "<").replace("<", "{").replace(">", "}")
        if face in found and (path == f"/{face}" or not path.endswith("/")):
            found[face] |= {(path, method) for method in (rule.methods or set()) - {"OPTIONS", "HEAD"}}
    return [
        {"face": face, "prefix": f"/{face}", "routes": [{"method": m, "path": p} for p, m in sorted(found[face])]}
        for face in FACES
    ]


def install(app: Flask, context: Context) -> None:
    known = authenticated(context)
    whole = json.dumps(document()).encode()
    answer: Callable[[], Response] = lambda: Response(whole, mimetype="application/json")  # noqa: E731
    app.add_url_rule("/v1/openapi.json", "openapi", known(answer), methods=["GET"])
    app.add_url_rule("/v1/routes", "routes", known(lambda: reply({"faces": routes(app)})), methods=["GET"])


if __name__ == "__main__":
    print(json.dumps(document(), indent=1))  # noqa: T201  (printing is its purpose)
