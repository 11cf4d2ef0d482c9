"""/v1/images: rows as JSON, bytes as octet-stream straight to disk."""

import re
from collections.abc import Callable
from typing import Any, BinaryIO, cast

from flask import Flask, Response, g, request

from appliance.domain.access import Permission
from appliance.domain.errors import Invalid
from appliance.domain.image_imports import Import
from appliance.domain.images import COMING
from appliance.http.auth import allowed
from appliance.http.context import Context
from appliance.http.json_body import nothing, number, only, read_object, reply
from appliance.http.native import present
from appliance.models.columns import new_uuid
from appliance.models.image import Image
from appliance.services import images
from appliance.services.image_fetches import Address
from appliance.services.paging import MOST

_SHA256 = re.compile(r"[0-9a-fA-F]{64}\Z")


def install(app: Flask, context: Context) -> None:
    read, write = allowed(context, Permission.READ), allowed(context, Permission.CONFIGURE)
    routes: list[tuple[str, str, str, Callable[..., Any]]] = [
        ("GET", "/v1/images", "image_list", read(lambda: _list(context))),
        ("POST", "/v1/images", "image_create", write(lambda: _create(context))),
        ("GET", "/v1/images/<ref>", "image_show", read(lambda ref: _show(context, ref))),
        ("PUT", "/v1/images/<ref>/file", "image_upload", write(lambda ref: _upload(context, ref))),
        ("PUT", "/v1/images/<ref>/cloud-config-schema", "image_schema", write(lambda ref: _schema(context, ref))),
        ("DELETE", "/v1/images/<ref>", "image_delete", write(lambda ref: _delete(context, ref))),
    ]
    for method, rule, name, view in routes:
        app.add_url_rule(rule, name, view, methods=[method])


def _sha256(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not _SHA256.match(value):
        raise Invalid("sha256 is 64 hexadecimal digits", next_step="sha256sum FILE")
    return value.lower()


def _list(context: Context) -> Response:
    limit = number("limit", default=MOST, lowest=1, highest=MOST)
    with context.database.read() as session:
        found = images.listing(session, limit=limit, marker=request.args.get("marker") or None)
        items = [_shown(context, row) for row in found.rows]
    return reply({"items": items, "next": items[-1]["uuid"] if found.is_full else None})


def _create(context: Context) -> Response:
    body = only(read_object(), "name", "url", "sha256", "properties")
    expected = _sha256(body.get("sha256"))
    properties = body.get("properties") or {}
    if not isinstance(properties, dict):
        raise Invalid("properties is an object of names and values")
    url = body.get("url")
    if url is not None and not isinstance(url, str):
        raise Invalid("url is a text")

    def make(**more: Any) -> Image:
        with context.database.write() as session:
            row = images.create(
                session, name=str(body.get("name", "")), sha256=expected, properties=properties, actor=g.actor.name,
                now=context.clock(), **more,
            )  # fmt: skip
            if url is not None:
                context.images.expect_from(session, row, Address(url=url, promises=[]))
            return row

    if url is None:
        return reply(_shown(context, make()), 201)
    uuid = new_uuid()
    with context.imports.place(Import(uuid=uuid, host=Address(url=url, promises=[]).host)) as submit:
        row = make(uuid=uuid, holder=context.images.name)
        submit(lambda: context.images.fetch(uuid))
    return reply(_shown(context, row), 201)


def _shown(context: Context, row: Image) -> dict[str, Any]:
    return present.image(row, waits_for=context.imports.waits_for(row.uuid) if row.status in COMING else "")


def _show(context: Context, ref: str) -> Response:
    with context.database.read() as session:
        return reply(_shown(context, images.fetch(session, ref)))


def _upload(context: Context, ref: str) -> Response:
    """Stream the body to disk; checking and packing go on in the background while the row says `saving`."""
    expected = _sha256(request.headers.get("X-Checksum-Sha256"))
    with context.database.read() as session:
        row = images.fetch(session, ref)
    source = cast("BinaryIO", request.stream)
    promises = [("sha256", expected)] if expected else []
    with context.imports.place(Import(uuid=row.uuid, owner=row.owner or "")) as submit:
        context.images.receive(row.uuid, source, size=request.content_length, promises=promises)
        submit(lambda: context.images.make_ready(row.uuid))
    with context.database.read() as session:
        return reply(_shown(context, images.fetch(session, row.uuid)), 202)


def _schema(context: Context, ref: str) -> Response:
    """What this image's cloud-init understands; user-data is checked against it before a deploy."""
    schema = read_object()
    with context.database.read() as session:
        row = images.fetch(session, ref)
    context.images.keep_schema(row.uuid, schema)
    return nothing()


def _delete(context: Context, ref: str) -> Response:
    with context.database.write() as session:
        row = images.fetch(session, ref)
        images.delete(session, row, actor=g.actor.name, now=context.clock())
    context.imports.cancel(row.uuid)
    context.images.forget(row.uuid)
    return nothing()
