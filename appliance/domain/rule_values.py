"""Values inside inspection rules: `{inventory[cpu][count]}` stands for what is found there.

Only plain data is walked: keys of objects and places of lists, never attributes of anything; so nothing that a rule
says can reach into the program.
"""

import re
from collections.abc import Mapping
from typing import Any

MAX_TEXT = 4096
_PLACE = re.compile(r"\{([a-z_]{1,32})((?:\.[A-Za-z0-9_-]{1,64}|\[[^\[\]{}]{1,64}\]){0,10})\}")
_PART = re.compile(r"\.([A-Za-z0-9_-]+)|\[([^\[\]{}]+)\]")
_SECRET = frozenset({"password", "auth_token", "bmc_password"})


class _Missing:
    """Nothing is there."""

    def __repr__(self) -> str:
        return "nothing"


MISSING = _Missing()


def filled(value: Any, scope: Mapping[str, Any], *, secrets: bool) -> Any:
    """The value with each place filled in. A text that is one place alone becomes what is found, of whatever type.

    secrets: may passwords be read? Else they are masked. A place where nothing is gives MISSING, or stays as text when
    there is more text around it.
    """
    if isinstance(value, str):
        return _text(value, scope, secrets=secrets)
    if isinstance(value, list):
        return [filled(item, scope, secrets=secrets) for item in value]
    if isinstance(value, dict):
        return {
            str(_text(key, scope, secrets=secrets)): filled(item, scope, secrets=secrets) for key, item in value.items()
        }
    return value


def _text(text: str, scope: Mapping[str, Any], *, secrets: bool) -> Any:
    whole = _PLACE.fullmatch(text)
    if whole is not None:
        return _found(whole, scope, secrets=secrets)

    def put(place: re.Match[str]) -> str:
        value = _found(place, scope, secrets=secrets)
        return place[0] if value is MISSING else str(value)[:MAX_TEXT]

    return _PLACE.sub(put, text)[:MAX_TEXT]


def _found(place: re.Match[str], scope: Mapping[str, Any], *, secrets: bool) -> Any:
    value: Any = scope.get(place[1], MISSING)
    for part in _PART.finditer(place[2]):
        key = part[1] or part[2]
        value = child(value, key)
        if key in _SECRET and not secrets and value is not MISSING:
            return "***"
    return value


def child(value: Any, key: str) -> Any:
    """What an object or a list holds at this key; MISSING when nothing is there."""
    if isinstance(value, dict):
        return value.get(key, MISSING)
    if isinstance(value, list) and key.isascii() and key.isdigit() and len(key) < 6 and int(key) < len(value):
        return value[int(key)]
    return MISSING
