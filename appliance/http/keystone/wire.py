"""How OpenStack Identity v3 speaks: errors, envelopes, collections, filters, and the run of one request.

A view is given an `Ask` and answers with a response. It runs in one transaction, read or write; what must not happen
inside a write transaction (hashing) is done before it, for those who may have it done.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from flask import Flask, Response, g, request
from sqlalchemy import ColumnElement, Select, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from appliance.domain.access import Actor
from appliance.domain.errors import Invalid
from appliance.http.auth import known_caller
from appliance.http.context import Context
from appliance.http.errors import Refusal, speak
from appliance.http.json_body import read_object, reply
from appliance.http.own_address import base_url
from appliance.models.database import Model
from appliance.models.event import record
from appliance.services.identity import Caller

PREFIX = "/identity"
V3 = f"{PREFIX}/v3"
MOST = 10_000
"""Items of one answer; the rest is said to be truncated."""

_NEEDS_LOGIN = "The request you have made requires authentication."


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One request. session: of the transaction that it runs in. prepared: what `Before` made."""

    context: Context
    caller: Caller
    session: Session
    prepared: Any = None

    @property
    def actor(self) -> Actor:
        return self.caller.actor

    @property
    def now(self) -> datetime:
        return self.context.clock()

    def url(self, path: str) -> str:
        """An absolute URL below /v3."""
        return f"{base_url(self.context.config)}{V3}/{path}"


View = Callable[..., Response]


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """Slow work ahead of a write transaction. may: asked first, in a transaction that reads, and refuses by raising.

    The view asks again inside its own transaction.
    """

    may: Callable[..., object]
    work: Callable[[Context], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """method and rule below /v3. A GET or HEAD reads, everything else writes."""

    method: str
    rule: str
    view: View
    before: Before | None = None


def install(app: Flask, context: Context, routes: Sequence[Route]) -> None:
    speak(app, PREFIX, partial(shape, context))
    for number, route in enumerate(routes):
        app.add_url_rule(f"{V3}{route.rule}", f"keystone_{number}", _runner(context, route), methods=[route.method])


def _runner(context: Context, route: Route) -> Callable[..., Response]:
    def run(**path: str) -> Response:
        caller = known_caller(context)
        prepared = None
        if route.before is not None:
            with context.database.read() as session:
                route.before.may(Ask(context=context, caller=caller, session=session), **path)
            prepared = route.before.work(context)
        open_transaction = context.database.read if route.method == "GET" else context.database.write
        with open_transaction() as session:
            ask = Ask(context=context, caller=caller, session=session, prepared=prepared)
            response = route.view(ask, **path)
            if route.method != "GET":
                _account(ask)
        return response

    return run


def _account(ask: Ask) -> None:
    """Who changed what, for the event log; ids only, since names and attributes may be anything."""
    path = "".join(char if char.isprintable() else "?" for char in request.path.removeprefix(V3)[:300])
    what = f"{request.method} {path}"
    message = f"identity changed by {ask.actor.name[:64]}: {what}"
    record(ask.session, at=ask.now, kind="identity.changed", message=message, actor=ask.actor.name[:64])


def shape(context: Context, refusal: Refusal) -> Response:
    """`{"error": {"code", "message", "title"}}`; a 401 says the same whatever the reason."""
    status = 400 if refusal.status == 422 else refusal.status
    message = _NEEDS_LOGIN if status == 401 and refusal.code != "password-expired" else refusal.message
    if status == 404 and refusal.code == "not-found" and refusal.cause is not None and _is_no_route(refusal):
        message = "The resource could not be found."
    body = {"code": status, "message": message, "title": _title(status)}
    response = reply({"error": body}, status)
    if status == 401:
        response.headers["WWW-Authenticate"] = f'Keystone uri="{base_url(context.config)}{PREFIX}"'
    return response


def _is_no_route(refusal: Refusal) -> bool:
    return hasattr(refusal.cause, "get_response")


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def envelope(name: str) -> dict[str, Any]:
    """The object under this name in the request's body. Raises Invalid."""
    if "keystone_body" not in g:
        g.keystone_body = read_object()
    inside = g.keystone_body.get(name)
    if not isinstance(inside, dict):
        raise Invalid(f"'{name}' is a required property")
    return inside


class Given:
    """Reads attributes out of an envelope, each checked; what is left over is kept as it is (`rest`)."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self._body = body
        self._seen = {"id", "links"}
        self.columns: dict[str, Any] = {}

    def has(self, name: str) -> bool:
        return name in self._body

    def take(self, name: str) -> Any:
        self._seen.add(name)
        return self._body.get(name)

    def name(self, most: int, *, required: bool, column: str = "name") -> None:
        """A text of 1 to `most` characters, not all of them blank."""
        value = self.take("name")
        if value is None and "name" not in self._body:
            if required:
                raise Invalid("'name' is a required property")
            return
        if not isinstance(value, str) or not value.strip() or len(value) > most or "\0" in value:
            raise Invalid(f"Invalid input for field 'name': 1 to {most} characters")
        self.columns[column] = value.strip()

    def text(self, name: str, column: str = "", *, most: int = 65_535, nullable: bool = True) -> None:
        """Null becomes an empty text in a column that cannot be null."""
        if name not in self._body:
            return
        value = self.take(name)
        if value is None and nullable:
            value = ""
        if not isinstance(value, str) or len(value) > most or "\0" in value:
            raise Invalid(f"Invalid input for field '{name}': a text of at most {most} characters")
        self.columns[column or name] = value

    def reference(self, name: str, column: str = "", *, most: int = 64) -> None:
        """An id, or null."""
        if name not in self._body:
            return
        value = self.take(name)
        if value is not None and (not isinstance(value, str) or not value or len(value) > most):
            raise Invalid(f"Invalid input for field '{name}': an id")
        self.columns[column or name] = value

    def flag(self, name: str, column: str) -> None:
        if name not in self._body:
            return
        value = self.take(name)
        if not isinstance(value, bool):
            raise Invalid(f"Invalid input for field '{name}': {str(value)[:64]!r} is not of type 'boolean'")
        self.columns[column] = value

    def options(self, known: Mapping[str, type]) -> None:
        if "options" not in self._body:
            return
        value = self.take("options")
        if not isinstance(value, dict) or any(key not in known for key in value):
            raise Invalid(f"Invalid input for field 'options': known are {', '.join(known)}")
        for key, one in value.items():
            if one is not None and not isinstance(one, known[key]):
                raise Invalid(f"Invalid input for field 'options/{key}'")
        self.columns["options"] = {key: one for key, one in value.items() if one is not None}

    def rest(self) -> None:
        """What clients keep here besides."""
        left = {key: value for key, value in self._body.items() if key not in self._seen}
        if any(len(key) > 255 for key in left):
            raise Invalid("too many further attributes")
        if left:
            self.columns["extra"] = left


def domain_named(body: Mapping[str, Any]) -> str:
    """The id under `domain_id`; empty when there is none. Raises Invalid for what is no id."""
    given = body.get("domain_id")
    if not isinstance(given, str | None):
        raise Invalid("Invalid input for field 'domain_id': an id")
    return given or ""


def matching_id(body: Mapping[str, Any], path_id: str) -> None:
    if body.get("id", path_id) != path_id:
        raise Invalid("Cannot change ID")


def collection(
    ask: Ask, key: str, items: Sequence[Any], path: str, *, more: str | None = None, is_cut: bool = False
) -> Response:
    """more: the marker of the next page. is_cut: there is more, but no next page."""
    links = {"next": _next(ask, path, more), "self": ask.url(path), "previous": None}
    body: dict[str, Any] = {key: items, "links": links}
    if is_cut or (more is not None and "limit" not in request.args):
        body["truncated"] = True
    return reply(body)


def _next(ask: Ask, path: str, marker: str | None) -> str | None:
    if marker is None or "limit" not in request.args:
        return None
    kept = [(name, value) for name, value in request.args.items(multi=True) if name != "marker"]
    return f"{ask.url(path)}?{urlencode([*kept, ('marker', marker)])}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """How rows of one kind are listed. columns: what may be filtered by. order: a name and an id, both of this kind."""

    model: type[Model]
    columns: Mapping[str, InstrumentedAttribute[Any]]
    order: tuple[InstrumentedAttribute[Any], InstrumentedAttribute[Any]] = field(repr=False)


def find_rows(ask: Ask, listing: Listing, *where: ColumnElement[bool]) -> tuple[list[Any], str | None]:
    """The rows that fit the query string and `where`; and the marker of the next page, when there are more.

    A marker is one of the rows that `where` lets the caller see, or pages would tell where others sort.
    """
    query: Select[Any] = select(listing.model).where(*where, *_filters(listing))
    name, row_id = listing.order
    if marker := request.args.get("marker"):
        last = ask.session.scalar(select(listing.model).where(row_id == marker[:255], *where))
        if last is None:
            raise Invalid(f"Marker {marker[:64]} could not be found.")
        query = query.where(tuple_(name, row_id) > (getattr(last, name.key), getattr(last, row_id.key)))
    limit = page_size()
    rows = list(ask.session.scalars(query.order_by(name, row_id).limit(limit + 1)))
    more = getattr(rows[limit - 1], row_id.key) if len(rows) > limit else None
    return rows[:limit], more


def page_size() -> int:
    text = request.args.get("limit", "")
    if text and (not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) < 1):
        raise Invalid("limit is a positive number")
    return min(int(text), MOST) if text else MOST


def _filters(listing: Listing) -> list[ColumnElement[bool]]:
    found = []
    for key, value in request.args.items(multi=True):
        name, _, how = key.partition("__")
        column = listing.columns.get(name)
        if column is not None:
            found.append(_compare(column, how, value[:1000]))
    return found


def _compare(column: InstrumentedAttribute[Any], how: str, value: str) -> ColumnElement[bool]:
    if column.type.python_type is bool:
        return column.is_(is_true(value))
    if not value and column.key in ("domain_id", "parent_id"):
        return column.is_(None) if column.property.columns[0].nullable else column == ""
    ways: dict[str, Callable[[], ColumnElement[bool]]] = {
        "contains": lambda: column.contains(value, autoescape=True),
        "icontains": lambda: column.icontains(value, autoescape=True),
        "startswith": lambda: column.startswith(value, autoescape=True),
        "istartswith": lambda: column.istartswith(value, autoescape=True),
        "endswith": lambda: column.endswith(value, autoescape=True),
        "iendswith": lambda: column.iendswith(value, autoescape=True),
    }
    return ways[how]() if how in ways else column == value


def is_true(text: str) -> bool:
    """A query string's flag: there, and not said to be false."""
    return text.strip().lower() not in {"0", "false", "no", "off"}


def asked(name: str) -> bool:
    """Is the flag in the query string, and not said to be false?"""
    return name in request.args and is_true(request.args[name])


def no_content() -> Response:
    return Response(status=204)


def stamp(at: datetime) -> str:
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")
