"""/v3/groups and who is in them."""

from flask import Response
from sqlalchemy import select

from appliance.domain.access import Role
from appliance.domain.errors import Invalid, NotFound
from appliance.http.json_body import reply
from appliance.http.keystone import present
from appliance.http.keystone.policy import demand, domain, may_change_group, may_join, maybe, site
from appliance.http.keystone.wire import (
    Ask,
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
from appliance.models.identity import DEFAULT_DOMAIN, Group, Membership, User
from appliance.services.identity import domains, groups, users

_LISTING = Listing(
    model=Group, columns={"name": Group.name, "domain_id": Group.domain_id}, order=(Group.name, Group.id)
)
_MEMBERS = Listing(model=User, columns={"name": User.name, "enabled": User.is_enabled}, order=(User.name, User.uuid))


def _find(ask: Ask, group_id: str) -> Group | None:
    return maybe(lambda: groups.fetch(ask.session, group_id))


def _may_see(ask: Ask, row: Group | None) -> bool:
    return site(ask.actor, Role.READER) or (row is not None and domain(ask.actor, row.domain_id, Role.READER))


def _list(ask: Ask) -> Response:
    scope = ask.actor.domain_id
    demand(site(ask.actor, Role.READER) or domain(ask.actor, scope, Role.READER), "list_groups")
    where = [] if scope is None else [Group.domain_id == scope]
    rows, more = find_rows(ask, _LISTING, *where)
    return collection(ask, "groups", [present.group(ask, row) for row in rows], "groups", more=more)


def _show(ask: Ask, group_id: str) -> Response:
    demand(_may_see(ask, _find(ask, group_id)), "get_group")
    return reply({"group": present.group(ask, groups.fetch(ask.session, group_id))})


def _read(given: Given, *, is_new: bool) -> None:
    given.name(64, required=is_new)
    given.text("description")
    given.take("domain_id")
    given.rest()


def _create(ask: Ask) -> Response:
    body = envelope("group")
    domain_id = domain_named(body) or ask.actor.domain_id or DEFAULT_DOMAIN
    demand(site(ask.actor, Role.ADMIN) or domain(ask.actor, domain_id, Role.MANAGER), "create_group")
    domains.fetch(ask.session, domain_id)
    given = Given(body)
    _read(given, is_new=True)
    name = given.columns.pop("name")
    row = groups.create(ask.session, domain_id=domain_id, name=name, columns=given.columns)
    return reply({"group": present.group(ask, row)}, 201)


def _update(ask: Ask, group_id: str) -> Response:
    demand(may_change_group(ask.session, ask.actor, _find(ask, group_id)), "update_group")
    row, body = groups.fetch(ask.session, group_id), envelope("group")
    matching_id(body, group_id)
    if body.get("domain_id", row.domain_id) != row.domain_id:
        raise Invalid("Cannot change Domain ID")
    given = Given(body)
    _read(given, is_new=False)
    groups.update(ask.session, row, given.columns)
    return reply({"group": present.group(ask, row)})


def _delete(ask: Ask, group_id: str) -> Response:
    demand(may_change_group(ask.session, ask.actor, _find(ask, group_id)), "delete_group")
    groups.remove(ask.session, groups.fetch(ask.session, group_id))
    return no_content()


def _members(ask: Ask, group_id: str) -> Response:
    demand(_may_see(ask, _find(ask, group_id)), "list_users_in_group")
    groups.fetch(ask.session, group_id)
    inside = select(Membership.user_id).where(Membership.group_id == group_id)
    rows, more = find_rows(ask, _MEMBERS, User.id.in_(inside))
    return collection(ask, "users", [present.user(ask, row) for row in rows], f"groups/{group_id}/users", more=more)


def _check(ask: Ask, group_id: str, user_id: str) -> Response:
    row = _find(ask, group_id)
    demand(_may_see(ask, row) or user_id == ask.actor.user_uuid, "check_user_in_group")
    if not groups.has(ask.session, groups.fetch(ask.session, group_id), users.fetch(ask.session, user_id)):
        raise NotFound(f"User {user_id[:64]} not found in group {group_id[:64]}")
    return no_content()


def _join(ask: Ask, group_id: str, user_id: str) -> Response:
    user = maybe(lambda: users.fetch(ask.session, user_id))
    demand(may_join(ask.session, ask.actor, _find(ask, group_id), user), "add_user_to_group")
    groups.add(ask.session, groups.fetch(ask.session, group_id), users.fetch(ask.session, user_id))
    return no_content()


def _leave(ask: Ask, group_id: str, user_id: str) -> Response:
    user = maybe(lambda: users.fetch(ask.session, user_id))
    demand(may_join(ask.session, ask.actor, _find(ask, group_id), user), "remove_user_from_group")
    groups.take_out(ask.session, groups.fetch(ask.session, group_id), users.fetch(ask.session, user_id))
    return no_content()


ROUTES = [
    Route(method="GET", rule="/groups", view=_list),
    Route(method="POST", rule="/groups", view=_create),
    Route(method="GET", rule="/groups/<group_id>", view=_show),
    Route(method="PATCH", rule="/groups/<group_id>", view=_update),
    Route(method="DELETE", rule="/groups/<group_id>", view=_delete),
    Route(method="GET", rule="/groups/<group_id>/users", view=_members),
    Route(method="GET", rule="/groups/<group_id>/users/<user_id>", view=_check),
    Route(method="PUT", rule="/groups/<group_id>/users/<user_id>", view=_join),
    Route(method="DELETE", rule="/groups/<group_id>/users/<user_id>", view=_leave),
]
