"""/v3/OS-EP-FILTER: groups of endpoints, and which endpoints the catalogue of a project shows."""

from typing import Any

from flask import Response

from appliance.domain.access import Role
from appliance.domain.errors import Invalid, NotFound
from appliance.http.json_body import reply
from appliance.http.keystone import present
from appliance.http.keystone.policy import demand, site
from appliance.http.keystone.wire import Ask, Given, Listing, Route, collection, envelope, find_rows, no_content
from appliance.models.catalogue import CatalogueEndpoint, EndpointGroup
from appliance.models.identity import Project
from appliance.services.identity import catalogue, fields, projects, shown

_GROUPS = Listing(
    model=EndpointGroup, columns={"name": EndpointGroup.name}, order=(EndpointGroup.name, EndpointGroup.id)
)
_BASE = "OS-EP-FILTER"


def _group(ask: Ask, row: EndpointGroup) -> dict[str, Any]:
    return {
        "id": row.id, "name": row.name, "description": row.description, "filters": row.filters,
        "links": {"self": ask.url(f"{_BASE}/endpoint_groups/{row.id}")},
    }  # fmt: skip


def _read(ask: Ask) -> None:
    demand(site(ask.actor, Role.READER), "list_endpoint_groups")


def _write(ask: Ask) -> None:
    demand(site(ask.actor, Role.ADMIN), "update_endpoint_group")


def _given(body: dict[str, Any], *, is_new: bool) -> dict[str, Any]:
    if not is_new and body.get("name", "") is None:  # the stock command's word for a name that stays
        body = {key: value for key, value in body.items() if key != "name"}
    given = Given(body)
    given.name(255, required=is_new)
    given.text("description")
    filters = given.take("filters")
    if filters is None and is_new:
        raise Invalid("'filters' is a required property")
    if filters is not None:
        is_right = isinstance(filters, dict) and all(
            key in shown.FILTERS and isinstance(value, str) and len(value) <= 255 for key, value in filters.items()
        )
        if not is_right or (filters.get("interface", "public") not in ("public", "internal", "admin")):
            raise Invalid(f"Invalid input for field 'filters': known are {', '.join(shown.FILTERS)}")
        given.columns["filters"] = filters
    return given.columns


def _list(ask: Ask) -> Response:
    _read(ask)
    rows, more = find_rows(ask, _GROUPS)
    return collection(ask, "endpoint_groups", [_group(ask, row) for row in rows], f"{_BASE}/endpoint_groups", more=more)


def _create(ask: Ask) -> Response:
    _write(ask)
    columns = _given(envelope("endpoint_group"), is_new=True)
    return reply({"endpoint_group": _group(ask, shown.create_group(ask.session, columns))}, 201)


def _show(ask: Ask, group_id: str) -> Response:
    _read(ask)
    return reply({"endpoint_group": _group(ask, shown.group(ask.session, group_id))})


def _update(ask: Ask, group_id: str) -> Response:
    _write(ask)
    row = shown.group(ask.session, group_id)
    fields.apply(row, _given(envelope("endpoint_group"), is_new=False))
    return reply({"endpoint_group": _group(ask, row)})


def _delete(ask: Ask, group_id: str) -> Response:
    _write(ask)
    shown.remove_group(ask.session, shown.group(ask.session, group_id))
    return no_content()


def _group_endpoints(ask: Ask, group_id: str) -> Response:
    _read(ask)
    rows = shown.in_group(ask.session, shown.group(ask.session, group_id))
    path = f"{_BASE}/endpoint_groups/{group_id}/endpoints"
    return collection(ask, "endpoints", [present.endpoint(ask, row) for row in rows], path)


def _projects(ask: Ask, ids: list[str], path: str) -> Response:
    rows = [row for one in ids if (row := ask.session.get(Project, one)) is not None]
    return collection(ask, "projects", [present.project(ask, row) for row in rows], path)


def _group_projects(ask: Ask, group_id: str) -> Response:
    _read(ask)
    ids = shown.projects_of(ask.session, "group", shown.group(ask.session, group_id).id)
    return _projects(ask, ids, f"{_BASE}/endpoint_groups/{group_id}/projects")


def _endpoint_projects(ask: Ask, endpoint_id: str) -> Response:
    _read(ask)
    ids = shown.projects_of(ask.session, "endpoint", catalogue.endpoint(ask.session, endpoint_id).id)
    return _projects(ask, ids, f"{_BASE}/endpoints/{endpoint_id}/projects")


def _project_groups(ask: Ask, project_id: str) -> Response:
    _read(ask)
    ids = shown.targets(ask.session, projects.fetch(ask.session, project_id).id, "group")
    rows = [_group(ask, shown.group(ask.session, one)) for one in ids]
    return collection(ask, "endpoint_groups", rows, f"{_BASE}/projects/{project_id}/endpoint_groups")


def _project_endpoints(ask: Ask, project_id: str) -> Response:
    _read(ask)
    ids = shown.of_project(ask.session, projects.fetch(ask.session, project_id).id) or set()
    rows = [row for one in sorted(ids) if (row := ask.session.get(CatalogueEndpoint, one)) is not None]
    path = f"{_BASE}/projects/{project_id}/endpoints"
    return collection(ask, "endpoints", [present.endpoint(ask, row) for row in rows], path)


def _pair(ask: Ask, project_id: str, group_id: str, endpoint_id: str) -> tuple[str, str, str]:
    """Raises NotFound when either is not there."""
    projects.fetch(ask.session, project_id)
    if group_id:
        return project_id, "group", shown.group(ask.session, group_id).id
    return project_id, "endpoint", catalogue.endpoint(ask.session, endpoint_id).id


def _check_pair(ask: Ask, project_id: str, group_id: str = "", endpoint_id: str = "") -> Response:
    _read(ask)
    pair = _pair(ask, project_id, group_id, endpoint_id)
    if not shown.has(ask.session, *pair):
        raise NotFound(f"Could not find {pair[1]} of project: {pair[2]}.")
    return no_content()


def _add_pair(ask: Ask, project_id: str, group_id: str = "", endpoint_id: str = "") -> Response:
    _write(ask)
    shown.show(ask.session, *_pair(ask, project_id, group_id, endpoint_id))
    return no_content()


def _drop_pair(ask: Ask, project_id: str, group_id: str = "", endpoint_id: str = "") -> Response:
    _write(ask)
    pair = _pair(ask, project_id, group_id, endpoint_id)
    if not shown.hide(ask.session, *pair):
        raise NotFound(f"Could not find {pair[1]} of project: {pair[2]}.")
    return no_content()


_G, _P = f"/{_BASE}/endpoint_groups", f"/{_BASE}/projects/<project_id>"
_BY_GROUP, _BY_ENDPOINT = f"{_G}/<group_id>/projects/<project_id>", f"{_P}/endpoints/<endpoint_id>"
ROUTES = [
    Route(method="GET", rule=_G, view=_list),
    Route(method="POST", rule=_G, view=_create),
    Route(method="GET", rule=f"{_G}/<group_id>", view=_show),
    Route(method="PATCH", rule=f"{_G}/<group_id>", view=_update),
    Route(method="DELETE", rule=f"{_G}/<group_id>", view=_delete),
    Route(method="GET", rule=f"{_G}/<group_id>/endpoints", view=_group_endpoints),
    Route(method="GET", rule=f"{_G}/<group_id>/projects", view=_group_projects),
    Route(method="GET", rule=f"/{_BASE}/endpoints/<endpoint_id>/projects", view=_endpoint_projects),
    Route(method="GET", rule=f"{_P}/endpoint_groups", view=_project_groups),
    Route(method="GET", rule=f"{_P}/endpoints", view=_project_endpoints),
    *[
        Route(method=method, rule=rule, view=view)
        for rule in (_BY_GROUP, _BY_ENDPOINT)
        for method, view in (("GET", _check_pair), ("PUT", _add_pair), ("DELETE", _drop_pair))
    ],
]
