"""/v1/chassis."""

from flask import Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.http.ironic import nodes, pages, policy, readers, shelf
from appliance.http.ironic.call import Call, Route
from appliance.http.ironic.kinds import Attribute, Kind
from appliance.http.json_body import nothing
from appliance.models.chassis import Chassis
from appliance.services import chassis

KIND = Kind(
    word="chassis", path="chassis", key="chassis", model=Chassis, brief=("uuid", "description"),
    attributes={
        "uuid": Attribute(read=readers.uuid, is_fixed=True),
        "description": Attribute(read=readers.text(255)),
        "extra": Attribute(read=readers.mapping),
        "nodes": Attribute(),
    },
    sortable={
        "uuid": Chassis.uuid, "description": Chassis.description, "created_at": Chassis.created_at,
        "updated_at": Chassis.updated_at,
    },
    links=("nodes",),
)  # fmt: skip


def routes() -> list[Route]:
    return [
        Route(method="GET", path="/chassis", view=lambda call: _list(call, is_detail=False)),
        Route(method="GET", path="/chassis/detail", view=lambda call: _list(call, is_detail=True)),
        Route(method="POST", path="/chassis", view=_create),
        Route(method="GET", path="/chassis/<ident>", view=_show),
        Route(
            method="GET", path="/chassis/<ident>/nodes", view=lambda call, ident: _nodes(call, ident, is_detail=False)
        ),
        Route(
            method="GET",
            path="/chassis/<ident>/nodes/detail",
            view=lambda call, ident: _nodes(call, ident, is_detail=True),
        ),
        Route(method="PATCH", path="/chassis/<ident>", view=_change),
        Route(method="DELETE", path="/chassis/<ident>", view=_delete),
    ]


def _list(call: Call, *, is_detail: bool) -> Response:
    call.demand(policy.SYSTEM_READER, "baremetal:chassis:get")
    pages.only(call.arguments, frozenset())
    path = "chassis/detail" if is_detail else ""
    with call.context.database.read() as session:
        return shelf.listing(session, call, KIND, select(Chassis), path=path, is_detail=is_detail)


def _fetch(session: Session, ident: str) -> Chassis:
    return chassis.fetch(session, readers.uuid_of_path("chassis_uuid", ident))


def _show(call: Call, ident: str) -> Response:
    call.demand(policy.SYSTEM_READER, "baremetal:chassis:get")
    with call.context.database.read() as session:
        return shelf.one(call, KIND, _fetch(session, ident))


def _nodes(call: Call, ident: str, *, is_detail: bool) -> Response:
    call.demand(policy.SYSTEM_READER, "baremetal:chassis:get")
    with call.context.database.read() as session:
        uuid = _fetch(session, ident).uuid
    return nodes.of_chassis(call, uuid, is_detail=is_detail)


def _create(call: Call) -> Response:
    call.demand(policy.SYSTEM_ADMIN, "baremetal:chassis:create")
    wish = shelf.wish(call, KIND)
    with call.context.database.write() as session:
        return shelf.made(call, KIND, chassis.create(session, wish, now=call.context.clock()))


def _change(call: Call, ident: str) -> Response:
    call.demand(policy.SYSTEM_MEMBER, "baremetal:chassis:update")
    operations = shelf.operations(call)
    with call.context.database.write() as session:
        row = _fetch(session, ident)
        chassis.change(session, row, KIND.changes(row, operations, call.minor), now=call.context.clock())
        return shelf.one(call, KIND, row)


def _delete(call: Call, ident: str) -> Response:
    call.demand(policy.SYSTEM_ADMIN, "baremetal:chassis:delete")
    with call.context.database.write() as session:
        chassis.delete(session, _fetch(session, ident))
    return nothing()
