"""/v2/schemas/metadefs: the form of metadata definitions, for clients that ask. Made of the one list of fields."""

from collections.abc import Mapping
from typing import Any

from flask import Response

from appliance.domain.errors import NotFound
from appliance.http.glance import metadefs_fields as fields
from appliance.http.json_body import reply

_DATE: Mapping[str, Any] = {"type": "string", "readOnly": True, "format": "date-time"}
_DATES = dict.fromkeys(("created_at", "updated_at"), _DATE)
_LINK: Mapping[str, Any] = {"type": "string", "readOnly": True}
_TEXT: Mapping[str, Any] = {"type": "string"}
_LINKS = dict.fromkeys(("self", "schema"), _LINK)


def _one(name: str, schema: fields.Schema, *more: Mapping[str, Any]) -> dict[str, Any]:
    properties = dict(schema["properties"])
    for shown in more:
        properties |= shown
    return {"name": name, "properties": properties, "required": schema["required"], "additionalProperties": False}


def _many(name: str, items: Mapping[str, Any]) -> dict[str, Any]:
    properties = {name: items, **dict.fromkeys(("first", "next", "schema"), _TEXT)}
    links = [{"rel": rel, "href": "{" + at + "}"} for rel, at in
             (("first", "first"), ("next", "next"), ("describedby", "schema"))]  # fmt: skip
    return {"name": name, "properties": properties, "links": links}


def _array(item: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item}


_NAMESPACE = _one("namespace", fields.NAMESPACE, _DATES, _LINKS)
_OBJECT = _one("object", fields.OBJECT, _DATES, _LINKS)
_TAG = _one("tag", fields.TAG, _DATES)
_TYPE = _one("resource_type_association", fields.ASSOCIATION, _DATES)
_UNNAMED = _one("property", fields.IN_ANOTHER)

ALL: Mapping[str, Mapping[str, Any]] = {
    "namespace": _NAMESPACE,
    "namespaces": _many("namespaces", _array(_NAMESPACE)),
    "object": _OBJECT,
    "objects": _many("objects", _array(_OBJECT)),
    "property": _one("property", fields.PROPERTY),
    "properties": _many("properties", {"type": "object", "additionalProperties": _UNNAMED}),
    "resource_type": _TYPE,
    "resource_types": _many("resource_type_associations", _array(_TYPE)),
    "tag": _TAG,
    "tags": _many("tags", _array(_TAG)),
}


def schema(name: str) -> Response:
    if name not in ALL:
        raise NotFound(f"no schema {name[:60]!r} of metadata definitions", why=f"there are {', '.join(ALL)}")
    return reply(ALL[name])
