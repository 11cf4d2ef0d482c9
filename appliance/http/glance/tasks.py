"""/v2/tasks: imports and how they went. A task is begun by an import alone."""

from typing import Any

from flask import Response, g, request

from appliance.domain.errors import Invalid
from appliance.http.context import Context
from appliance.http.glance import present, query
from appliance.http.json_body import reply
from appliance.models.image import ImageTask
from appliance.services import image_catalog, image_tasks

_STATES = ("pending", "processing", "success", "failure")


def listing(context: Context) -> Response:
    status, kind = request.args.get("status"), request.args.get("type", "api_image_import")
    if status is not None and status not in _STATES:
        raise Invalid(f"Invalid status value: {status[:60]}")
    sort = request.args.get("sort_key", "created_at")
    if sort not in image_tasks.SORTS:
        raise Invalid(f"Invalid sort key. It must be one of the following: {', '.join(image_tasks.SORTS)}.")
    way = request.args.get("sort_dir", "desc")
    if way not in ("asc", "desc"):
        raise Invalid(f"Invalid sort direction: {way[:60]}")
    limit = query.limit(request.args)
    with context.database.read() as session:
        rows = image_tasks.search(
            session, g.actor, status=status, owner=request.args.get("owner"), is_descending=way == "desc", sort=sort,
            marker=request.args.get("marker"), limit=limit if kind == "api_image_import" else 0,
        )  # fmt: skip
        found = [present.task_stub(row) for row in rows]
    body = {"tasks": found, "first": query.link("/v2/tasks", request.args), "schema": "/v2/schemas/tasks"}
    if found and len(found) == limit:
        body["next"] = query.link("/v2/tasks", request.args, found[-1]["id"])
    return reply(body)


def show(context: Context, uuid: str) -> Response:
    with context.database.read() as session:
        return reply(_shown(context, image_tasks.fetch(session, g.actor, uuid)))


def _shown(context: Context, row: ImageTask) -> dict[str, Any]:
    waits_for = context.imports.waits_for(row.image_uuid) if row.status == "pending" else ""
    return present.task(row, waits_for=waits_for)


def of_image(context: Context, uuid: str) -> Response:
    with context.database.read() as session:
        row = image_catalog.find(session, g.actor, uuid)
        return reply({"tasks": [_shown(context, item) for item in image_tasks.of_image(session, row)]})
