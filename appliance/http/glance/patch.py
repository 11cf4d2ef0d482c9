"""JSON patches of images, in both forms that clients send. Parsed to changes here, applied by glance.images.

v2.1: [{"op": "replace", "path": "/name", "value": "x"}]; v2.0: [{"replace": "/name", "value": "x"}], where `add`
refuses what is there already.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from appliance.domain.errors import Forbidden, Invalid
from appliance.http.glance import fields

KINDS: Mapping[str, bool] = {
    "application/openstack-images-v2.1-json-patch": True,
    "application/openstack-images-v2.0-json-patch": False,
}
"""Content types; True: an `add` may overwrite."""
OPERATIONS = ("add", "remove", "replace")
MOST = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """op: one of OPERATIONS. name: of a field, of a property, or `tags`. may_overwrite: of an `add`."""

    op: str
    name: str
    value: Any = None
    may_overwrite: bool = True


def parse(body: Any, *, is_new_form: bool) -> Sequence[Change]:
    """Raises Invalid, Forbidden."""
    if not isinstance(body, list):
        raise Invalid("Request body must be a JSON array of operation objects.")
    if len(body) > MOST:
        raise Invalid(f"at most {MOST} operations in one request")
    return [_change(item, is_new_form=is_new_form) for item in body]


def _change(item: Any, *, is_new_form: bool) -> Change:
    if not isinstance(item, dict):
        raise Invalid("Operations must be JSON objects.")
    op, path = _new_form(item) if is_new_form else _old_form(item)
    name = _name(path)
    fields.refuse_reserved(name, read_only=(*fields.READ_ONLY, "id"))
    if op == "remove":
        return Change(op=op, name=name)
    if "value" not in item:
        raise Invalid(f'Operation "{op}" requires a member named "value".')
    value = item["value"]
    value = fields.tags(value) if name == "tags" else fields.checked(name, value)
    return Change(op=op, name=name, value=value, may_overwrite=is_new_form)


def _new_form(item: Mapping[str, Any]) -> tuple[str, Any]:
    op = item.get("op")
    if op is None:
        raise Invalid(f"Unable to find `op` in JSON Schema change. It must be one of: {', '.join(OPERATIONS)}.")
    if op not in OPERATIONS:
        raise Invalid(f"Invalid operation: `{str(op)[:60]}`. It must be one of: {', '.join(OPERATIONS)}.")
    if "path" not in item:
        raise Invalid("Unable to find 'path' in JSON Schema change")
    return op, item["path"]


def _old_form(item: Mapping[str, Any]) -> tuple[str, Any]:
    found = [op for op in OPERATIONS if op in item]
    if len(found) != 1:
        raise Invalid('Operation objects must contain exactly one member named "add", "remove", or "replace".')
    return found[0], item[found[0]]


def _name(pointer: Any) -> str:
    """The one name of a JSON pointer (RFC 6901). Nothing of an image lies deeper, but places, which nobody may set."""
    if not isinstance(pointer, str) or len(pointer) > 600 or not pointer.startswith("/"):
        raise Invalid(f'Pointer `{str(pointer)[:60]}` does not start with "/".')
    if re.search(r"~(?![01])", pointer):
        raise Invalid(f'Pointer `{pointer[:60]}` contains "~" not part of a recognized escape sequence.')
    parts = [part.replace("~1", "/").replace("~0", "~").strip() for part in pointer[1:].split("/")]
    if parts[0] == "locations":
        raise Forbidden("It's not allowed to update locations if locations are invisible.")
    if len(parts) != 1 or not parts[0]:
        raise Invalid(f"Invalid JSON pointer for this resource: '{pointer[:60]}'")
    return parts[0]
