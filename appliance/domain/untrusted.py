"""What machines say, before it is kept or shown: bounded in size and depth, without control characters.

Terminals obey control characters, and PostgreSQL refuses NUL; so neither gets further than here.
"""

from typing import Any

from appliance.domain.errors import Invalid

MAX_TEXT = 1000
MAX_ITEMS = 256
MAX_DEPTH = 6


def text(value: object, limit: int = MAX_TEXT) -> str:
    """At most `limit` printable characters of it; nothing for None."""
    return "" if value is None else "".join(c for c in str(value)[:limit] if c.isprintable())


def tree(value: Any, depth: int = MAX_DEPTH) -> Any:
    """A JSON value with every text and every count bounded. Raises Invalid when it is nested deeper than `depth`."""
    if depth == 0:
        raise Invalid("a machine's report is nested too deeply")
    if isinstance(value, str):
        return text(value)
    if isinstance(value, list):
        return [tree(item, depth - 1) for item in value[:MAX_ITEMS]]
    if isinstance(value, dict):
        return {text(key, 64): tree(item, depth - 1) for key, item in list(value.items())[:MAX_ITEMS]}
    if value is None or isinstance(value, bool | int | float):
        return value
    raise Invalid("a machine's report holds a value that is not JSON")
