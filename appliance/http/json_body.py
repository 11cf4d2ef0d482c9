"""JSON in and out: sizes and depth are capped before anything is believed."""

import json
from datetime import datetime
from typing import Any

import orjson
from flask import Response, request

from appliance.domain.errors import Invalid, TooLarge

MAX_BODY = 1024 * 1024
MAX_DEPTH = 25


def reply(value: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(value, option=orjson.OPT_UTC_Z), status=status, mimetype="application/json")


def nothing() -> Response:
    return Response(status=204)


def read_object(limit: int = MAX_BODY) -> dict[str, Any]:
    """The request's JSON object. Raises TooLarge or Invalid; an empty body is an empty object."""
    value = read_value(limit)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Invalid("the request is a JSON object")
    return value


def read_value(limit: int = MAX_BODY) -> Any:
    """The request's JSON, whatever it is; an empty body is None. Raises TooLarge or Invalid."""
    if (request.content_length or 0) > limit:
        raise TooLarge(f"the request is larger than {limit} bytes")
    raw = request.stream.read(limit + 1)
    if len(raw) > limit:
        raise TooLarge(f"the request is larger than {limit} bytes")
    if not raw.strip():
        return None
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as cause:
        raise Invalid(f"the request is not JSON: {cause}") from cause
    _refuse_depth(value)
    if raw.count(b":") != orjson.dumps(value).count(b":") or b"\\u003" in raw:
        _refuse_twice(raw)
    return value


def _refuse_twice(raw: bytes) -> None:
    r"""Raises Invalid when an object names a key twice: whoever reads the request otherwise reads another request.

    The parser keeps the last of them and tells nobody, so who calls counts colons first: of a key that was dropped one
    is missing, unless a text hides one (as `\u003a`) and makes the counts worthless.
    """

    def once(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise Invalid(f"the request names {key[:64]!r} twice in one object")
            seen.add(key)

    json.loads(raw, object_pairs_hook=once, parse_int=len, parse_float=len)


def _refuse_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise Invalid(f"the request is nested more than {MAX_DEPTH} deep")


def only(body: dict[str, Any], *known: str) -> dict[str, Any]:
    """The body, when it holds no other keys than the known ones."""
    unknown = sorted(set(body) - set(known))
    if unknown:
        raise Invalid(f"unknown field {unknown[0]!r}", next_step=f"known fields: {', '.join(known)}")
    return body


def stamp(at: datetime | None) -> str | None:
    """ISO 8601 in UTC with `Z`, to the millisecond (RFC 3339)."""
    return None if at is None else at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def number(name: str, *, default: int, lowest: int, highest: int) -> int:
    """A whole number of the query string, refused outside its range."""
    text = request.args.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 12 or not lowest <= int(text) <= highest:
        raise Invalid(f"{name} is a number from {lowest} to {highest}")
    return int(text)
