"""/v2/images: records of images; their bytes are glance.data."""

from typing import Any

from flask import Response, g, request
from sqlalchemy.orm import Session
from werkzeug.exceptions import UnsupportedMediaType

from appliance.domain.errors import Conflict, Forbidden, Invalid, NotFound
from appliance.domain.images import COMING, Status
from appliance.http.context import Context
from appliance.http.glance import fields, patch, present, query
from appliance.http.glance.discovery import IMPORT_METHODS
from appliance.http.json_body import nothing, read_value, reply
from appliance.http.own_address import base_url
from appliance.models.image import Image
from appliance.services import image_catalog, image_search, images
from appliance.services.image_catalog import Wish


def read_json() -> Any:
    """The request's body, which must be there."""
    value = read_value()
    if value is None:
        raise Invalid("Body expected in request.")
    return value


def read_object() -> dict[str, Any]:
    body = read_json()
    if not isinstance(body, dict):
        raise Invalid("the request body is a JSON object")
    return body


def listing(context: Context) -> Response:
    asked = query.parse(request.args)
    with context.database.read() as session:
        part = image_search.search(session, g.actor, asked)
        found = [_shown(context, row) for row in part.rows]
    body = {"images": found, "first": query.link("/v2/images", request.args), "schema": "/v2/schemas/images"}
    if found and part.is_full:
        body["next"] = query.link("/v2/images", request.args, found[-1]["id"])
    return reply(body)


def create(context: Context) -> Response:
    wish = _wish(read_object())
    with context.database.write() as session:
        row = image_catalog.add(session, g.actor, wish, now=context.clock())
        shown = present.image(row)
    response = reply(shown, 201)
    response.headers["Location"] = f"{base_url(context.config)}/image/v2/images/{row.uuid}"
    response.headers["OpenStack-image-import-methods"] = ",".join(IMPORT_METHODS)
    response.headers["OpenStack-image-store-ids"] = present.STORE
    return response


def _wish(body: dict[str, Any]) -> Wish:
    if "locations" in body:
        raise Forbidden("It's not allowed to update locations if locations are invisible.")
    for name in body:
        fields.refuse_reserved(name)
    uuid = body.pop("id", None)
    if uuid is not None and not (isinstance(uuid, str) and fields.UUID.match(uuid)):
        raise Invalid(f"Provided object does not match schema 'image': {str(uuid)[:60]!r} is not a UUID")
    tags = fields.tags(body.pop("tags", []))
    checked = {name: fields.checked(name, value) for name, value in body.items()}
    values = {fields.WRITABLE[name].column: checked.pop(name) for name in list(checked) if name in fields.WRITABLE}
    return Wish(uuid=uuid, values=values, properties=checked, tags=tags)


def show(context: Context, uuid: str) -> Response:
    with context.database.read() as session:
        return reply(_shown(context, image_catalog.find(session, g.actor, uuid)))


def update(context: Context, uuid: str) -> Response:
    kind = request.mimetype
    if kind not in patch.KINDS:
        allowed = ", ".join(sorted(patch.KINDS))
        raise UnsupportedMediaType(f"Image PATCH expects Content-Type one of: {allowed}")
    changes = patch.parse(read_json(), is_new_form=patch.KINDS[kind])
    if not changes:  # older clients send no change behind a member's answer (`image set --accept`)
        return show(context, uuid)
    with context.database.write() as session:
        row = image_catalog.changeable(session, g.actor, uuid)
        for change in changes:
            _apply(row, change)
        row.updated_at = context.clock()
        session.flush()
        return reply(_shown(context, row))


def _shown(context: Context, row: Image) -> dict[str, Any]:
    waits_for = context.imports.waits_for(row.uuid) if row.status in COMING else ""
    return present.image(row, waits_for=waits_for)


def _apply(row: Image, change: patch.Change) -> None:
    name = change.name
    is_base = name in fields.WRITABLE or name == "tags"
    is_there = is_base or name in row.properties
    if change.op == "add" and is_there and not change.may_overwrite:
        raise Conflict(f"Property {name} already present.")
    if change.op != "add" and not is_there:
        raise Conflict(f"Property {name} does not exist.")
    if change.op == "remove":
        if is_base:
            raise Forbidden(f"Property {name} may not be removed.")
        image_catalog.set_properties(row, {key: value for key, value in row.properties.items() if key != name})
    elif name == "tags":
        image_catalog.set_tags(row, change.value)
    elif is_base:
        image_catalog.assign(g.actor, row, fields.WRITABLE[name].column, change.value)
    else:
        image_catalog.set_properties(row, {**row.properties, name: change.value})


def delete(context: Context, uuid: str) -> Response:
    with context.database.write() as session:
        row = image_catalog.changeable(session, g.actor, uuid)
        images.delete(session, row, actor=g.actor.name, now=context.clock())
    context.imports.cancel(row.uuid)
    context.images.forget(row.uuid)
    return nothing()


def deactivate(context: Context, uuid: str) -> Response:
    return _move(context, uuid, Status.DEACTIVATED)


def reactivate(context: Context, uuid: str) -> Response:
    return _move(context, uuid, Status.ACTIVE)


def _move(context: Context, uuid: str, to: Status) -> Response:
    with context.database.write() as session:
        image_catalog.change_state(session, g.actor, uuid, to, now=context.clock())
    return nothing()


def tag(context: Context, uuid: str, value: str) -> Response:
    with context.database.write() as session:
        row, tags = _tags(session, uuid)
        image_catalog.set_tags(row, [*tags, *fields.tags([value])])
        row.updated_at = context.clock()
    return nothing()


def untag(context: Context, uuid: str, value: str) -> Response:
    with context.database.write() as session:
        row, tags = _tags(session, uuid)
        if value not in tags:
            raise NotFound(f"image {row.uuid} has no tag {value[:60]!r}")
        image_catalog.set_tags(row, [item for item in tags if item != value])
        row.updated_at = context.clock()
    return nothing()


def _tags(session: Session, uuid: str) -> tuple[Image, list[str]]:
    row = image_catalog.changeable(session, g.actor, uuid)
    return row, [item.value for item in row.tags]
