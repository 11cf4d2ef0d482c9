"""/v1/nodes: list, show, create, change, delete. Parse, call a service, present."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flask import Response, request

from appliance.domain.access import Role
from appliance.domain.lifecycle import State
from appliance.http.ironic import (
    driver_info,
    hardware,
    node_access,
    node_body,
    node_change,
    node_fields,
    pages,
    policy,
    versions,
)
from appliance.http.ironic.call import Call, Route
from appliance.http.ironic.errors import HOST, BadRequest, PreconditionFailed
from appliance.http.ironic.node_fields import FIELDS, Shape
from appliance.http.json_body import nothing, read_object
from appliance.services import chassis, node_enrolment, node_reading, nodes
from appliance.services.node_reading import Filter

ENROLL_SINCE = 11

FILTERS: Mapping[str, int] = {
    "associated": 1, "instance_uuid": 1, "maintenance": 1, "chassis_uuid": 1, "provision_state": 9, "driver": 16,
    "resource_class": 21, "fault": 42, "conductor_group": 46, "conductor": 49, "owner": 50, "description_contains": 51,
    "retired": 61, "lessee": 65, "project": 50, "shard": 82, "sharded": 82, "include_children": 83, "parent_node": 83,
    "instance_name": 104,
}  # fmt: skip
"""Argument of a list -> since."""

_SAME: Mapping[str, str] = {
    "provision_state": "provision_state", "resource_class": "resource_class", "fault": "fault", "owner": "owner",
    "lessee": "lessee", "project": "project", "instance_uuid": "instance_uuid", "instance_name": "instance_name",
    "chassis_uuid": "chassis_uuid", "description_contains": "description_contains",
}  # fmt: skip
"""Filters that are a text of ours under this name."""

_FAULTS = ("power failure", "clean failure", "rescue abort failure", "service failure")
_UNSORTABLE = frozenset(
    {"properties", "driver_info", "extra", "instance_info", "driver_internal_info", "clean_step", "deploy_step",
     "raid_config", "target_raid_config", "traits", "network_data", "service_step"}
)  # fmt: skip
SORTABLE = frozenset(node_fields.PLAIN) - _UNSORTABLE - {"reservation", "allocation_uuid", "chassis_uuid"}


def routes() -> list[Route]:
    return [
        Route(method="GET", path="/nodes", view=_list),
        Route(method="POST", path="/nodes", view=_create),
        Route(method="GET", path="/nodes/detail", view=_detail),
        Route(method="GET", path="/nodes/<ident>", view=_show),
        Route(method="PATCH", path="/nodes/<ident>", view=_patch),
        Route(method="DELETE", path="/nodes/<ident>", view=_delete),
    ]


def _list(call: Call) -> Response:
    page = _parse(call)
    return _page(call, page, _chosen(call, page.fields, detail=bool(page.detail)), "nodes")


def _detail(call: Call) -> Response:
    page = _parse(call)
    if page.fields is not None:
        raise BadRequest("Can't fetch a subset of fields with 'detail' set")
    return _page(call, page, node_fields.whole(call.minor), "nodes/detail")


def _parse(call: Call) -> pages.Page:
    page = pages.parse(call.arguments, call.minor, sortable=SORTABLE)
    versions.require(call.minor, node_fields.SINCE.get(page.sort_key, 1))
    return page


def _chosen(call: Call, wanted: str | None, *, detail: bool) -> Shape:
    names = FIELDS.chosen(call.minor, wanted, detail=detail)
    if wanted is not None and node_fields.NOT_ASKABLE & set(names):
        raise BadRequest(f"Field {min(node_fields.NOT_ASKABLE & set(names))} is not a valid field.")
    return node_fields.shape(names, call.minor)


def of_chassis(call: Call, uuid: str, *, is_detail: bool) -> Response:
    """The list, of one chassis."""
    page = _parse(call)
    shape = node_fields.whole(call.minor) if is_detail else _chosen(call, page.fields, detail=bool(page.detail))
    path = f"chassis/{uuid}/nodes" + ("/detail" if is_detail else "")
    return _page(call, page, shape, path, replace(_filter(call), chassis_uuid=uuid))


def _page(call: Call, page: pages.Page, shape: Shape, path: str, wanted: Filter | None = None) -> Response:
    wanted = wanted or _filter(call)
    project = wanted.visible_to
    with call.context.database.read() as session:
        if wanted.chassis_uuid is not None:
            chassis.fetch(session, wanted.chassis_uuid)
        part = node_reading.listing(
            session, shape.statement, wanted, sort=_sort(page.sort_key), descending=page.descending, limit=page.limit,
            marker=page.marker, weighed=shape.weight,
        )  # fmt: skip
    root = call.root
    items = [shape.render(row, root, project=project) for row in part.rows]
    after = part.rows[-1].uuid if part.is_full and wanted.instance_uuid is None else None
    return call.show(
        pages.collection("nodes", items, page, url=f"{call.v1}/{path}", arguments=call.arguments, after=after)
    )


def _sort(key: str) -> str | None:
    return None if key == "id" else node_fields.PLAIN[key][0]


def _filter(call: Call) -> Filter:
    arguments = call.arguments
    pages.only(arguments, frozenset(FILTERS))
    for name in arguments:
        if name in FILTERS:
            versions.require(call.minor, FILTERS[name])
    values: dict[str, Any] = {ours: arguments[name][:4096] for name, ours in _SAME.items() if name in arguments}
    for name, ours in (("maintenance", "maintenance"), ("associated", "is_associated"), ("retired", "is_retired"),
                       ("sharded", "is_sharded")):  # fmt: skip
        if name in arguments:
            values[ours] = pages.boolean(arguments, name)
    if "shard" in arguments:
        values["shards"] = tuple(arguments["shard"].split(",")[:1000])
    if "conductor_group" in arguments:
        values["conductor_group"] = arguments["conductor_group"].lower()
    _check(arguments)
    if "driver" in arguments:
        values["driver"] = hardware.to_ours(arguments["driver"]) or ""
    values["conductor"] = arguments.get("conductor", "")[:255] or None
    values["usual_conductor"] = HOST
    values["parent"] = arguments.get("parent_node")
    values["has_children"] = bool(pages.boolean(arguments, "include_children"))
    return Filter(**values, visible_to=policy.project_of(call.actor))


def _check(arguments: Mapping[str, str]) -> None:
    state, fault = arguments.get("provision_state"), arguments.get("fault")
    if state is not None and state not in set(State):
        raise BadRequest(f'Provision state "{state[:64]}" is not valid')
    if fault is not None and fault not in _FAULTS:
        raise BadRequest(f'Unrecognized fault "{fault[:64]}" is specified, allowed faults are {_FAULTS}')
    for name in ("instance_uuid", "chassis_uuid", "marker"):
        if name in arguments and not node_access.is_uuid(arguments[name]):
            raise BadRequest(f"Expected UUID for {name}: {arguments[name][:64]}")


def _show(call: Call, ident: str) -> Response:
    wanted = call.arguments.get("fields")
    pages.fields_only(call.arguments)
    shape = _chosen(call, wanted, detail=True)
    with call.context.database.glance() as connection:
        row = node_access.row(connection, call, shape, ident)
    response = call.show(shape.render(row, call.root, project=policy.project_of(call.actor)))
    response.headers["ETag"] = f'"{row.version}"'
    return response


def _create(call: Call) -> Response:
    body = read_object()
    owned = _may_create(call, body)
    node_body.refuse_unknown(body)
    for attribute, value in body.items():
        if value is not None and attribute in FIELDS.since and not (attribute == "conductor_group" and value == ""):
            versions.require(call.minor, FIELDS.since[attribute])
    if owned is not None:
        body["owner"] = owned
    wish, _given = node_body.parse(body, call.minor, node_body.Stored())
    if owned is not None:
        driver_info.refuse_near(wish.bmc.address)
    shape = node_fields.whole(call.minor)
    context = call.context
    with context.database.write() as session:
        values = node_enrolment.enroll(
            session, context.vault, wish, actor=call.actor.name, now=context.clock(),
            state=State.AVAILABLE if call.minor < ENROLL_SINCE else State.ENROLL,
            maintenance=node_body.mark("maintenance", body.get("maintenance")),
        )  # fmt: skip
    row = node_reading.made(shape.columns, {**values, "chassis_uuid": wish.details.chassis_uuid})
    response = call.show(shape.render(row, call.root, project=policy.project_of(call.actor)), 201)
    response.headers["Location"] = f"{call.v1}/nodes/{row.uuid}"
    return response


def _may_create(call: Call, body: Mapping[str, Any]) -> str | None:
    """The project that the node must belong to: that of an administrator of a project alone; None for the system's."""
    if call.actor.is_site_wide:
        call.demand(policy.SYSTEM_ADMIN, "baremetal:node:create")
        return None
    if not (call.actor.project_id and policy.has(call.actor, Role.ADMIN)):
        raise policy.denied("baremetal:node:create")
    if body.get("owner") not in (None, call.actor.project_id):
        raise BadRequest("Cannot create a node as a project scoped admin with an owner other than your own project.")
    return call.actor.project_id


def _patch(call: Call, ident: str) -> Response:
    pages.nothing_but(call.arguments, frozenset({"reset_interfaces"}))
    reset = pages.boolean(call.arguments, "reset_interfaces")
    if reset is not None:
        call.require(45)
    operations = node_change.read(call, reset=bool(reset))
    context = call.context
    shape = node_fields.whole(call.minor)
    with context.database.write() as session:
        node = node_change.find(session, call, ident, operations)
        if_match(node.version)
        node_change.apply(session, call, node, operations, reset=bool(reset))
        session.flush()
        row = session.execute(shape.by_uuid, {"ident": node.uuid}).one()
    response = call.show(shape.render(row, call.root, project=policy.project_of(call.actor)))
    response.headers["ETag"] = f'"{row.version}"'
    return response


def if_match(version: int) -> None:
    """Refuse a change that was meant for another version of the node (RFC 9110 §13.1.1)."""
    wanted = request.headers.get("If-Match")
    if wanted is not None and wanted.strip() not in ("*", f'"{version}"'):
        raise PreconditionFailed(f'the node is at version "{version}", and the change was meant for {wanted[:32]}')


def _delete(call: Call, ident: str) -> Response:
    context = call.context
    with context.database.write() as session:
        node = node_access.find_to_change(session, call, ident, policy.OWNER_ADMIN, "baremetal:node:delete")
        if_match(node.version)
        nodes.delete(session, node, actor=call.actor.name, now=context.clock())
    return nothing()
