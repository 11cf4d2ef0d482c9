"""/v3/users, and what belongs to one user: password, groups, projects."""

from functools import partial
from typing import Any

from flask import Flask, Response, request
from sqlalchemy import select

from appliance.domain.access import Role
from appliance.domain.errors import Invalid
from appliance.http.context import Context
from appliance.http.json_body import reply
from appliance.http.keystone import present
from appliance.http.keystone.policy import demand, domain, may_change_user, may_see_user, maybe, site
from appliance.http.keystone.wire import (
    V3,
    Ask,
    Before,
    Given,
    Listing,
    Route,
    collection,
    domain_named,
    envelope,
    find_rows,
    matching_id,
    no_content,
)
from appliance.models.database import after_commit
from appliance.models.identity import DEFAULT_DOMAIN, Group, Membership, User
from appliance.services import clouds
from appliance.services.identity import domains, passwords, proving, rights, users

OPTIONS: dict[str, type] = {
    "ignore_lockout_failure_attempts": bool,
    "ignore_password_expiry": bool,
    "lock_password": bool,
}
_LISTING = Listing(
    model=User,
    columns={
        "name": User.name, "domain_id": User.domain_id, "enabled": User.is_enabled, "id": User.uuid,
        "default_project_id": User.default_project_id,
    },
    order=(User.name, User.uuid),
)  # fmt: skip


def install(app: Flask, context: Context) -> None:
    """A password that has expired is changed without a token: the old one proves who asks."""
    app.add_url_rule(
        f"{V3}/users/<user_id>/password", "keystone_password", lambda user_id: _password(context, user_id),
        methods=["POST"],
    )  # fmt: skip


def _password(context: Context, user_id: str) -> Response:
    body = envelope("user")
    old, new = body.get("original_password"), body.get("password")
    if not isinstance(old, str) or not isinstance(new, str):
        raise Invalid("'original_password' and 'password' are required properties")
    who = proving.whose_password(context.tokens, user_id, old, source=request.remote_addr or "")
    users.replace_password(context.tokens, who, old=old, new=new)
    return no_content()


def _list(ask: Ask) -> Response:
    scope = ask.actor.domain_id
    demand(site(ask.actor, Role.READER) or domain(ask.actor, scope, Role.READER), "list_users")
    where = [] if scope is None else [User.domain_id == scope]
    rows, more = find_rows(ask, _LISTING, *where)
    return collection(ask, "users", [present.user(ask, row) for row in rows], "users", more=more)


def _show(ask: Ask, user_id: str) -> Response:
    demand(may_see_user(ask.actor, maybe(lambda: users.fetch(ask.session, user_id))), "get_user")
    return reply({"user": present.user(ask, users.fetch(ask.session, user_id))})


def _hashed(context: Context) -> str | None:
    """The hash of the password in the body; None when there is none."""
    given = envelope("user").get("password")
    if given is None:
        return None
    if not isinstance(given, str):
        raise Invalid("Invalid input for field 'password': a text")
    context.tokens.policy.passwords.check(given)
    with passwords.one_login():
        return passwords.hash_password(given)


def _read(ask: Ask, body: dict[str, Any], *, is_new: bool) -> Given:
    given = Given(body)
    given.name(255, required=is_new)
    given.flag("enabled", "is_enabled")
    given.reference("default_project_id")
    given.options(OPTIONS)
    for ignored in ("domain_id", "password", "password_expires_at", "federated"):
        given.take(ignored)
    given.rest()
    if "password" in body:
        given.columns["password_hash"] = ask.prepared
    return given


def _may_create(ask: Ask) -> str:
    """The domain of the new user."""
    domain_id = domain_named(envelope("user")) or ask.actor.domain_id or _own_domain(ask)
    demand(site(ask.actor, Role.ADMIN) or domain(ask.actor, domain_id, Role.MANAGER), "create_user")
    return domains.fetch(ask.session, domain_id).id


def _create(ask: Ask) -> Response:
    body = envelope("user")
    given = _read(ask, body, is_new=True)
    domain_id = _may_create(ask)
    name = given.columns.pop("name")
    row = users.create(ask.session, domain_id=domain_id, name=name, now=ask.now, columns=given.columns)
    return reply({"user": present.user(ask, row)}, 201)


def _own_domain(ask: Ask) -> str:
    """Where a project's token is at home; the default domain for the system's."""
    return ask.actor.user_domain_id if ask.actor.project_id else DEFAULT_DOMAIN


def _may_update(ask: Ask, user_id: str) -> User:
    row = maybe(lambda: users.fetch(ask.session, user_id))
    demand(may_change_user(ask.session, ask.actor, row), "update_user")
    return users.fetch(ask.session, user_id)


def _update(ask: Ask, user_id: str) -> Response:
    user, body = _may_update(ask, user_id), envelope("user")
    matching_id(body, user_id)
    if body.get("domain_id", user.domain_id) != user.domain_id:
        raise Invalid("Cannot change Domain ID")
    given = _read(ask, body, is_new=False)
    if "options" in given.columns:
        merged = {**user.options, **body["options"]}
        given.columns["options"] = {key: value for key, value in merged.items() if value is not None}
    old_hash = user.password_hash
    users.update(ask.session, user, given.columns, now=ask.now)
    if given.columns.get("password_hash") is not None:
        _tell_clouds(ask, user, old_hash, body["password"])
    return reply({"user": present.user(ask, user)})


def _tell_clouds(ask: Ask, user: User, old_hash: str | None, new: str) -> None:
    """Once it is durable. The old one is not known, but which password was it can be found out."""
    state = ask.context.tokens.state
    is_old = partial(passwords.verify, old_hash)
    after_commit(ask.session, lambda: clouds.keep_right(state, user, new, is_old=is_old))


def _delete(ask: Ask, user_id: str) -> Response:
    row = maybe(lambda: users.fetch(ask.session, user_id))
    demand(may_change_user(ask.session, ask.actor, row), "delete_user")
    users.remove(ask.session, users.fetch(ask.session, user_id))
    return no_content()


def _groups(ask: Ask, user_id: str) -> Response:
    demand(may_see_user(ask.actor, maybe(lambda: users.fetch(ask.session, user_id))), "list_groups_for_user")
    user = users.fetch(ask.session, user_id)
    mine = select(Membership.group_id).where(Membership.user_id == user.id)
    listing = Listing(model=Group, columns={"name": Group.name}, order=(Group.name, Group.id))
    rows, more = find_rows(ask, listing, Group.id.in_(mine))
    return collection(ask, "groups", [present.group(ask, row) for row in rows], f"users/{user_id}/groups", more=more)


def _projects(ask: Ask, user_id: str) -> Response:
    demand(may_see_user(ask.actor, maybe(lambda: users.fetch(ask.session, user_id))), "list_user_projects")
    rows = rights.projects_of(ask.session, users.fetch(ask.session, user_id))
    name, home = request.args.get("name"), request.args.get("domain_id")
    shown = [
        present.project(ask, row)
        for row in rows
        if (name is None or row.name == name) and (home is None or row.domain_id == home)
    ]
    return collection(ask, "projects", shown, f"users/{user_id}/projects")


ROUTES = [
    Route(method="GET", rule="/users", view=_list),
    Route(method="POST", rule="/users", view=_create, before=Before(may=_may_create, work=_hashed)),
    Route(method="GET", rule="/users/<user_id>", view=_show),
    Route(method="PATCH", rule="/users/<user_id>", view=_update, before=Before(may=_may_update, work=_hashed)),
    Route(method="DELETE", rule="/users/<user_id>", view=_delete),
    Route(method="GET", rule="/users/<user_id>/groups", view=_groups),
    Route(method="GET", rule="/users/<user_id>/projects", view=_projects),
]
