"""/v1/runbooks: a project sees its own and the public ones; only the system makes one public."""

from typing import Any

from flask import Response
from sqlalchemy.orm import Session

from appliance.domain import step_input, traits
from appliance.domain.access import Role
from appliance.http.ironic import pages, policy, readers, secrets_masked, shelf
from appliance.http.ironic.call import Call, Route
from appliance.http.ironic.errors import BadRequest
from appliance.http.ironic.kinds import Attribute, Kind
from appliance.http.ironic.policy import Rule
from appliance.http.json_body import nothing
from appliance.models.runbook import Runbook
from appliance.services import runbooks

SINCE = 92
_ADMIN = Rule(system=Role.MEMBER, owner=Role.MANAGER)


def _read_steps(name: str, value: Any) -> Any:
    secrets_masked.refuse_masks(name, value)
    return readers.checked(step_input.runbook_steps)(name, value)


KIND = Kind(
    word="runbook", path="runbooks", key="runbooks", model=Runbook, brief=("uuid", "name"), required=("name", "steps"),
    attributes={
        "uuid": Attribute(read=readers.uuid, is_fixed=True),
        "name": Attribute(read=readers.checked(traits.trait)),
        "steps": Attribute(read=_read_steps),
        "disable_ramdisk": Attribute(read=readers.flag(otherwise=False)),
        "extra": Attribute(read=readers.mapping),
        "public": Attribute(column="is_public", read=readers.flag(otherwise=False)),
        "owner": Attribute(read=readers.text(255)),
    },
    sortable={
        "uuid": Runbook.uuid, "name": Runbook.name, "created_at": Runbook.created_at, "owner": Runbook.owner,
        "updated_at": Runbook.updated_at, "public": Runbook.is_public, "disable_ramdisk": Runbook.disable_ramdisk,
    },
)  # fmt: skip


def routes() -> list[Route]:
    return [
        Route(method="GET", path="/runbooks", since=SINCE, view=_list),
        Route(method="POST", path="/runbooks", since=SINCE, view=_create),
        Route(method="GET", path="/runbooks/<ident>", since=SINCE, view=_show),
        Route(method="PATCH", path="/runbooks/<ident>", since=SINCE, view=_change),
        Route(method="DELETE", path="/runbooks/<ident>", since=SINCE, view=_delete),
    ]


def _list(call: Call) -> Response:
    pages.only(call.arguments, frozenset({"project"}))
    with call.context.database.read() as session:
        query = runbooks.scoped(policy.project_of(call.actor))
        if (project := call.arguments.get("project")) and call.actor.is_site_wide:
            query = query.where(Runbook.owner == project[:255])
        return shelf.listing(session, call, KIND, query)


def _fetch(session: Session, call: Call, ident: str) -> Runbook:
    return runbooks.fetch(session, ident, project=policy.project_of(call.actor))


def _show(call: Call, ident: str) -> Response:
    with call.context.database.read() as session:
        return shelf.one(call, KIND, _fetch(session, call, ident))


def _create(call: Call) -> Response:
    wish = shelf.wish_with_steps(call, KIND)
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
        runbooks.change(session, row, shelf.changes_with_steps(call, KIND, row, operations), now=call.context.clock())
        return shelf.one(call, KIND, row)


def _delete(call: Call, ident: str) -> Response:
    with call.context.database.write() as session:
        row = _fetch(session, call, ident)
        call.demand(_ADMIN, "baremetal:runbook:delete", owner=row.owner)
        runbooks.delete(session, row)
    return nothing()
