"""/v1/runbooks: a project sees its own and the public ones; only the system makes one public."""

from collections.abc import Callable, Mapping
from typing import Any

from flask import Response, request
from sqlalchemy.orm import Session

from appliance.domain import step_input, traits
from appliance.domain.access import Role
from appliance.http.ironic import pages, policy, readers, secrets_masked, shelf
from appliance.http.ironic.call import Call, Route
from appliance.http.ironic.errors import BadRequest
from appliance.http.ironic.kinds import Attribute, Kind
from appliance.http.ironic.policy import Rule
from appliance.http.json_body import nothing, read_object, read_value, reply
from appliance.models.node import Node
from appliance.models.runbook import Runbook
from appliance.services import runbooks

SINCE, TRAITS_SINCE = 92, 112
_TRAITS = "/runbooks/<ident>/traits"
_ADMIN = Rule(system=Role.MEMBER, owner=Role.MANAGER)


def _read_steps(name: str, value: Any) -> Any:
    secrets_masked.refuse_masks(name, value)
    return readers.checked(step_input.runbook_steps)(name, value)


def _read_name(name: str, value: Any) -> Any:
    if value is None:
        raise BadRequest("Schema error for runbook: None is not of type 'string'")
    return readers.logical_name(name, value)


def _refuse_free_name(call: Call, values: Mapping[str, Any]) -> None:
    """To a client that knows no traits of runbooks, the name is what a node must have."""
    if call.minor < TRAITS_SINCE and "name" in values:
        traits.trait(values["name"])


KIND = Kind(
    word="runbook", path="runbooks", key="runbooks", model=Runbook, brief=("uuid", "name"), required=("name", "steps"),
    attributes={
        "uuid": Attribute(read=readers.uuid, is_fixed=True),
        "name": Attribute(read=_read_name),
        "description": Attribute(since=TRAITS_SINCE, read=readers.text(255)),
        "steps": Attribute(read=_read_steps),
        "disable_ramdisk": Attribute(read=readers.flag(otherwise=False)),
        "extra": Attribute(read=readers.mapping),
        "public": Attribute(column="is_public", read=readers.flag(otherwise=False)),
        "owner": Attribute(read=readers.text(255)),
        "traits": Attribute(since=TRAITS_SINCE),
    },
    sortable={
        "uuid": Runbook.uuid, "name": Runbook.name, "created_at": Runbook.created_at, "owner": Runbook.owner,
        "updated_at": Runbook.updated_at, "public": Runbook.is_public, "disable_ramdisk": Runbook.disable_ramdisk,
        "description": Runbook.description,
    },
)  # fmt: skip


def routes() -> list[Route]:
    return [
        Route(method="GET", path="/runbooks", since=SINCE, view=_list),
        Route(method="POST", path="/runbooks", since=SINCE, view=_create),
        Route(method="GET", path="/runbooks/<ident>", since=SINCE, view=_show),
        Route(method="PATCH", path="/runbooks/<ident>", since=SINCE, view=_change),
        Route(method="DELETE", path="/runbooks/<ident>", since=SINCE, view=_delete),
        Route(method="GET", path=_TRAITS, since=TRAITS_SINCE, view=_traits),
        Route(method="PUT", path=_TRAITS, since=TRAITS_SINCE, view=_replace_traits),
        Route(method="DELETE", path=_TRAITS, since=TRAITS_SINCE, view=_drop_trait),
        Route(method="PUT", path=f"{_TRAITS}/<trait>", since=TRAITS_SINCE, view=_add_trait),
        Route(method="DELETE", path=f"{_TRAITS}/<trait>", since=TRAITS_SINCE, view=_drop_trait),
    ]


def _list(call: Call) -> Response:
    pages.only(call.arguments, frozenset({"project"}))
    with call.context.database.read() as session:
        query = runbooks.scoped(policy.project_of(call.actor))
        if (project := call.arguments.get("project")) and call.actor.is_site_wide:
            query = query.where(Runbook.owner == project[:255])
        return shelf.listing(session, call, KIND, query)


def _fetch(session: Session, call: Call, ident: str) -> Runbook:
    return runbooks.fetch(session, readers.ident_of_path(ident), project=policy.project_of(call.actor))


def _show(call: Call, ident: str) -> Response:
    with call.context.database.read() as session:
        return shelf.one(call, KIND, _fetch(session, call, ident))


def _create(call: Call) -> Response:
    wish = shelf.wish_with_steps(call, KIND)
    _refuse_free_name(call, wish)
    if call.actor.is_site_wide:
        call.demand(policy.SYSTEM_MEMBER, "baremetal:runbook:create")
        if wish.get("is_public"):
            wish["owner"] = None
        elif "owner" not in wish:
            wish["owner"] = call.actor.project_id  # None for the system
    else:
        _of_project(call, wish)
    with call.context.database.write() as session:
        return shelf.made(call, KIND, runbooks.create(session, wish, now=call.context.clock()))


def _of_project(call: Call, wish: dict[str, Any]) -> None:
    """What a project makes is its own, and not public."""
    mine = call.actor.project_id
    call.demand(_ADMIN, "baremetal:runbook:create", owner=mine)
    if wish.get("owner") not in (None, mine):
        raise BadRequest("Cannot create a runbook as a project scoped admin with an owner other than your own project.")
    if wish.get("is_public"):
        raise BadRequest("Cannot create a public runbook as a project scoped admin.")
    wish["owner"] = mine


def _change(call: Call, ident: str) -> Response:
    operations = shelf.operations(call)
    with call.context.database.write() as session:
        row = _fetch(session, call, ident)
        fields = {operation.field for operation in operations}
        for name in sorted(fields & {"owner", "public"}):
            call.demand(policy.SYSTEM_MEMBER, f"baremetal:runbook:update:{name}")
        if fields - {"owner", "public"} or not fields:
            call.demand(_ADMIN, "baremetal:runbook:update", owner=row.owner)
        changes = shelf.changes_with_steps(call, KIND, row, operations)
        _refuse_free_name(call, changes)
        runbooks.change(session, row, changes, now=call.context.clock())
        return shelf.one(call, KIND, row)


def _traits(call: Call, ident: str) -> Response:
    with call.context.database.read() as session:
        return reply({"traits": _fetch(session, call, ident).traits})


def _replace_traits(call: Call, ident: str) -> Response:
    body = read_object()
    if set(body) != {"traits"}:
        raise BadRequest(
            "A single runbook trait may be added via PUT /v1/runbooks/<runbook identifier>/traits/<trait> with no "
            "body, or all runbook traits may be replaced via PUT /v1/runbooks/<runbook identifier>/traits with the "
            "list of traits specified in the request body."
        )
    wanted = traits.traits(body["traits"])
    return _set_traits(call, ident, lambda _before: wanted)


def _add_trait(call: Call, ident: str, trait: str) -> Response:
    if request.content_length and read_value():
        raise BadRequest("No body should be provided when adding a trait")
    response = _set_traits(call, ident, lambda before: [*before, traits.trait(trait)])
    response.headers["Location"] = f"{call.v1}/runbooks/{ident}/traits/{trait}"
    return response


def _drop_trait(call: Call, ident: str, trait: str | None = None) -> Response:
    """One, whether it is there or not, or all."""
    return _set_traits(call, ident, lambda before: [one for one in before if trait is not None and one != trait])


def _set_traits(call: Call, ident: str, new: Callable[[list[str]], list[str]]) -> Response:
    with call.context.database.write() as session:
        row = _fetch(session, call, ident)
        call.demand(_ADMIN, "baremetal:runbook:update", owner=row.owner)
        session.refresh(row, with_for_update=True)
        wanted = sorted(set(new(row.traits)))
        if len(wanted) > traits.MAX_TRAITS:
            raise BadRequest(f"A runbook cannot have more than {traits.MAX_TRAITS} traits")
        runbooks.change(session, row, {"traits": wanted}, now=call.context.clock())
    return nothing()


def refuse_unapproved(call: Call, node: Node, row: Runbook) -> None:
    """A client that does not know runbooks' traits takes the name for the only one."""
    unapproved = f"This runbook has not been approved for use on this node {node.uuid}. "
    if call.minor < TRAITS_SINCE:
        if row.name not in node.traits:
            raise BadRequest(f"{unapproved}Please ask an administrator to add it to your node traits.")
    elif not row.traits:
        raise BadRequest(
            f"Runbook {row.uuid} has no traits configured. Please ask an administrator to add traits to the runbook."
        )
    elif not set(row.traits) & set(node.traits):
        raise BadRequest(
            f"{unapproved}The node does not have any of the runbook's traits {sorted(row.traits)}. Please ask an "
            "administrator to add a matching trait to your node."
        )


def _delete(call: Call, ident: str) -> Response:
    with call.context.database.write() as session:
        row = _fetch(session, call, ident)
        call.demand(_ADMIN, "baremetal:runbook:delete", owner=row.owner)
        runbooks.delete(session, row)
    return nothing()
