"""/v2/metadefs: namespaces of metadata definitions. What lies in them is glance.metadefs_parts."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from flask import Response, g, request
from sqlalchemy.orm import Session

from appliance.domain.errors import Invalid
from appliance.http.context import Context
from appliance.http.glance import metadefs_fields as fields
from appliance.http.glance import metadefs_shown as shown
from appliance.http.glance import query
from appliance.http.json_body import nothing, reply
from appliance.http.own_address import base_url
from appliance.models.metadef import MetadefNamespace, MetadefObject, MetadefProperty, MetadefTag
from appliance.services import metadef_parts as parts
from appliance.services import metadefs

_SORTABLE = {"namespace": "name", "display_name": "display_name", "description": "description", "owner": "owner",
             "visibility": "visibility", "protected": "is_protected", "created_at": "created_at",
             "updated_at": "updated_at", "id": "id"}  # fmt: skip
_MOST_TYPES = 100


def asked_page(sortable: Mapping[str, str], *, usual: int | None) -> metadefs.Page:
    """Of the query string. usual: how many when nobody says how many."""
    key, way = request.args.get("sort_key", "created_at"), request.args.get("sort_dir", "desc")
    if key not in sortable:
        raise Invalid(f"Invalid sort key: {key[:60]}. It must be one of the following: {', '.join(sortable)}.")
    if way not in ("asc", "desc"):
        raise Invalid(f"Invalid sort direction: {way[:60]}")
    limit = query.limit(request.args) if "limit" in request.args else usual
    return metadefs.Page(
        sort=sortable[key], is_descending=way == "desc", marker=request.args.get("marker") or None, limit=limit
    )


def listing(context: Context) -> Response:
    visibility, types = request.args.get("visibility"), request.args.get("resource_types")
    if visibility is not None and visibility not in ("public", "private"):
        raise Invalid(f"Invalid visibility value: {visibility[:60]}")
    wanted = types.split(",") if types else []
    if len(wanted) > _MOST_TYPES or "\0" in (types or ""):
        raise Invalid(f"at most {_MOST_TYPES} resource types")
    asked = asked_page(_SORTABLE, usual=query.USUAL)
    with context.database.read() as session:
        rows = metadefs.search(session, g.actor, asked, visibility=visibility, resource_types=wanted)
        ties = parts.associations(session, rows)
        found = [shown.namespace(row, ties[row.id]) for row in rows]
    body: dict[str, Any] = {"namespaces": found, "first": query.link(shown.NAMESPACES, request.args)}
    if found and len(found) == asked.limit:
        body["next"] = query.link(shown.NAMESPACES, request.args, found[-1]["namespace"])
    return reply(body | {"schema": "/v2/schemas/metadefs/namespaces"})


def create(context: Context) -> Response:
    body = fields.body(fields.NAMESPACE, "namespace")
    now = context.clock()
    with context.database.write() as session:
        row = metadefs.create(session, g.actor, _columns(body), now=now)
        for tie in body.get("resource_type_associations", ()):
            fields.addressable(tie["name"])
            parts.tie(session, row, tie, now=now)
        parts.add(session, row, MetadefObject, [object_columns(item) for item in body.get("objects", ())], now=now)
        definitions = [property_columns({**item, "name": name}) for name, item in body.get("properties", {}).items()]
        parts.add(session, row, MetadefProperty, definitions, now=now)
        parts.add(session, row, MetadefTag, [tag_columns(item) for item in body.get("tags", ())], now=now)
        response = reply(_whole(session, row), 201)
        response.headers["Location"] = f"{base_url(context.config)}/image{shown.NAMESPACES}/{quote(row.name, safe=':')}"
    return response


def _columns(body: Mapping[str, Any]) -> dict[str, Any]:
    fields.addressable(body["namespace"])
    return {column: body[name] for name, column in fields.COLUMNS.items() if name in body}


def object_columns(body: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": fields.addressable(body["name"]), "description": body.get("description"),
        "required": body.get("required", []), "properties": body.get("properties", {}),
    }  # fmt: skip


def property_columns(body: Mapping[str, Any]) -> dict[str, Any]:
    definition = {name: value for name, value in body.items() if name != "name"}
    return {"name": fields.addressable(body["name"]), "definition": definition}


def tag_columns(body: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": fields.addressable(body["name"])}


def show(context: Context, namespace: str) -> Response:
    with context.database.read() as session:
        row = metadefs.find(session, g.actor, namespace)
        return reply(_whole(session, row, resource_type=request.args.get("resource_type")))


def _whole(session: Session, row: MetadefNamespace, resource_type: str | None = None) -> dict[str, Any]:
    """With all that lies in it. resource_type: names of properties are as on such a thing."""
    ties = parts.associations(session, [row])[row.id]
    prefix = next((tie.prefix or "" for tie, name in ties if name == resource_type), "")
    more = {
        "objects": [shown.object_(row, item, prefix) for item in parts.listing(session, row, MetadefObject)],
        "properties": shown.properties(parts.listing(session, row, MetadefProperty), prefix),
        "tags": [{"name": item.name} for item in parts.listing(session, row, MetadefTag)],
    }
    return shown.namespace(row, ties) | {name: value for name, value in more.items() if value}


def update(context: Context, namespace: str) -> Response:
    """The namespace alone; what lies in it has addresses of its own."""
    body = fields.body(fields.NAMESPACE, "namespace")
    with context.database.write() as session:
        row = metadefs.changeable(session, g.actor, namespace, "modify_metadef_namespace")
        metadefs.replace(session, g.actor, row, _columns(body), now=context.clock())
        return reply(shown.namespace(row, ()))


def delete(context: Context, namespace: str) -> Response:
    with context.database.write() as session:
        metadefs.delete(session, metadefs.changeable(session, g.actor, namespace, "delete_metadef_namespace"))
    return nothing()
