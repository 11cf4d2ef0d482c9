"""/v1/allocations and the allocation of a node."""

from typing import Any

from flask import Response
from sqlalchemy import Select
from sqlalchemy.orm import Session

from appliance.domain import traits
from appliance.domain.access import Role
from appliance.http.ironic import pages, policy, readers, shelf
from appliance.http.ironic.call import Call, Route
from appliance.http.ironic.errors import BadRequest
from appliance.http.ironic.kinds import Attribute, Kind
from appliance.http.ironic.node_reference import node_of
from appliance.http.ironic.policy import Rule
from appliance.http.json_body import nothing, read_object
from appliance.models.allocation import Allocation
from appliance.services import allocations, belonging

SINCE, _CHANGE_SINCE, _BACKFILL_SINCE, _OWNER_SINCE = 52, 57, 58, 60
FILTERS = frozenset({"node", "resource_class", "state", "owner"})
_READ = Rule(system=Role.READER, owner=Role.READER)
_MEMBER = Rule(system=Role.MEMBER, owner=Role.MEMBER)


def _candidates(name: str, value: Any) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > allocations.CANDIDATES_MOST:
        raise BadRequest(f"Schema error for {name}: a list of at most {allocations.CANDIDATES_MOST} nodes")
    return [readers.ident(name, item) for item in value]


def _traits(value: Any) -> list[str]:
    return traits.traits([] if value is None else value)


KIND = Kind(
    word="allocation", path="allocations", key="allocations", model=Allocation,
    brief=(
        "uuid", "name", "node_uuid", "resource_class", "state", "traits", "candidate_nodes", "extra", "last_error",
        "owner", "created_at", "updated_at",
    ),
    attributes={
        "uuid": Attribute(read=readers.uuid, is_fixed=True),
        "name": Attribute(read=readers.logical_name),
        "node_uuid": Attribute(get=lambda row: row.node.uuid if row.node else None),
        "resource_class": Attribute(read=readers.text(80), is_fixed=True),
        "traits": Attribute(read=readers.checked(_traits), is_fixed=True),
        "candidate_nodes": Attribute(read=_candidates, is_fixed=True),
        "state": Attribute(),
        "last_error": Attribute(),
        "extra": Attribute(read=readers.mapping),
        "owner": Attribute(since=_OWNER_SINCE, read=readers.text(255), is_fixed=True),
    },
    sortable={
        "uuid": Allocation.uuid, "name": Allocation.name, "state": Allocation.state, "owner": Allocation.owner,
        "resource_class": Allocation.resource_class, "created_at": Allocation.created_at,
        "updated_at": Allocation.updated_at, "node_uuid": Allocation.node_id,
    },
)  # fmt: skip


def routes() -> list[Route]:
    return [
        Route(method="GET", path="/allocations", since=SINCE, view=_list),
        Route(method="POST", path="/allocations", since=SINCE, view=_create),
        Route(method="GET", path="/allocations/<ident>", since=SINCE, view=_show),
        Route(method="PATCH", path="/allocations/<ident>", since=SINCE, view=_change),
        Route(method="DELETE", path="/allocations/<ident>", since=SINCE, view=_delete),
        Route(method="GET", path="/nodes/<ident>/allocation", since=SINCE, view=_show_of_node),
        Route(method="DELETE", path="/nodes/<ident>/allocation", since=SINCE, view=_delete_of_node),
    ]


def _list(call: Call) -> Response:
    pages.only(call.arguments, FILTERS)
    with call.context.database.read() as session:
        query = _narrowed(session, call, allocations.scoped(policy.project_of(call.actor)))
        return shelf.listing(session, call, KIND, query)


def _narrowed(session: Session, call: Call, query: Select[Any]) -> Select[Any]:
    arguments = call.arguments
    for name, column in (("resource_class", Allocation.resource_class), ("state", Allocation.state)):
        if value := arguments.get(name):
            query = query.where(column == value[:80])
    if owner := arguments.get("owner"):
        call.require(_OWNER_SINCE)
        query = query.where(Allocation.owner == owner[:255])
    if node := arguments.get("node"):
        query = query.where(Allocation.node_id == node_of(session, call, node).id)
    return query


def _fetch(session: Session, call: Call, ident: str) -> Allocation:
    return allocations.fetch(session, readers.ident_of_path(ident), project=policy.project_of(call.actor))


def _show(call: Call, ident: str) -> Response:
    with call.context.database.read() as session:
        return shelf.one(call, KIND, _fetch(session, call, ident))


def _create(call: Call) -> Response:
    body = read_object()
    target = body.pop("node", None)
    wish = KIND.wish(body, call.minor)
    _authorize(call, wish)
    if target is not None:
        return _backfill(call, wish, readers.ident("node", target))
    project = policy.project_of(call.actor)
    with call.context.database.write() as session:
        row = allocations.create(session, wish, project=project, actor=call.actor.name, now=call.context.clock())
        shown = KIND.show(call, row, KIND.fields.every(call.minor))
    # What was decided is read by the next request: clients wait for a change from this state.
    shown |= {"state": allocations.ALLOCATING, "node_uuid": None, "last_error": None}
    return shelf.created(call, KIND, shown, row.uuid)


def _authorize(call: Call, wish: dict[str, Any]) -> None:
    """A project's claim is its own. Who may not name another owner is told so."""
    if call.actor.is_site_wide:
        call.demand(policy.SYSTEM_MEMBER, "baremetal:allocation:create")
        return
    mine = call.actor.project_id
    call.demand(_MEMBER, "baremetal:allocation:create", owner=mine)
    if wish.get("owner") not in (None, mine):
        raise policy.denied("baremetal:allocation:create_restricted")
    wish["owner"] = mine


def _backfill(call: Call, wish: dict[str, Any], ident: str) -> Response:
    if call.minor < _BACKFILL_SINCE:
        raise BadRequest("Cannot set node when creating an allocation in this API version")
    project = policy.project_of(call.actor)
    with call.context.database.write() as session:
        node = belonging.node_to_write(session, ident, project=project)
        row = allocations.backfill(session, wish, node=node, actor=call.actor.name, now=call.context.clock())
        return shelf.made(call, KIND, row)


def _change(call: Call, ident: str) -> Response:
    if call.minor < _CHANGE_SINCE:
        raise shelf.not_allowed("The API version does not allow updating allocations")
    operations = shelf.operations(call)
    with call.context.database.write() as session:
        row = _fetch(session, call, ident)
        call.demand(_MEMBER, "baremetal:allocation:update", owner=row.owner)
        allocations.change(session, row, KIND.changes(row, operations, call.minor), now=call.context.clock())
        return shelf.one(call, KIND, row)


def _delete(call: Call, ident: str) -> Response:
    with call.context.database.write() as session:
        row = _fetch(session, call, ident)
        call.demand(_MEMBER, "baremetal:allocation:delete", owner=row.owner)
        allocations.delete(session, row, actor=call.actor.name, now=call.context.clock())
    return nothing()


def _of_node(session: Session, call: Call, ident: str) -> Allocation:
    row = allocations.of_node(session, node_of(session, call, ident))
    call.demand(_READ, "baremetal:allocation:get", owner=row.owner)
    return row


def _show_of_node(call: Call, ident: str) -> Response:
    with call.context.database.read() as session:
        return shelf.one(call, KIND, _of_node(session, call, ident))


def _delete_of_node(call: Call, ident: str) -> Response:
    with call.context.database.write() as session:
        row = _of_node(session, call, ident)
        call.demand(_MEMBER, "baremetal:allocation:delete", owner=row.owner)
        allocations.delete(session, row, actor=call.actor.name, now=call.context.clock())
    return nothing()
