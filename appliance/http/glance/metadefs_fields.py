"""What bodies about metadata definitions may hold. The one list: schemas, checks and columns are made of it."""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from appliance.domain.errors import Forbidden, Invalid
from appliance.http.json_body import read_value

Schema = Mapping[str, Any]

LONGEST_NAME, LONGEST_TEXT, MOST_ITEMS = 80, 4096, 500
TYPES = ("array", "boolean", "integer", "number", "object", "string")
_NAME: Schema = {"type": "string", "maxLength": LONGEST_NAME}
_TEXT: Schema = {"type": "string", "maxLength": LONGEST_TEXT}
_TRUTH: Schema = {"type": "boolean"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_ANY_ARRAY: Schema = {"type": "array", "maxItems": MOST_ITEMS}
_TEXTS: Schema = {"type": "array", "items": {"type": "string"}, "maxItems": MOST_ITEMS}
_NAMES: Schema = {**_TEXTS, "uniqueItems": True}
_KIND: Schema = {"type": "string", "enum": list(TYPES)}


def _object(properties: Mapping[str, Schema], *required: str) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def _array(item: Schema) -> Schema:
    return {"type": "array", "items": item, "maxItems": MOST_ITEMS}


_DEFINITION: Mapping[str, Schema] = {
    "name": _NAME, "title": _TEXT, "description": _TEXT, "type": _KIND, "operators": _TEXTS, "required": _NAMES,
    "minimum": {"type": "number"}, "maximum": {"type": "number"}, "minLength": _COUNT, "maxLength": _COUNT,
    "pattern": _TEXT, "enum": _ANY_ARRAY, "readonly": _TRUTH, "default": {},
    "items": _object({"type": _KIND, "enum": _ANY_ARRAY}), "minItems": _COUNT, "maxItems": _COUNT,
    "uniqueItems": _TRUTH, "additionalItems": _TRUTH,
}  # fmt: skip
IN_ANOTHER: Schema = _object(_DEFINITION, "title", "type")
"""A property whose name stands beside it."""
PROPERTY: Schema = _object(_DEFINITION, "name", "title", "type")
_PROPERTIES: Schema = {"type": "object", "additionalProperties": IN_ANOTHER, "maxProperties": MOST_ITEMS}
OBJECT: Schema = _object({"name": _NAME, "description": _TEXT, "required": _NAMES, "properties": _PROPERTIES}, "name")
TAG: Schema = _object({"name": _NAME}, "name")
TAGS: Schema = _object({"tags": _array(TAG)}, "tags")
ASSOCIATION: Schema = _object({"name": _NAME, "prefix": _NAME, "properties_target": _NAME}, "name")
NAMESPACE: Schema = _object(
    {
        "namespace": _NAME, "display_name": _NAME, "description": {"type": "string", "maxLength": 500},
        "visibility": {"type": "string", "enum": ["public", "private"]}, "protected": _TRUTH,
        "owner": {"type": "string", "maxLength": 255}, "resource_type_associations": _array(ASSOCIATION),
        "properties": _PROPERTIES, "objects": _array(OBJECT), "tags": _array(TAG),
    },
    "namespace",
)  # fmt: skip
READ_ONLY = ("self", "schema", "created_at", "updated_at")
COLUMNS = {"namespace": "name", "display_name": "display_name", "description": "description",
           "visibility": "visibility", "protected": "is_protected", "owner": "owner"}  # fmt: skip


def body(schema: Schema, what: str) -> dict[str, Any]:
    """The request's object, when it is as the schema says. Raises Invalid, Forbidden, TooLarge."""
    value = read_value()
    if value is None:
        raise Invalid("Body expected in request.")
    if isinstance(value, dict):
        for name in READ_ONLY:
            if name in value:
                raise Forbidden(f"Attribute '{name}' is read-only.")
    check(schema, value, what)
    found: dict[str, Any] = value
    return found


def name(value: str) -> str:
    """One that comes in the path."""
    check(_NAME, value, "name")
    return addressable(value)


def addressable(value: str) -> str:
    """A name that the path of an address can end with."""
    if not value or "/" in value or any(unicodedata.category(one) in ("Cc", "Cs") for one in value):
        raise Invalid(f"a name is not empty and has no slash and no control character: {value[:60]!r}")
    return value


def check(schema: Schema, value: Any, at: str) -> None:
    """The part of JSON schema that stands above. Raises Invalid."""
    wanted = schema.get("type")
    if wanted is None:
        return
    if not _IS[wanted](value):
        _refuse(at, value, f"is not of type {wanted!r}")
    if "enum" in schema and value not in schema["enum"]:
        _refuse(at, value, f"is not one of {schema['enum']}")
    if wanted == "string" and (len(value) > schema.get("maxLength", LONGEST_TEXT) or "\0" in value):
        _refuse(at, value, "is too long, or holds the character NUL")
    if wanted == "integer" and value < schema.get("minimum", value):
        _refuse(at, value, f"is less than {schema['minimum']}")
    if wanted == "array":
        _check_array(schema, value, at)
    if wanted == "object":
        _check_object(schema, value, at)


def _check_array(schema: Schema, value: Sequence[Any], at: str) -> None:
    if len(value) > schema["maxItems"]:
        _refuse(at, f"{len(value)} items", f"are more than {schema['maxItems']}")
    for item in value:
        check(schema.get("items", {}), item, at)
    if schema.get("uniqueItems") and len(set(value)) < len(value):
        _refuse(at, value, "has items that are the same")


def _check_object(schema: Schema, value: Mapping[str, Any], at: str) -> None:
    known, others = schema.get("properties", {}), schema["additionalProperties"]
    if len(value) > schema.get("maxProperties", len(value)):
        _refuse(at, f"{len(value)} properties", f"are more than {schema['maxProperties']}")
    for key in schema.get("required", ()):
        if key not in value:
            _refuse(at, key, "is a required property")
    for key, item in value.items():
        if key in known:
            check(known[key], item, key)
        elif others is False:
            _refuse(at, key, "is an additional property, and none are allowed")
        else:
            check(_NAME, key, at)
            check(others, item, key)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_IS: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": _is_number,
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def _refuse(at: str, value: Any, reason: str) -> None:
    raise Invalid(f"Provided object does not match schema: {str(value)[:60]!r} {reason}", why=f"at {at[:60]!r}")
