"""/v3/registered_limits and /v3/limits."""

from typing import Any

from flask import Response
from sqlalchemy import ColumnElement, false, select, true

from appliance.domain.access import Actor, Role
from appliance.domain.errors import Invalid
from appliance.http.json_body import read_object, reply
from appliance.http.keystone.policy import demand, domain_of, site
from appliance.http.keystone.wire import Ask, Listing, Route, collection, envelope, find_rows, no_content
from appliance.models.catalogue import Limit
from appliance.models.identity import Project
from appliance.services.identity import limits

_LARGEST = 2**31 - 1
_AT_ONCE = 1000
_PLACES = {"service_id": "service_id", "region_id": "region_key", "project_id": "project_key",
           "domain_id": "domain_key"}  # fmt: skip
_LISTING = Listing(
    model=Limit,
    columns={"resource_name": Limit.resource_name, **{key: getattr(Limit, column) for key, column in _PLACES.items()}},
    order=(Limit.resource_name, Limit.id),
)


def _shown(ask: Ask, row: Limit) -> dict[str, Any]:
    common = {
        "id": row.id, "service_id": row.service_id, "region_id": row.region_key or None,
        "resource_name": row.resource_name, "description": row.description,
    }  # fmt: skip
    if limits.is_for_all(row):
        return {**common, "default_limit": row.amount, "links": {"self": ask.url(f"registered_limits/{row.id}")}}
    return {
        **common, "resource_limit": row.amount, "project_id": row.project_key or None,
        "domain_id": row.domain_key or None, "links": {"self": ask.url(f"limits/{row.id}")},
    }  # fmt: skip


def _read(body: Any, *, amount: str, known: tuple[str, ...], is_new: bool) -> dict[str, Any]:
    if not isinstance(body, dict) or set(body) - {*known, amount, "description"}:
        raise Invalid(f"a limit is an object with {', '.join((*known, amount, 'description'))}")
    columns = _texts(body, known)
    if amount in body:
        value = body[amount]
        if not isinstance(value, int) or isinstance(value, bool) or not -1 <= value <= _LARGEST:
            raise Invalid(f"Invalid input for field '{amount}': a whole number from -1 to {_LARGEST}")
        columns["amount"] = value
    for key, column in (("service_id", "service_id"), ("resource_name", "resource_name"), (amount, "amount")):
        if is_new and columns.get(column) in (None, ""):
            raise Invalid(f"'{key}' is a required property")
    return columns


def _texts(body: dict[str, Any], known: tuple[str, ...]) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for key in known:
        value = body.get(key)
        if value is not None and (not isinstance(value, str) or not value or len(value) > 255 or "\0" in value):
            raise Invalid(f"Invalid input for field '{key}'")
        if key in body:
            columns[_PLACES.get(key, key)] = value or ""
    if "description" in body:
        if not isinstance(body["description"], str | None) or len(body["description"] or "") > 65_535:
            raise Invalid("Invalid input for field 'description'")
        columns["description"] = body["description"]
    return columns


def _listing(ask: Ask, key: str, *where: ColumnElement[bool]) -> Response:
    rows, more = find_rows(ask, _LISTING, *where)
    return collection(ask, key, [_shown(ask, row) for row in rows], key, more=more)


def _many(key: str) -> list[Any]:
    given = read_object().get(key)
    if not isinstance(given, list) or not 1 <= len(given) <= _AT_ONCE:
        raise Invalid(f"'{key}' is a required property: a list")
    return given


# Registered limits: everybody may see them -------------------------------------------------------------------------

_REGISTERED = ("service_id", "region_id", "resource_name")


def _list_registered(ask: Ask) -> Response:
    return _listing(ask, "registered_limits", limits.FOR_ALL)


def _create_registered(ask: Ask) -> Response:
    demand(site(ask.actor, Role.ADMIN), "create_registered_limits")
    made = [
        limits.create(ask.session, _read(one, amount="default_limit", known=_REGISTERED, is_new=True))
        for one in _many("registered_limits")
    ]
    return reply({"registered_limits": [_shown(ask, row) for row in made]}, 201)


def _show_registered(ask: Ask, limit_id: str) -> Response:
    return reply({"registered_limit": _shown(ask, limits.fetch(ask.session, limit_id, is_registered=True))})


def _update_registered(ask: Ask, limit_id: str) -> Response:
    demand(site(ask.actor, Role.ADMIN), "update_registered_limit")
    row = limits.fetch(ask.session, limit_id, is_registered=True)
    body = envelope("registered_limit")
    limits.update(ask.session, row, _read(body, amount="default_limit", known=_REGISTERED, is_new=False))
    return reply({"registered_limit": _shown(ask, row)})


def _delete_registered(ask: Ask, limit_id: str) -> Response:
    demand(site(ask.actor, Role.ADMIN), "delete_registered_limit")
    limits.remove(ask.session, limits.fetch(ask.session, limit_id, is_registered=True))
    return no_content()


# Limits of a project or a domain -----------------------------------------------------------------------------------

_OWN = (*_REGISTERED, "project_id", "domain_id")


def _may_see(ask: Ask, row: Limit) -> bool:
    actor = ask.actor
    if site(actor, Role.READER) or "service" in actor.roles:
        return True
    if actor.domain_id is not None:
        home = row.domain_key or domain_of(ask.session, "project", row.project_key)
        return home == actor.domain_id
    return actor.project_id is not None and actor.project_id == row.project_key


def _list(ask: Ask) -> Response:
    return _listing(ask, "limits", ~limits.FOR_ALL, _seen(ask.actor))


def _seen(actor: Actor) -> ColumnElement[bool]:
    """As `_may_see`, for the database."""
    if site(actor, Role.READER) or "service" in actor.roles:
        return true()
    if actor.domain_id is not None:
        inside = select(Project.id).where(Project.domain_id == actor.domain_id)
        return (Limit.domain_key == actor.domain_id) | Limit.project_key.in_(inside)
    return Limit.project_key == actor.project_id if actor.project_id else false()


def _create(ask: Ask) -> Response:
    demand(site(ask.actor, Role.ADMIN), "create_limits")
    made = []
    for one in _many("limits"):
        columns = _read(one, amount="resource_limit", known=_OWN, is_new=True)
        if bool(columns.get("project_key")) is bool(columns.get("domain_key")):
            raise Invalid("A limit is for a project or for a domain")
        made.append(limits.create(ask.session, columns))
    return reply({"limits": [_shown(ask, row) for row in made]}, 201)


def _show(ask: Ask, limit_id: str) -> Response:
    row = ask.session.get(Limit, limit_id[:64])
    demand(site(ask.actor, Role.READER) or (row is not None and _may_see(ask, row)), "get_limit")
    return reply({"limit": _shown(ask, limits.fetch(ask.session, limit_id, is_registered=False))})


def _update(ask: Ask, limit_id: str) -> Response:
    demand(site(ask.actor, Role.ADMIN), "update_limit")
    row = limits.fetch(ask.session, limit_id, is_registered=False)
    limits.update(ask.session, row, _read(envelope("limit"), amount="resource_limit", known=(), is_new=False))
    return reply({"limit": _shown(ask, row)})


def _delete(ask: Ask, limit_id: str) -> Response:
    demand(site(ask.actor, Role.ADMIN), "delete_limit")
    limits.remove(ask.session, limits.fetch(ask.session, limit_id, is_registered=False))
    return no_content()


def _model(_ask: Ask) -> Response:
    text = "Limit enforcement and validation does not take project hierarchy into consideration."
    return reply({"model": {"name": "flat", "description": text}})


ROUTES = [
    Route(method="GET", rule="/registered_limits", view=_list_registered),
    Route(method="POST", rule="/registered_limits", view=_create_registered),
    Route(method="GET", rule="/registered_limits/<limit_id>", view=_show_registered),
    Route(method="PATCH", rule="/registered_limits/<limit_id>", view=_update_registered),
    Route(method="DELETE", rule="/registered_limits/<limit_id>", view=_delete_registered),
    Route(method="GET", rule="/limits/model", view=_model),
    Route(method="GET", rule="/limits", view=_list),
    Route(method="POST", rule="/limits", view=_create),
    Route(method="GET", rule="/limits/<limit_id>", view=_show),
    Route(method="PATCH", rule="/limits/<limit_id>", view=_update),
    Route(method="DELETE", rule="/limits/<limit_id>", view=_delete),
]
