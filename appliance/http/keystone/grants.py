"""Giving roles: on projects and domains to users and groups, the same inherited (OS-INHERIT), and on the system."""

from functools import partial

from flask import Response

from appliance.domain.access import Role
from appliance.domain.errors import NotFound
from appliance.http.keystone import present
from appliance.http.keystone.policy import demand, domain_of, may_grant, may_see_grants, maybe, site
from appliance.http.keystone.wire import Ask, Route, collection, no_content
from appliance.models.identity import Domain, Project
from appliance.services.identity import fields, grants, roles
from appliance.services.identity.grants import Place
from appliance.services.identity.rights import SYSTEM

ACTORS = ("user", "group")
TARGETS = ("project", "domain")


def _actor_domain(ask: Ask, place: Place) -> str | None:
    found = maybe(lambda: grants.check_actor(ask.session, place))
    return found.domain_id if found is not None else None


def _check_there(ask: Ask, place: Place) -> None:
    """Raises NotFound when the user, the group, the project or the domain is not there."""
    grants.check_actor(ask.session, place)
    if place.target_kind == "project":
        fields.fetch(ask.session, Project, place.target_id, "project")
    elif place.target_kind == "domain":
        fields.fetch(ask.session, Domain, place.target_id, "domain")


def _may_see(ask: Ask, place: Place) -> bool:
    if place.target_kind == SYSTEM:
        return site(ask.actor, Role.READER)
    target_domain = domain_of(ask.session, place.target_kind, place.target_id)
    return may_see_grants(ask.actor, _actor_domain(ask, place), target_domain)


def _list(place: Place, path: str, ask: Ask) -> Response:
    demand(_may_see(ask, place), "list_grants")
    _check_there(ask, place)
    return collection(ask, "roles", [present.role(ask, row) for row in grants.held(ask.session, place)], path)


def _check(place: Place, ask: Ask, role_id: str) -> Response:
    demand(_may_see(ask, place), "check_grant")
    _check_there(ask, place)
    if grants.find(ask.session, place, roles.fetch(ask.session, role_id)) is None:
        raise NotFound(
            f"Could not find role assignment with role: {role_id[:64]}, user or group: {place.actor_id}, "
            f"project, domain, or system: {place.target_id}."
        )
    return no_content()


def _demand_grant(place: Place, ask: Ask, role_id: str, action: str) -> None:
    role = maybe(lambda: roles.fetch(ask.session, role_id))
    actor_domain = _actor_domain(ask, place)
    demand(may_grant(ask.session, ask.actor, place, actor_domain=actor_domain, role=role), action)


def _give(place: Place, ask: Ask, role_id: str) -> Response:
    _demand_grant(place, ask, role_id, "create_grant")
    _check_there(ask, place)
    grants.give(ask.session, place, roles.fetch(ask.session, role_id))
    return no_content()


def _take(place: Place, ask: Ask, role_id: str) -> Response:
    _demand_grant(place, ask, role_id, "revoke_grant")
    grants.take(ask.session, place, roles.fetch(ask.session, role_id))
    return no_content()


def _place(kinds: tuple[str, str], path: dict[str, str], *, is_inherited: bool) -> Place:
    target_kind, actor_kind = kinds
    return Place(
        actor_kind=actor_kind, actor_id=path.pop("actor_id")[:64], target_kind=target_kind,
        target_id=path.pop("target_id", SYSTEM)[:64], is_inherited=is_inherited,
    )  # fmt: skip


def _with_role(view: object, kinds: tuple[str, str], ask: Ask, *, is_inherited: bool = False, **path: str) -> Response:
    place = _place(kinds, path, is_inherited=is_inherited)
    return view(place, ask, path["role_id"])  # type: ignore[operator, no-any-return]  # one of the three views above


def _listing(kinds: tuple[str, str], ask: Ask, *, is_inherited: bool = False, **path: str) -> Response:
    place = _place(kinds, path, is_inherited=is_inherited)
    where = SYSTEM if place.target_kind == SYSTEM else f"{place.target_kind}s/{place.target_id}"
    suffix = "/inherited_to_projects" if is_inherited else ""
    prefix = "OS-INHERIT/" if is_inherited else ""
    return _list(place, f"{prefix}{where}/{place.actor_kind}s/{place.actor_id}/roles{suffix}", ask)


def _routes(target: str, actor: str) -> list[Route]:
    kinds = (target, actor)
    base = f"/{target}" if target == SYSTEM else f"/{target}s/<target_id>"
    held = f"{base}/{actor}s/<actor_id>/roles"
    made = [Route(method="GET", rule=held, view=partial(_listing, kinds))]
    deeds = {"GET": _check, "PUT": _give, "DELETE": _take}
    made += [
        Route(method=method, rule=f"{held}/<role_id>", view=partial(_with_role, view, kinds))
        for method, view in deeds.items()
    ]
    if target == SYSTEM:
        return made
    inherited = f"/OS-INHERIT{held}"
    made.append(
        Route(
            method="GET",
            rule=f"{inherited}/inherited_to_projects",
            view=partial(_listing, kinds, is_inherited=True),
        )
    )
    return made + [
        Route(
            method=method,
            rule=f"{inherited}/<role_id>/inherited_to_projects",
            view=partial(_with_role, view, kinds, is_inherited=True),
        )
        for method, view in deeds.items()
    ]


ROUTES = [route for target in (*TARGETS, SYSTEM) for actor in ACTORS for route in _routes(target, actor)]
