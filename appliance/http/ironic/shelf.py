"""What all lists and single things beside the nodes have in common: pages, one, made, changed, gone."""

from collections.abc import Sequence
from typing import Any

from flask import Response, request
from sqlalchemy import Select
from sqlalchemy.orm import Session
from werkzeug.exceptions import MethodNotAllowed

from appliance.http.ironic import pages, patch, versions
from appliance.http.ironic.call import Body, Call
from appliance.http.ironic.errors import BadRequest
from appliance.http.ironic.kinds import Kind
from appliance.http.ironic.patch import Operation
from appliance.http.json_body import read_object, read_value, reply
from appliance.models.columns import new_uuid
from appliance.services import paging, step_secrets

ESCAPES_SINCE = 98


def listing(
    session: Session, call: Call, kind: Kind, query: Select[Any], *, path: str = "", is_detail: bool = False
) -> Response:
    """A page of the query. path: of this list, when it is not that of the kind."""
    page = pages.parse(call.arguments, call.minor, sortable=frozenset(kind.sortable), detail_since=kind.detail_since)
    if is_detail and page.fields is not None:
        raise BadRequest("Can't fetch a subset of fields with 'detail' set")
    names = kind.fields.chosen(call.minor, page.fields, detail=is_detail or bool(page.detail))
    key = kind.sortable.get(page.sort_key)
    if key is not None and page.sort_key in kind.attributes:
        versions.require(call.minor, kind.attributes[page.sort_key].since)
    window = paging.Window(
        limit=page.limit, marker=page.marker, key=key, descending=page.descending, weighed=kind.weight(names)
    )
    items, after = _items(session, call, kind, query, names=names, window=window)
    url = f"{call.v1}/{path or kind.path}"
    return call.show(pages.collection(kind.key, items, page, url=url, arguments=call.arguments, after=after))


def _items(
    session: Session, call: Call, kind: Kind, query: Select[Any], *, names: Sequence[str], window: paging.Window
) -> tuple[list[Body], str | None]:
    """What the page shows, and the UUID after which the next one begins, if there may be one."""
    shape = kind.row_shape(names)
    if shape is None:
        found = paging.page(session, query, kind.model, window)
        return [kind.show(call, row, names) for row in found.rows], found.rows[-1].uuid if found.is_full else None
    part = paging.rows(session, query, shape.of(query, kind.model.uuid), kind.model, window)
    return [shape.render(row, call.root) for row in part.rows], part.rows[-1][-1] if part.is_full else None


def one(call: Call, kind: Kind, row: Any, status: int = 200) -> Response:
    """All of one thing, or the fields asked for."""
    wanted = None
    if call.arguments and request.method == "GET":
        pages.fields_only(call.arguments)
        wanted = call.arguments.get("fields")
    return reply(kind.show(call, row, kind.fields.chosen(call.minor, wanted, detail=True)), status)


def made(call: Call, kind: Kind, row: Any) -> Response:
    response = one(call, kind, row, 201)
    response.headers["Location"] = f"{call.v1}/{kind.path}/{row.uuid}"
    return response


def wish(call: Call, kind: Kind) -> dict[str, Any]:
    """The request's body as columns of a thing to make."""
    return kind.wish(read_object(), call.minor)


def wish_with_steps(call: Call, kind: Kind) -> dict[str, Any]:
    """As `wish`, of a kind whose steps may hold secrets."""
    found = wish(call, kind)
    found["uuid"] = found.get("uuid") or new_uuid()
    return found | step_secrets.columns(call.context.vault, found["uuid"], found["steps"])


def changes_with_steps(call: Call, kind: Kind, row: Any, operations: list[Operation]) -> dict[str, Any]:
    """What a patch changes: it works on the steps as they were given, so that no mask comes back as a value."""
    vault = call.context.vault
    changes = kind.changes(row, operations, call.minor, opened={"steps": step_secrets.opened(vault, row)})
    return changes | step_secrets.columns(vault, row.uuid, changes["steps"]) if "steps" in changes else changes


def operations(call: Call) -> list[Operation]:
    """The request's body as a patch."""
    return patch.parse(read_value(), escapes=call.minor >= ESCAPES_SINCE)


def created(call: Call, kind: Kind, shown: Body, uuid: str) -> Response:
    """201 for something shown otherwise than it is kept."""
    response = reply(shown, 201)
    response.headers["Location"] = f"{call.v1}/{kind.path}/{uuid}"
    return response


def not_allowed(message: str) -> MethodNotAllowed:
    """405: the version spoken has the path, and not this method of it."""
    return MethodNotAllowed(description=message)
