"""/v3/projects. A domain is seen here too, as the project that clients know it for (`is_domain`)."""

from typing import Any

from flask import Response, request

from appliance.domain.access import Role
from appliance.domain.errors import Invalid
from appliance.http.json_body import reply
from appliance.http.keystone import domains as domain_face
from appliance.http.keystone import present
from appliance.http.keystone.policy import demand, domain, may_change_project, may_see_project, maybe, site
from appliance.http.keystone.tags import fits, read_tags
from appliance.http.keystone.wire import (
    Ask,
    Given,
    Listing,
    Route,
    asked,
    collection,
    domain_named,
    envelope,
    find_rows,
    is_true,
    matching_id,
    no_content,
)
from appliance.models.identity import DEFAULT_DOMAIN, Domain, Project
from appliance.services.identity import domains, projects, rights

_LISTING = Listing(
    model=Project,
    columns={
        "name": Project.name, "domain_id": Project.domain_id, "enabled": Project.is_enabled, "id": Project.id,
    },
    order=(Project.name, Project.id),
)  # fmt: skip


def _find(ask: Ask, project_id: str) -> Project | None:
    return maybe(lambda: projects.fetch(ask.session, project_id))


def _list(ask: Ask) -> Response:
    scope = ask.actor.domain_id
    demand(site(ask.actor, Role.READER) or domain(ask.actor, scope, Role.READER), "list_projects")
    if "is_domain" in request.args and is_true(request.args["is_domain"]):
        where = [] if scope is None else [Domain.id == scope]
        found, more = find_rows(ask, domain_face.LISTING, *where)
        shown = [present.domain_as_project(ask, row) for row in found]
        return collection(ask, "projects", shown, "projects", more=more)
    limits = [] if scope is None else [Project.domain_id == scope]
    if parent_id := request.args.get("parent_id"):
        below_domain = Project.parent_id.is_(None) & (Project.domain_id == parent_id)
        limits.append((Project.parent_id == parent_id) | below_domain)
    rows, more = find_rows(ask, _LISTING, *limits)
    shown = [present.project(ask, row) for row in rows if fits(row.tags)]
    return collection(ask, "projects", shown, "projects", more=more)


def _show(ask: Ask, project_id: str) -> Response:
    as_domain = ask.session.get(Domain, project_id)
    if as_domain is not None:
        is_mine = domain(ask.actor, project_id, Role.READER)
        demand(site(ask.actor, Role.READER) or is_mine, "get_project")
        return reply({"project": present.domain_as_project(ask, as_domain)})
    demand(may_see_project(ask.actor, _find(ask, project_id)), "get_project")
    row = projects.fetch(ask.session, project_id)
    return reply({"project": present.project(ask, row) | _relatives(ask, row)})


def _relatives(ask: Ask, row: Project) -> dict[str, Any]:
    """Parents and subtree, when they are asked for, as ids or as a list of what the caller may see."""
    shown: dict[str, Any] = {}
    above, below = rights.ancestors(ask.session, row), rights.subtree(ask.session, row)
    if asked("parents_as_list"):
        shown["parents"] = [{"project": present.project(ask, one)} for one in above if may_see_project(ask.actor, one)]
    if asked("subtree_as_list"):
        shown["subtree"] = [{"project": present.project(ask, one)} for one in below if may_see_project(ask.actor, one)]
    if asked("parents_as_ids"):
        chain: dict[str, Any] | None = {row.domain_id: None}
        for one in reversed(above):
            chain = {one.id: chain}
        shown["parents"] = chain
    if asked("subtree_as_ids"):
        shown["subtree"] = _tree(row.id, below) or None
    return shown


def _tree(parent_id: str, below: list[Project]) -> dict[str, Any]:
    return {one.id: _tree(one.id, below) or None for one in below if one.parent_id == parent_id}


def _read(given: Given, *, is_new: bool) -> None:
    given.name(64, required=is_new)
    given.text("description")
    given.flag("enabled", "is_enabled")
    given.options(domain_face.OPTIONS)
    read_tags(given)
    for known in ("domain_id", "parent_id", "is_domain"):
        given.take(known)
    given.rest()


def _create(ask: Ask) -> Response:
    body = envelope("project")
    if body.get("is_domain") is True:
        return _create_domain(ask, body)
    parent_id = body.get("parent_id")
    if not isinstance(parent_id, str | None):
        raise Invalid("Invalid input for field 'parent_id': an id")
    domain_id = domain_named(body) or _home(ask, parent_id)
    demand(site(ask.actor, Role.ADMIN) or domain(ask.actor, domain_id, Role.MANAGER), "create_project")
    given = Given(body)
    _read(given, is_new=True)
    name = given.columns.pop("name")
    row = projects.create(ask.session, domain_id=domain_id, parent_id=parent_id, name=name, columns=given.columns)
    return reply({"project": present.project(ask, row)}, 201)


def _create_domain(ask: Ask, body: dict[str, Any]) -> Response:
    demand(site(ask.actor, Role.ADMIN), "create_project")
    if body.get("domain_id") or body.get("parent_id"):
        raise Invalid("A project that acts as a domain has neither parent nor domain.")
    given = Given(body)
    given.take("is_domain")
    given.take("domain_id")
    given.take("parent_id")
    domain_face.read(given, is_new=True)
    row = domains.create(ask.session, name=given.columns.pop("name"), columns=given.columns)
    return reply({"project": present.domain_as_project(ask, row)}, 201)


def _home(ask: Ask, parent_id: object) -> str:
    """The domain of the parent; else that of the token."""
    if isinstance(parent_id, str):
        if ask.session.get(Domain, parent_id) is not None:
            return parent_id
        parent = ask.session.get(Project, parent_id)
        if parent is not None:
            return parent.domain_id
    own = ask.session.get(Project, ask.actor.project_id) if ask.actor.project_id else None
    return ask.actor.domain_id or (own.domain_id if own else DEFAULT_DOMAIN)


def _update(ask: Ask, project_id: str) -> Response:
    demand(may_change_project(ask.actor, _find(ask, project_id)), "update_project")
    row, body = projects.fetch(ask.session, project_id), envelope("project")
    matching_id(body, project_id)
    if body.get("domain_id", row.domain_id) != row.domain_id or body.get("is_domain"):
        raise Invalid("Cannot change Domain ID")
    if body.get("parent_id", row.parent_id or row.domain_id) not in (row.parent_id, row.parent_id or row.domain_id):
        raise Invalid("Update of `parent_id` is not allowed.")
    given = Given(body)
    _read(given, is_new=False)
    longest = ask.context.tokens.policy.longest
    projects.update(ask.session, row, given.columns, now=ask.now, longest=longest)
    return reply({"project": present.project(ask, row)})


def _delete(ask: Ask, project_id: str) -> Response:
    demand(may_change_project(ask.actor, _find(ask, project_id)), "delete_project")
    projects.remove(ask.session, projects.fetch(ask.session, project_id))
    return no_content()


ROUTES = [
    Route(method="GET", rule="/projects", view=_list),
    Route(method="POST", rule="/projects", view=_create),
    Route(method="GET", rule="/projects/<project_id>", view=_show),
    Route(method="PATCH", rule="/projects/<project_id>", view=_update),
    Route(method="DELETE", rule="/projects/<project_id>", view=_delete),
]
