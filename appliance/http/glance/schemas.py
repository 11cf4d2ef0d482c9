"""/v2/schemas: what clients may ask about the form of images, members and tasks. Made of the one list of fields."""

from collections.abc import Mapping
from typing import Any

from appliance.domain.images import MemberStatus
from appliance.http.glance.fields import STATUSES, UUID, WRITABLE, Field

Schema = dict[str, Any]
_ID = {"type": "string", "description": "An identifier for the image", "pattern": "^" + UUID.pattern[:-2] + "$"}
_KINDS = {str: "string", bool: "boolean", int: "integer"}


def _writable(field: Field) -> Schema:
    kind = _KINDS[field.kind]
    shown: Schema = {"type": ["null", kind] if field.is_nullable else kind, "description": field.says}
    if field.words:
        return shown | {"enum": [None, *field.words] if field.is_nullable else list(field.words)}
    return shown | {"maxLength": 255} if field.kind is str else shown


def _read_only(kind: Any, says: str, **more: Any) -> Schema:
    return {"type": kind, "readOnly": True, "description": says, **more}


def _image() -> Schema:
    text, number = ["null", "string"], ["null", "integer"]
    tag = {"type": "string", "maxLength": 255}
    properties = {
        "id": _ID,
        "status": _read_only("string", "Status of the image", enum=list(STATUSES)),
        "checksum": _read_only(text, "md5 hash of image contents.", maxLength=32),
        "os_hash_algo": _read_only(text, "Algorithm to calculate the os_hash_value", maxLength=64),
        "os_hash_value": _read_only(text, "Hexdigest of the image contents by os_hash_algo", maxLength=128),
        "size": _read_only(number, "Size of image file in bytes"),
        "virtual_size": _read_only(number, "Virtual size of image in bytes"),
        "created_at": _read_only("string", "Date and time of image registration"),
        "updated_at": _read_only("string", "Date and time of the last image modification"),
        "tags": {"type": "array", "description": "List of strings related to the image", "items": tag},
        "self": _read_only("string", "An image self url"),
        "file": _read_only("string", "An image file url"),
        "schema": _read_only("string", "An image schema url"),
        "stores": _read_only("string", "Store in which image data resides."),
    }
    properties |= {name: _writable(field) for name, field in WRITABLE.items()}
    links = [{"rel": rel, "href": href} for rel, href in
             (("self", "{self}"), ("enclosure", "{file}"), ("describedby", "{schema}"))]  # fmt: skip
    return {"name": "image", "properties": properties, "additionalProperties": {"type": "string"}, "links": links}


def _member() -> Schema:
    text = {"type": "string"}
    status = {"type": "string", "enum": [item.value for item in MemberStatus]}
    properties = {"member_id": text, "image_id": _ID, "status": status, "created_at": text, "updated_at": text,
                  "schema": {"type": "string", "readOnly": True}}  # fmt: skip
    return {"name": "member", "properties": properties, "additionalProperties": False}


def _task(*, is_whole: bool) -> Schema:
    text: Schema = {"type": "string"}
    thing: Schema = {"type": ["null", "object"]}
    properties: Schema = {
        "id": _ID | {"description": "An identifier for the task"},
        "type": {"type": "string", "enum": ["api_image_import"]},
        "status": {"type": "string", "enum": ["pending", "processing", "success", "failure"]},
        **dict.fromkeys(("owner", "image_id", "request_id", "user_id", "created_at", "updated_at"), text),
        "expires_at": {"type": ["null", "string"]},
        "self": text | {"readOnly": True},
        "schema": text | {"readOnly": True},
    }
    if is_whole:
        properties |= {"input": thing, "result": thing, "message": text}
    return {"name": "task", "properties": properties, "additionalProperties": False}


def _many(name: str, item: Schema, *, is_paged: bool = True) -> Schema:
    properties: Schema = {name: {"type": "array", "items": item}, "schema": {"type": "string"}}
    if not is_paged:
        return {"name": name, "properties": properties}
    properties |= {"first": {"type": "string"}, "next": {"type": "string"}}
    links = [{"rel": rel, "href": "{" + at + "}"} for rel, at in
             (("first", "first"), ("next", "next"), ("describedby", "schema"))]  # fmt: skip
    return {"name": name, "properties": properties, "links": links}


ALL: Mapping[str, Schema] = {
    "image": _image(),
    "images": _many("images", _image()),
    "member": _member(),
    "members": _many("members", _member(), is_paged=False),
    "task": _task(is_whole=True),
    "tasks": _many("tasks", _task(is_whole=False)),
}
