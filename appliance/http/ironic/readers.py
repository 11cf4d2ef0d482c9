"""Values of attributes as clients send them: each reader takes the attribute's name and the value, and gives ours.

What does not fit is refused in the words of the field's JSON schemas. Sizes are bounded here.
"""

import re
from collections.abc import Callable
from typing import Any

import orjson

from appliance.domain import names
from appliance.domain.errors import Invalid
from appliance.http.ironic.errors import BadRequest
from appliance.services.belonging import is_uuid

Reader = Callable[[str, Any], Any]

MAX_OBJECT = 64 * 1024
_NAME = re.compile(r"[A-Za-z0-9._~-]{1,255}\Z")
_TRUE, _FALSE = {"1", "t", "true", "on", "y", "yes"}, {"0", "f", "false", "off", "n", "no"}


def text(limit: int, *, least: int = 0, is_nullable: bool = True) -> Reader:
    """A text of at most `limit` characters; None where that is allowed."""

    def read(name: str, value: Any) -> str | None:
        if value is None and is_nullable:
            return None
        if not isinstance(value, str):
            raise BadRequest(f"Schema error for {name}: {_shown(value)} is not of type 'string'")
        if len(value) > limit:
            raise BadRequest(f"Schema error for {name}: the text is longer than {limit} characters")
        if len(value) < least:
            raise BadRequest(f"Schema error for {name}: a non-empty value is required")
        if "\0" in value:
            raise BadRequest(f"Schema error for {name}: the text holds the character NUL")
        return value

    return read


def logical_name(name: str, value: Any) -> str | None:
    """Unreserved characters of RFC 3986 §2.3; not the form of a UUID, for it would hide the thing with that UUID."""
    if value is None:
        return None
    if not isinstance(value, str) or not _NAME.match(value) or is_uuid(value):
        raise BadRequest(f"{name} {_shown(value)} is invalid: 1 to 255 letters, digits and . _ ~ -, and not a UUID")
    return value


def uuid(name: str, value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not is_uuid(value):
        raise BadRequest(f"Expected UUID for {name}: {_shown(value)}")
    return value.lower()


def ident(name: str, value: Any) -> str:
    """A UUID or a logical name, of something else. Clients send either, whatever the attribute is called."""
    if isinstance(value, str) and (is_uuid(value) or _NAME.match(value)):
        return value
    raise BadRequest(f"Expected a logical name or UUID for {name}: {_shown(value)}")


def uuid_of_path(name: str, value: str) -> str:
    """The UUID of a thing that has no name to be found by. Raises BadRequest."""
    if not is_uuid(value):
        raise BadRequest(f"Expected UUID for {name}: {value[:255]}")
    return value


def ident_of_path(value: str) -> str:
    """A UUID or a logical name. Raises BadRequest for what can be neither."""
    if not (is_uuid(value) or _NAME.match(value)):
        raise BadRequest(f"Expected a logical name or UUID but received {value[:255]}.")
    return value


def mac(name: str, value: Any) -> str | None:
    """An Ethernet address, canonical."""
    if value is None:
        return None
    try:
        return names.ethernet(value if isinstance(value, str) else "")
    except Invalid as cause:
        raise BadRequest(f"Expected a MAC address for {name} but received {_shown(value)}.") from cause


def required_mac(name: str, value: Any) -> str:
    found = mac(name, value)
    if found is None:
        raise BadRequest(f"Schema error for {name}: None is not of type 'string'")
    return found


def flag(*, otherwise: bool) -> Reader:
    """A boolean, or a word for one; None stands for `otherwise`."""

    def read(name: str, value: Any) -> bool:
        if value is None:
            return otherwise
        if isinstance(value, bool):
            return value
        word = value.strip().lower() if isinstance(value, str) and len(value) < 8 else ""
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
        raise BadRequest(f"Unrecognized value {_shown(value)} for {name}, acceptable values are: true, false")

    return read


def mapping(name: str, value: Any) -> dict[str, Any]:
    """An object of at most MAX_OBJECT bytes; None is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadRequest(f"Schema error for {name}: the {type(value).__name__} is not of type 'object'")  # maybe secret
    if len(orjson.dumps(value)) > MAX_OBJECT:
        raise BadRequest(f"Schema error for {name}: the object is larger than {MAX_OBJECT} bytes")
    return value


def number(low: int, high: int) -> Reader:
    def read(name: str, value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise BadRequest(f"Schema error for {name}: {_shown(value)} is not a whole number from {low} to {high}")
        return value

    return read


def checked(check: Callable[[Any], Any]) -> Reader:
    """A grammar of the domain, which names the fault itself."""

    def read(name: str, value: Any) -> Any:
        try:
            return check(value)
        except Invalid as cause:
            raise BadRequest(f"Schema error for {name}: {cause.message}", why=cause.why) from cause

    return read


def _shown(value: Any) -> str:
    return repr(value)[:80]
