"""Metadata definitions as the wire has them; what has no value is left out."""

from collections.abc import Mapping, Sequence
from typing import Any

from appliance.http.glance.present import stamp
from appliance.models.metadef import Dated, MetadefNamespace, MetadefObject, MetadefProperty
from appliance.services.metadef_parts import Tie

NAMESPACES = "/v2/metadefs/namespaces"
Shown = dict[str, Any]


def _dates(row: Dated) -> Shown:
    return {"created_at": stamp(row.created_at), "updated_at": stamp(row.updated_at)}


def _filled(values: Mapping[str, Any]) -> Shown:
    return {name: value for name, value in values.items() if value is not None}


def namespace(row: MetadefNamespace, ties: Sequence[Tie]) -> Shown:
    shown = {
        "namespace": row.name, "display_name": row.display_name, "description": row.description,
        "visibility": row.visibility, "protected": row.is_protected, "owner": row.owner,
        "self": f"{NAMESPACES}/{row.name}", "schema": "/v2/schemas/metadefs/namespace", **_dates(row),
    }  # fmt: skip
    if ties:
        shown["resource_type_associations"] = [association(*tie) for tie in ties]
    return _filled(shown)


def association(row: Any, name: str) -> Shown:
    return _filled({"name": name, "prefix": row.prefix, "properties_target": row.properties_target, **_dates(row)})


def named(row: Any) -> Shown:
    """A tag, or a kind of thing."""
    return {"name": row.name, **_dates(row)}


def object_(within: MetadefNamespace, row: MetadefObject, prefix: str = "") -> Shown:
    return _filled({
        "name": row.name, "description": row.description, "required": [prefix + name for name in row.required],
        "properties": {prefix + name: definition for name, definition in row.properties.items()},
        "self": f"{NAMESPACES}/{within.name}/objects/{row.name}", "schema": "/v2/schemas/metadefs/object",
        **_dates(row),
    })  # fmt: skip


def property_(row: MetadefProperty) -> Shown:
    return {**row.definition, "name": row.name}


def properties(rows: Sequence[MetadefProperty], prefix: str = "") -> Shown:
    return {prefix + row.name: row.definition for row in rows}
