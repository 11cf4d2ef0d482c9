"""/v3/users/{id}/application_credentials and access_rules."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from flask import Response
from sqlalchemy import select

from appliance.domain.access import Role
from appliance.domain.errors import Invalid
from appliance.http.context import Context
from appliance.http.json_body import reply
from appliance.http.keystone import present
from appliance.http.keystone.policy import demand, site
from appliance.http.keystone.wire import Ask, Before, Listing, Route, collection, envelope, find_rows, no_content
from appliance.models.grant import RoleRow
from appliance.models.identity import AccessRule, ApplicationCredential, User
from appliance.services.identity import access_rules, credentials, passwords, users
from appliance.services.identity.bearers import Allowed
from appliance.services.identity.credentials import RoleRef, Wish

MOST_RULES = 100
METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
_KNOWN = ("id", "secret", "name", "description", "expires_at", "project_id", "access_rules", "unrestricted", "system",
          "roles")  # fmt: skip
_SERVICE = re.compile(r"[a-zA-Z0-9-]{1,64}")
_LISTING = Listing(
    model=ApplicationCredential, columns={"name": ApplicationCredential.name},
    order=(ApplicationCredential.name, ApplicationCredential.id),
)  # fmt: skip
_RULES = Listing(
    model=AccessRule,
    columns={"service": AccessRule.service, "method": AccessRule.method, "path": AccessRule.path},
    order=(AccessRule.id, AccessRule.id),
)


def _owner(ask: Ask, user_id: str, role: Role, action: str) -> User:
    demand(user_id == ask.actor.user_uuid or site(ask.actor, role), action)
    return users.fetch(ask.session, user_id)


def _show_row(ask: Ask, row: ApplicationCredential, user_id: str) -> dict[str, Any]:
    roles = list(ask.session.scalars(select(RoleRow).where(RoleRow.id.in_(row.role_ids)).order_by(RoleRow.name)))
    rules = [rule for rule_id in row.rule_ids if (rule := ask.session.get(AccessRule, rule_id)) is not None]
    return present.credential(ask, row, user_id, roles, rules)


def _list(ask: Ask, user_id: str) -> Response:
    user = _owner(ask, user_id, Role.READER, "list_application_credentials")
    rows, more = find_rows(ask, _LISTING, ApplicationCredential.user_id == user.id)
    shown = [_show_row(ask, row, user_id) for row in rows]
    return collection(ask, "application_credentials", shown, f"users/{user_id}/application_credentials", more=more)


def _show(ask: Ask, user_id: str, credential_id: str) -> Response:
    user = _owner(ask, user_id, Role.READER, "get_application_credential")
    row = credentials.fetch(ask.session, user, credential_id)
    return reply({"application_credential": _show_row(ask, row, user_id)})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Secret:
    text: str = field(repr=False)
    hashed: str = field(repr=False)
    is_own: bool


def _secret(_context: Context) -> _Secret:
    """The one that was given, or a new one."""
    given = envelope("application_credential").get("secret")
    if given is not None and (not isinstance(given, str) or not 1 <= len(given) <= passwords.MAX_PASSWORD):
        raise Invalid("Invalid input for field 'secret': a text")
    secret = given or credentials.new_secret()
    with passwords.one_login():
        return _Secret(text=secret, hashed=passwords.hash_password(secret), is_own=given is not None)


def _may_create(ask: Ask, user_id: str) -> User:
    demand(user_id == ask.actor.user_uuid, "create_application_credential")
    user = users.fetch(ask.session, user_id)
    credentials.refuse_more(ask.session, ask.caller, user)
    return user


def _create(ask: Ask, user_id: str) -> Response:
    user, body = _may_create(ask, user_id), envelope("application_credential")
    secret: _Secret = ask.prepared
    wish = _wish(body, secret)
    if body.get("project_id", ask.actor.project_id) != ask.actor.project_id:
        raise Invalid("project_id is the one of the token")
    row = credentials.create(ask.session, ask.caller, user, wish, now=ask.now)
    return reply({"application_credential": {**_show_row(ask, row, user_id), "secret": secret.text}}, 201)


def _wish(body: dict[str, Any], secret: _Secret) -> Wish:
    unknown = sorted(set(body) - set(_KNOWN))
    if unknown:
        raise Invalid(f"Additional properties are not allowed ('{unknown[0][:64]}' was unexpected)")
    name, description, unrestricted = body.get("name"), body.get("description"), body.get("unrestricted")
    if not isinstance(name, str) or not name.strip() or len(name) > 255 or "\0" in name:
        raise Invalid("'name' is a required property: 1 to 255 characters")
    if not isinstance(description, str | None) or len(description or "") > 65_535:
        raise Invalid("Invalid input for field 'description'")
    if not isinstance(unrestricted, bool | None):
        raise Invalid("Invalid input for field 'unrestricted': true or false")
    return Wish(
        name=name.strip(), secret_hash=secret.hashed, is_own_secret=secret.is_own, description=description,
        roles=_roles(body.get("roles")),
        expires_at=_moment(body.get("expires_at")), is_unrestricted=bool(unrestricted),
        rules=_rules(body.get("access_rules")),
    )  # fmt: skip


def _roles(given: Any) -> list[RoleRef] | None:
    if not given:
        return None
    if not isinstance(given, list) or len(given) > 100:
        raise Invalid("Invalid input for field 'roles': a list")
    found = []
    for one in given:
        if not isinstance(one, dict) or not isinstance(one.get("id", one.get("name")), str):
            raise Invalid("Invalid input for field 'roles': each is an object with id or name")
        found.append(RoleRef(id=str(one.get("id", "")), name=str(one.get("name", ""))))
    return found


def _moment(given: Any) -> datetime | None:
    """An ISO 8601 time; one without a zone is in UTC."""
    if given is None:
        return None
    try:
        at = datetime.fromisoformat(given) if isinstance(given, str) and len(given) <= 64 else None
    except ValueError:
        at = None
    if at is None or not 2000 <= at.year <= 9000:
        raise Invalid("Timestamp not in expected format.", next_step="such as 2027-01-31T12:00:00Z")
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _rules(given: Any) -> list[str | Allowed] | None:
    if not given:
        return None
    if not isinstance(given, list) or len(given) > MOST_RULES:
        raise Invalid(f"Invalid input for field 'access_rules': a list of at most {MOST_RULES}")
    return [_rule(one) for one in given]


def _rule(one: Any) -> str | Allowed:
    if isinstance(one, dict) and isinstance(one.get("id"), str):
        return str(one["id"])[:64]
    if not isinstance(one, dict) or not {"path", "service", "method"} <= set(one):
        raise Invalid("Invalid input for field 'access_rules': each has path, service and method, or an id")
    path, service, method = one["path"], one["service"], one["method"]
    if not isinstance(path, str) or not path.startswith("/") or len(path) > access_rules.MAX_PATH:
        raise Invalid("Invalid input for field 'access_rules/path': it starts with a slash")
    if not isinstance(service, str) or not _SERVICE.fullmatch(service) or method not in METHODS:
        raise Invalid("Invalid input for field 'access_rules': a service's type, and one of " + ", ".join(METHODS))
    return Allowed(service=service, method=method, path=path)


def _delete(ask: Ask, user_id: str, credential_id: str) -> Response:
    user = _owner(ask, user_id, Role.ADMIN, "delete_application_credential")
    credentials.refuse_delegated(ask.session, ask.caller)
    credentials.remove(ask.session, credentials.fetch(ask.session, user, credential_id))
    return no_content()


def _list_rules(ask: Ask, user_id: str) -> Response:
    user = _owner(ask, user_id, Role.READER, "list_access_rules")
    rows, more = find_rows(ask, _RULES, AccessRule.user_id == user.id)
    shown = [present.access_rule(ask, row, user_id) for row in rows]
    return collection(ask, "access_rules", shown, f"users/{user_id}/access_rules", more=more)


def _show_rule(ask: Ask, user_id: str, rule_id: str) -> Response:
    user = _owner(ask, user_id, Role.READER, "get_access_rule")
    return reply({"access_rule": present.access_rule(ask, credentials.rule(ask.session, user, rule_id), user_id)})


def _delete_rule(ask: Ask, user_id: str, rule_id: str) -> Response:
    user = _owner(ask, user_id, Role.ADMIN, "delete_access_rule")
    credentials.remove_rule(ask.session, user, credentials.rule(ask.session, user, rule_id))
    return no_content()


_BASE = "/users/<user_id>/application_credentials"
ROUTES = [
    Route(method="GET", rule=_BASE, view=_list),
    Route(method="POST", rule=_BASE, view=_create, before=Before(may=_may_create, work=_secret)),
    Route(method="GET", rule=f"{_BASE}/<credential_id>", view=_show),
    Route(method="DELETE", rule=f"{_BASE}/<credential_id>", view=_delete),
    Route(method="GET", rule="/users/<user_id>/access_rules", view=_list_rules),
    Route(method="GET", rule="/users/<user_id>/access_rules/<rule_id>", view=_show_rule),
    Route(method="DELETE", rule="/users/<user_id>/access_rules/<rule_id>", view=_delete_rule),
]
