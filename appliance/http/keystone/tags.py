"""Tags of a project: short texts without `/` and `,`, at most 80 of them."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from flask import Response, request

from appliance.domain.access import Role, implies
from appliance.domain.errors import Invalid, NotFound
from appliance.http.json_body import read_object, reply
from appliance.http.keystone.policy import demand, may_change_project, may_see_project, maybe
from appliance.http.keystone.wire import Ask, Given, Route, no_content
from appliance.models.identity import Project
from appliance.services.identity import projects

MOST = 80


def check(tags: Any) -> list[str]:
    """Raises Invalid."""
    if not isinstance(tags, list) or len(tags) > MOST:
        raise Invalid(f"Invalid input for field 'tags': a list of at most {MOST} texts")
    for tag in tags:
        if not isinstance(tag, str) or not 1 <= len(tag) <= 255 or "/" in tag or "," in tag or "\0" in tag:
            raise Invalid("Invalid input for field 'tags': texts of 1 to 255 characters without '/' and ','")
    if len(set(tags)) != len(tags):
        raise Invalid("Invalid input for field 'tags': each only once")
    return list(tags)


def read_tags(given: Given) -> None:
    if given.has("tags"):
        given.columns["tags"] = check(given.take("tags"))


def fits(tags: list[str]) -> bool:
    """Do these tags fit the query string's tags, tags-any, not-tags and not-tags-any?"""
    mine = set(tags)
    asked = {key: set(request.args[key].split(",")) for key in _ASKED if key in request.args}
    return all(_ASKED[key](mine, wanted) for key, wanted in asked.items())


_ASKED: dict[str, Callable[[set[str], set[str]], bool]] = {
    "tags": lambda mine, wanted: wanted <= mine,
    "tags-any": lambda mine, wanted: bool(wanted & mine),
    "not-tags": lambda mine, wanted: not wanted <= mine,
    "not-tags-any": lambda mine, wanted: not wanted & mine,
}


def _seen(ask: Ask, project_id: str) -> Project:
    row = maybe(lambda: projects.fetch(ask.session, project_id))
    demand(may_see_project(ask.actor, row), "list_project_tags")
    return projects.fetch(ask.session, project_id)


def _changed(ask: Ask, project_id: str) -> Project:
    row = maybe(lambda: projects.fetch(ask.session, project_id))
    actor = ask.actor
    is_own = row is not None and actor.project_id == row.id and Role.ADMIN in implies(actor.role)
    demand(may_change_project(actor, row) or is_own, "update_project_tags")
    return projects.fetch(ask.session, project_id)


def _keep(ask: Ask, row: Project, tags: Any) -> None:
    longest = ask.context.tokens.policy.longest
    projects.update(ask.session, row, {"tags": check(tags)}, now=ask.now, longest=longest)


def _list(ask: Ask, project_id: str) -> Response:
    row = _seen(ask, project_id)
    links = {"next": None, "self": ask.url(f"projects/{project_id}/tags"), "previous": None}
    return reply({"tags": row.tags, "links": links})


def _replace(ask: Ask, project_id: str) -> Response:
    row = _changed(ask, project_id)
    _keep(ask, row, read_object().get("tags"))
    links = {"next": None, "self": ask.url(f"projects/{project_id}/tags"), "previous": None}
    return reply({"tags": row.tags, "links": links})


def _clear(ask: Ask, project_id: str) -> Response:
    _keep(ask, _changed(ask, project_id), [])
    return no_content()


def _check(ask: Ask, project_id: str, tag: str) -> Response:
    if tag not in _seen(ask, project_id).tags:
        raise NotFound(f"Could not find project tag: {tag[:64]}.")
    return no_content()


def _add(ask: Ask, project_id: str, tag: str) -> Response:
    row = _changed(ask, project_id)
    if tag not in row.tags:
        _keep(ask, row, [*row.tags, tag])
    return Response(status=201, headers={"Location": ask.url(f"projects/{project_id}/tags/{quote(tag)}")})


def _drop(ask: Ask, project_id: str, tag: str) -> Response:
    row = _changed(ask, project_id)
    if tag not in row.tags:
        raise NotFound(f"Could not find project tag: {tag[:64]}.")
    _keep(ask, row, [one for one in row.tags if one != tag])
    return no_content()


ROUTES = [
    Route(method="GET", rule="/projects/<project_id>/tags", view=_list),
    Route(method="PUT", rule="/projects/<project_id>/tags", view=_replace),
    Route(method="DELETE", rule="/projects/<project_id>/tags", view=_clear),
    Route(method="GET", rule="/projects/<project_id>/tags/<tag>", view=_check),
    Route(method="PUT", rule="/projects/<project_id>/tags/<tag>", view=_add),
    Route(method="DELETE", rule="/projects/<project_id>/tags/<tag>", view=_drop),
]
