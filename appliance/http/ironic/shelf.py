"""What all lists and single things beside the nodes have in common: pages, one, made, changed, gone."""

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
from appliance.services import paging

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
    window = paging.Window(limit=page.limit, marker=page.marker, key=key, descending=page.descending)
    rows = paging.page(session, query, kind.model, window)
    items = [kind.show(call, row, names) for row in rows]
    last = rows[-1].uuid if rows else None
    url = f"{call.v1}/{path or kind.path}"
    return reply(pages.collection(kind.key, items, page, url=url, arguments=call.arguments, last=last))


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
