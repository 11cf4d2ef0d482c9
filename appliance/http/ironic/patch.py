"""JSON-patch as the clients of this API send it: RFC 6902 `add`, `replace` and `remove` on one resource.

A patch never adds a new attribute to the root of a resource, has at most MOST operations, and paths of at most DEEPEST
parts. `move`, `copy` and `test` are refused, as the field does: a `test` would tell what a masked secret is. Our own
and small: what the published library would save is less than what we would have to bound around it.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from appliance.http.ironic.errors import BadRequest

MOST = 100
DEEPEST = 12
LARGEST = 1 << 20
"""Octets of a resource that a patch makes larger, as of a body: or one grows by patches without an end."""
OPERATIONS = ("add", "replace", "remove")
_LONGEST = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """parts: of the path, unescaped (RFC 6901 §4); the first one names the attribute."""

    op: str
    path: str
    parts: tuple[str, ...]
    value: Any = None

    @property
    def field(self) -> str:
        return self.parts[0]


def parse(body: Any, *, escapes: bool = True) -> list[Operation]:
    """The operations of a request's JSON. Raises BadRequest.

    escapes: whether `~0` and `~1` stand for `~` and `/` (since 1.98).
    """
    if not isinstance(body, list):
        raise BadRequest("Schema error for patch: the body is a list of operations")
    if len(body) > MOST:
        raise BadRequest(f"Schema error for patch: at most {MOST} operations")
    return [_operation(item, escapes=escapes) for item in body]


def _operation(item: Any, *, escapes: bool) -> Operation:
    if not isinstance(item, dict) or not {"op", "path"} <= set(item) <= {"op", "path", "value"}:
        raise BadRequest("Schema error for patch: an operation has op, path and (but for remove) value")
    op, path = item["op"], item["path"]
    if op not in OPERATIONS:
        raise BadRequest(f"Schema error for patch: {str(op)[:40]!r} is not one of {list(OPERATIONS)}")
    if not isinstance(path, str) or not path.startswith("/") or len(path) > _LONGEST or path == "/":
        raise BadRequest(f"Schema error for patch: {str(path)[:80]!r} is not a path such as /extra/key")
    if op != "remove" and "value" not in item:
        raise BadRequest("Schema error for patch: 'value' is a required property")
    parts = path[1:].split("/")
    if len(parts) > DEEPEST or "" in parts:
        raise BadRequest(f"Schema error for patch: {path[:80]!r} is not a path of 1 to {DEEPEST} names")
    if escapes:
        parts = [part.replace("~1", "/").replace("~0", "~") for part in parts]
    return Operation(op=op, path=path, parts=tuple(parts), value=item.get("value"))


def apply(document: Mapping[str, Any], operations: list[Operation]) -> dict[str, Any]:
    """A changed copy. `document` holds each attribute that may be named. Raises BadRequest naming the operation."""
    changed = copy.deepcopy(dict(document))
    for one in operations:
        if one.op == "add" and len(one.parts) == 1 and one.field not in changed:
            raise BadRequest(f"Adding a new attribute ({one.path}) to the root of the resource is not allowed")
        try:
            _apply(changed, one)
        except (KeyError, IndexError, TypeError, ValueError) as cause:
            raise _failed(one, "the path does not lead to a value") from cause
    if LARGEST < _size(changed) > _size(document):
        raise BadRequest(f"the patched resource would be larger than {LARGEST} bytes")
    return changed


def _size(document: Mapping[str, Any]) -> int:
    return len(orjson.dumps(document, default=str))


def _failed(one: Operation, reason: str) -> BadRequest:
    """The value stays out of the sentence: it may be a password."""
    return BadRequest(f"Couldn't apply patch '{one.op} {one.path}'. Reason: {reason}")


def _apply(root: dict[str, Any], one: Operation) -> None:
    parent: Any = root
    for part in one.parts[:-1]:
        parent = _child(parent, part)
    if isinstance(parent, dict):
        _on_object(parent, one)
    elif isinstance(parent, list):
        _on_list(parent, one)
    else:
        raise TypeError


def _child(parent: Any, part: str) -> Any:
    if isinstance(parent, dict):
        return parent[part]
    if isinstance(parent, list):
        return parent[_index(part, len(parent) - 1)]
    raise TypeError


def _index(part: str, highest: int) -> int:
    """RFC 6901 §4: digits without a leading zero; never negative."""
    if not (part.isascii() and part.isdigit()) or len(part) > 9 or (len(part) > 1 and part[0] == "0"):
        raise ValueError
    if int(part) > highest:
        raise IndexError
    return int(part)


def _on_object(parent: dict[str, Any], one: Operation) -> None:
    key = one.parts[-1]
    if one.op == "add":
        parent[key] = copy.deepcopy(one.value)
        return
    if key not in parent:
        raise KeyError
    if one.op == "replace":
        parent[key] = copy.deepcopy(one.value)
    else:
        del parent[key]


def _on_list(parent: list[Any], one: Operation) -> None:
    last = one.parts[-1]
    if one.op == "add":
        parent.insert(len(parent) if last == "-" else _index(last, len(parent)), copy.deepcopy(one.value))
        return
    index = _index(last, len(parent) - 1)
    if one.op == "replace":
        parent[index] = copy.deepcopy(one.value)
    else:
        del parent[index]
