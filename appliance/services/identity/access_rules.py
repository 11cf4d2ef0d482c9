"""Which requests an application credential with access rules may make. Pure.

A rule names a service's type, a method and a path below that service, in which `*` and `{name}` stand for one segment
and `**` for everything that follows.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from appliance.services.identity.bearers import Allowed

MAX_PATH = 225


_MAX_ASKED = 1024
"""No route of ours has a longer path."""
_NAMED = r"\{[^{}/]*\}"


def permits(rules: Iterable[Allowed], *, service: str, method: str, path: str) -> bool:
    """Does any rule fit the request?"""
    return len(path) <= _MAX_ASKED and any(
        rule.service == service and rule.method == method and _fits(_read(rule.path), path) for rule in rules
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """Bit n of a mask is about part n. rest: parts that are `**`; segment: `*` and `{name}`; letters: by character."""

    count: int
    rest: int
    segment: int
    letters: Mapping[str, int]


@lru_cache(maxsize=256)
def _read(path: str) -> _Rule:
    count = rest = segment = 0
    letters: dict[str, int] = {}
    for part in re.split(rf"((?:\*\*)+|\*|{_NAMED})", path[:MAX_PATH]):
        if part.startswith("**"):
            rest |= 1 << count
            count += 1
        elif part == "*" or re.fullmatch(_NAMED, part):
            segment |= 1 << count
            count += 1
        else:
            for char in part:
                letters[char] = letters.get(char, 0) | 1 << count
                count += 1
    return _Rule(count=count, rest=rest, segment=segment, letters=letters)


def _fits(rule: _Rule, path: str) -> bool:
    """All ways at once, one character after the other: a rule is anybody's, and a regular expression, which goes back,
    could be made to take for ever. Bit n of `ways`: what was read fits the parts before n.
    """
    ways = 1 | (1 & rule.rest) << 1
    for char in path:
        inside = 0 if char == "/" else ways & rule.segment
        ways = (ways & rule.rest) | (ways & rule.letters.get(char, 0)) << 1 | inside | inside << 1
        ways |= (ways & rule.rest) << 1  # `**` stands for nothing too
    return bool(ways >> rule.count & 1)
