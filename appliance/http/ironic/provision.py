"""PUT /v1/nodes/{node}/states/provision: the verbs. Here the form is checked; what it leads to, services decide."""

import re
from collections.abc import Mapping
from typing import Any

from flask import Response
from sqlalchemy.orm import Session

from appliance.domain import names
from appliance.domain.lifecycle import MOVES, State, Verb
from appliance.http.ironic import driver_info, instance_image, node_body, policy
from appliance.http.ironic.call import Call, Route
from appliance.http.ironic.errors import BadRequest
from appliance.http.ironic.node_access import find, find_to_change
from appliance.http.ironic.runbooks import refuse_unapproved
from appliance.http.ironic.states import accepted
from appliance.http.json_body import read_object
from appliance.models import flow
from appliance.models.node import Node
from appliance.services import deploy_templates, deployment, lifecycle, runbooks, step_secrets

MOST_BYTES = 64 * 1024 * 1024
"""A config-drive comes whole in the request."""

VERBS: Mapping[str, tuple[Verb, int]] = {
    "active": (Verb.DEPLOY, 1), "deploy": (Verb.DEPLOY, 73), "deleted": (Verb.UNDEPLOY, 1),
    "undeploy": (Verb.UNDEPLOY, 73), "rebuild": (Verb.REBUILD, 1), "manage": (Verb.MANAGE, 4),
    "provide": (Verb.PROVIDE, 4), "inspect": (Verb.INSPECT, 6), "abort": (Verb.ABORT, 13), "clean": (Verb.CLEAN, 15),
    "adopt": (Verb.ADOPT, 17), "rescue": (Verb.RESCUE, 38), "unrescue": (Verb.UNRESCUE, 38),
    "unhold": (Verb.UNHOLD, 85), "service": (Verb.SERVICE, 87),
}  # fmt: skip
"""target -> (our verb, since)."""

_ABORT_SINCE: Mapping[str, int] = {State.INSPECTWAIT: 41, State.DEPLOYWAIT: 110}
_ARGUMENTS: Mapping[str, frozenset[Verb]] = {
    "configdrive": frozenset({Verb.DEPLOY, Verb.REBUILD}),
    "clean_steps": frozenset({Verb.CLEAN}),
    "deploy_steps": frozenset({Verb.DEPLOY, Verb.REBUILD}),
    "service_steps": frozenset({Verb.SERVICE}),
    "rescue_password": frozenset({Verb.RESCUE}),
    "disable_ramdisk": frozenset({Verb.CLEAN, Verb.SERVICE}),
    "runbook": frozenset({Verb.CLEAN, Verb.SERVICE}),
}
"""Argument -> the verbs that take it."""

_SINCE: Mapping[str, int] = {"deploy_steps": 69, "disable_ramdisk": 70, "service_steps": 87, "runbook": 92}
_OF_DEPLOY_STEP = frozenset({"interface", "step", "args", "priority"})
_SAID: Mapping[Any, str] = {list: "a list", (str, dict): "a text or an object"}
_TYPES: Mapping[str, Any] = {
    "configdrive": (str, dict), "deploy_steps": list, "clean_steps": list, "service_steps": list,
}  # fmt: skip
_REBUILD_DRIVE_SINCE = 35
_DRIVE_PARTS = frozenset({"meta_data", "network_data", "user_data", "vendor_data"})
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]*\Z")


def routes() -> list[Route]:
    return [Route(method="PUT", path="/nodes/<ident>/states/provision", view=_provision)]


def _provision(call: Call, ident: str) -> Response:
    body = read_object(MOST_BYTES)
    target = body.pop("target", None)
    verb, since = VERBS.get(target, (None, 1)) if isinstance(target, str) else (None, 1)
    context = call.context
    with context.database.read() as session:
        node = find(session, call, ident, *_RULE)
        if verb is None:
            raise BadRequest(f'The requested action "{str(target)[:64]}" could not be understood.')
        call.require(since)
        _refuse_state(session, call, node, verb, str(target))
        spec = _spec(call, node, verb, body)
        if verb in (Verb.DEPLOY, Verb.REBUILD):
            spec |= _image(session, call, node, verb)
        _from_shelf(session, call, node, spec, verb)
    examined = deployment.examine(context.database, context.images, node.uuid, spec)
    with context.database.write() as session:
        live = find_to_change(session, call, ident, *_RULE)
        _request(session, call, live, verb, spec=spec, examined=examined)
    return accepted(call, ident, "states")


def _image(session: Session, call: Call, node: Node, verb: Verb) -> dict[str, Any]:
    try:
        return instance_image.wish(session, call.actor, node, is_rebuild=verb is Verb.REBUILD)
    except BadRequest as cause:
        text = f"Failed to validate deploy or power info for node {node.uuid}. Error: {cause.message}"
        raise BadRequest(text, why=cause.why) from cause


_RULE = (policy.OWNER_MEMBER_LESSEE_MANAGER, "baremetal:node:set_provision_state")


def _request(
    session: Session, call: Call, node: Node, verb: Verb, *, spec: dict[str, Any], examined: deployment.Examined | None
) -> None:
    """In one transaction: the node is judged anew, what it is to do is checked and written down."""
    context, now = call.context, call.context.clock()
    _refuse_state(session, call, node, verb, str(verb))
    checked = deployment.check(session, context.vault, context.images, node, verb=verb, spec=spec, examined=examined)
    lifecycle.request(session, node=node, verb=verb, spec=checked, actor=call.actor.name, now=now)


def _refuse_state(session: Session, call: Call, node: Node, verb: Verb, target: str) -> None:
    """A verb out of place is a 409 while somebody works on the node, and a 400 else."""
    state = State(node.provision_state)
    if node.maintenance and verb in (Verb.DEPLOY, Verb.REBUILD):
        raise BadRequest(
            f"The provisioning operation can't be performed on node {node.uuid} because it's in maintenance mode."
        )
    if verb is Verb.ABORT:
        call.require(_ABORT_SINCE.get(state, 1))
    if (state, verb) in MOVES:
        return
    work = flow.active_for(session, node.id)
    if work is not None and work.owner is not None:
        raise flow.locked(session, node.id, work, f"it is held by {work.kind}")
    raise BadRequest(
        f'The requested action "{target}" can not be performed on node "{node.uuid}" while it is in state "{state}".'
    )


def _spec(call: Call, node: Node, verb: Verb, body: Mapping[str, Any]) -> dict[str, Any]:
    """What comes with the verb, checked for its form. Raises BadRequest, NotAcceptable."""
    given = {name: value for name, value in body.items() if value is not None}
    unknown = sorted(set(given) - set(_ARGUMENTS))
    if unknown:
        raise BadRequest(f"Unexpected arguments: {unknown[0][:64]}")
    for name, value in given.items():
        call.require(_SINCE.get(name, 1))
        if name in _TYPES and not isinstance(value, _TYPES[name]):
            raise BadRequest(f"Expected {_SAID[_TYPES[name]]} for {name}: it is {type(value).__name__}")
        if verb not in _ARGUMENTS[name] and value not in ("", [], {}, False):
            verbs = " or ".join(sorted("active" if one is Verb.DEPLOY else one for one in _ARGUMENTS[name]))
            raise BadRequest(f'"{name}" is only valid when setting target provision state to {verbs}')
    spec = {name: value for name, value in given.items() if value not in ("", [], {}, False)}
    _FORMS.get(verb, _nothing)(call, node, spec)
    return spec


def _from_shelf(session: Session, call: Call, node: Node, spec: dict[str, Any], verb: Verb) -> None:
    """The steps of a runbook, or of the deploy templates that the instance's traits name."""
    if "runbook" in spec:
        _runbook(session, call, node, spec, verb)
    wanted = node.wishes.get("traits")
    if verb in (Verb.DEPLOY, Verb.REBUILD) and isinstance(wanted, list):
        given = spec.get("deploy_steps", [])
        named = {(step.get("interface"), step.get("step")) for step in given if isinstance(step, dict)}
        traits = [trait for trait in wanted if isinstance(trait, str)]
        more = deploy_templates.steps_for(session, call.context.vault, traits)
        steps = [*given, *(step for step in more if (step["interface"], step["step"]) not in named)]
        if steps:
            spec["deploy_steps"] = steps


def _runbook(session: Session, call: Call, node: Node, spec: dict[str, Any], verb: Verb) -> None:
    ident = spec.pop("runbook")
    if not isinstance(ident, str):
        raise BadRequest("Expected UUID or name for runbook")
    row = runbooks.fetch(session, ident, project=policy.project_of(call.actor))
    refuse_unapproved(call, node, row)
    spec[f"{verb}_steps"] = step_secrets.opened(call.context.vault, row)
    if row.disable_ramdisk:
        spec["disable_ramdisk"] = True


def _nothing(call: Call, node: Node, spec: dict[str, Any]) -> None:
    """A verb without anything to check."""


def _deploy(call: Call, node: Node, spec: dict[str, Any]) -> None:
    drive = spec.get("configdrive")
    if drive is not None:
        _check_drive(call, drive)
    for step in spec.get("deploy_steps", ()):
        absent = _OF_DEPLOY_STEP - set(step) if isinstance(step, dict) else frozenset()
        if absent:
            raise BadRequest(f"Invalid deploy_steps: '{min(absent)}' is a required property")
    _host(node, spec)


def _rebuild(call: Call, node: Node, spec: dict[str, Any]) -> None:
    if "configdrive" in spec and call.minor < _REBUILD_DRIVE_SINCE:
        raise BadRequest("Adding a config drive is only supported when setting provision state to active")
    _deploy(call, node, spec)


def _host(node: Node, spec: dict[str, Any]) -> None:
    if "configdrive" in spec:  # who brings one has said it all in there
        return
    spec["call_home"] = deployment.HOPED  # whether the image knows how to call is not known here
    if node.instance is None or "hostname" not in node.instance:
        wished = node.wishes.get("hostname") or node.wishes.get("display_name") or node.instance_name or node.label
        spec["hostname"] = names.as_hostname(str(wished)) or node.uuid


def _check_drive(call: Call, drive: Any) -> None:
    if isinstance(drive, dict):
        call.require_for("Providing a JSON object for configdrive", 56)
        if "vendor_data" in drive:
            call.require_for("Providing vendor_data in configdrive", 59)
        if set(drive) - _DRIVE_PARTS:
            raise BadRequest(f"Invalid configdrive format: it has {', '.join(sorted(_DRIVE_PARTS))}")
    elif not isinstance(drive, str):
        raise BadRequest("Invalid configdrive format: it is a text or an object")
    elif "://" not in drive and not _BASE64.match(drive):
        raise BadRequest("Invalid configdrive format: it is neither a JSON, nor a URL, nor a base64 string")


def _steps(name: str, verb: Verb) -> Any:
    def check(_call: Call, _node: Node, spec: dict[str, Any]) -> None:
        if "runbook" in spec and name in spec:
            raise BadRequest(f'Please provide either "{name}" or a runbook, but not both.')
        if "runbook" not in spec and name not in spec:
            raise BadRequest(f'"{name}" is required when setting target provision state to {verb}')
        if any(isinstance(step, dict) and "priority" in step for step in spec.get(name, ())):
            raise BadRequest(f"Invalid {name}: 'priority' was unexpected: steps are run in the order given")
        if "disable_ramdisk" in spec:
            spec["disable_ramdisk"] = node_body.boolean("disable_ramdisk", spec["disable_ramdisk"])

    return check


def _rescue(_call: Call, _node: Node, spec: dict[str, Any]) -> None:
    password = spec.get("rescue_password")
    if not isinstance(password, str) or not password.strip():
        raise BadRequest('A non-empty "rescue_password" is required when setting target provision state to rescue')


def _manage(_call: Call, node: Node, _spec: dict[str, Any]) -> None:
    absent = driver_info.missing(node.driver, node.bmc_address)
    if absent and node.provision_state == State.ENROLL:
        raise BadRequest(
            f"Failed to validate power info for node {node.uuid}. Error: Missing the following credentials in node's "
            f"driver_info: {absent}."
        )


_FORMS = {
    Verb.DEPLOY: _deploy,
    Verb.REBUILD: _rebuild,
    Verb.CLEAN: _steps("clean_steps", Verb.CLEAN),
    Verb.SERVICE: _steps("service_steps", Verb.SERVICE),
    Verb.RESCUE: _rescue,
    Verb.MANAGE: _manage,
}
