"""The wire's names for what an image is, and what each may hold. The one list; schemas, bodies, patches and filters are
made of it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from appliance.domain.errors import Forbidden, Invalid
from appliance.domain.images import Status, Visibility
from images.formats import CONTAINERS, CONTENT

UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
DISK_FORMATS = ("ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop", "gpt")
CONTAINER_FORMATS = ("ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed")
assert set(DISK_FORMATS) == set(CONTENT)
assert set(CONTAINER_FORMATS) == set(CONTAINERS)
HIGHEST = 2**31 - 1
OURS = "rackwright_"
RESERVED = ("location", "deleted", "deleted_at")
RESERVED_BEGINNINGS = ("os_glance", OURS)
READ_ONLY = ("created_at", "updated_at", "status", "checksum", "size", "virtual_size", "direct_url", "self", "file",
             "schema", "stores", "os_hash_algo", "os_hash_value")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """column: of models.image.Image. kind: the JSON type. is_nullable: null is a value too. says: for people."""

    column: str
    kind: type
    says: str
    is_nullable: bool = False
    words: tuple[str, ...] = ()


WRITABLE: Mapping[str, Field] = {
    "name": Field(column="name", kind=str, is_nullable=True, says="Descriptive name for the image"),
    "visibility": Field(
        column="visibility", kind=str, words=tuple(item.value for item in Visibility), says="Scope of accessibility"
    ),
    "protected": Field(column="is_protected", kind=bool, says="If true, image will not be deletable."),
    "os_hidden": Field(column="is_hidden", kind=bool, says="If true, image is not in default lists."),
    "owner": Field(column="owner", kind=str, is_nullable=True, says="Owner of the image"),
    "min_disk": Field(column="min_disk", kind=int, says="Disk space (in GB) required to boot image."),
    "min_ram": Field(column="min_ram", kind=int, says="Amount of ram (in MB) required to boot image."),
    "disk_format": Field(
        column="disk_format", kind=str, is_nullable=True, words=DISK_FORMATS, says="Format of the disk"
    ),
    "container_format": Field(
        column="container_format", kind=str, is_nullable=True, words=CONTAINER_FORMATS, says="Format of the container"
    ),
}
STATUSES = (*(item.value for item in Status), "deleted", "pending_delete")


def refuse_reserved(name: str, *, read_only: tuple[str, ...] = READ_ONLY) -> None:
    if name in read_only:
        raise Forbidden(f"Attribute '{name}' is read-only.")
    if name in RESERVED or name.startswith(RESERVED_BEGINNINGS):
        raise Forbidden(f"Attribute '{name}' is reserved.")


def checked(name: str, value: Any) -> Any:
    """A value for a writable field, or for a property, which is a text. Raises Invalid."""
    field = WRITABLE.get(name)
    if isinstance(value, str) and "\0" in value:
        _mismatch(name, value, "holds the character NUL")
    if field is None:
        return value if isinstance(value, str) else _mismatch(name, value, "is not of type 'string'")
    if value is None and field.is_nullable:
        return None
    if type(value) is not field.kind:
        _mismatch(name, value, f"is not of type {_TYPES[field.kind]!r}")
    if field.words and value not in field.words:
        _mismatch(name, value, f"is not one of {list(field.words)}")
    if field.kind is str and len(value) > 255:
        _mismatch(name, value, "is too long")
    if field.kind is int and not 0 <= value <= HIGHEST:
        _mismatch(name, value, f"is not from 0 to {HIGHEST}")
    return value


def tags(value: Any) -> list[str]:
    if not isinstance(value, list) or any(not isinstance(item, str) for item in value):
        _mismatch("tags", value, "is not an array of strings")
    if any(not 1 <= len(item) <= 255 or "\0" in item for item in value):
        _mismatch("tags", value, "holds a tag that is too long or empty, or the character NUL")
    return list(value)


_TYPES = {str: "string", bool: "boolean", int: "integer"}


def _mismatch(name: str, value: Any, reason: str) -> Any:
    raise Invalid(f"Provided object does not match schema 'image': {str(value)[:60]!r} {reason}", why=f"at {name!r}")
