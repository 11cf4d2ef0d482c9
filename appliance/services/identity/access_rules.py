"""Which requests an application credential with access rules may make. Pure.

A rule names a service's type, a method and a path below that service, in which `*` and `{name}` stand for one segment
and `**` for everything that follows.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

from appliance.services.identity.bearers import Allowed

MAX_PATH = 225


def permits(rules: Iterable[Allowed], *, service: str, method: str, path: str) -> bool:
    """Does any rule fit the request?"""
    return any(
        rule.service == service and rule.method == method and _pattern(rule.path).fullmatch(path) is not None
        for rule in rules
    )


@lru_cache(maxsize=256)
def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*|\*|\{[^{}/]*\})", path[:MAX_PATH])
    return re.compile("".join(_meaning(part) for part in parts))


def _meaning(part: str) -> str:
    if part == "**":
        return ".*"
    if part == "*" or (part.startswith("{") and part.endswith("}")):
        return "[^/]+"
    return re.escape(part)
