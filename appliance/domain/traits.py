"""Traits: what a machine can do, as one word: CUSTOM_…, or one of the public vocabulary (HW_…, COMPUTE_…)."""

import re
from typing import Any

from appliance.domain.errors import Invalid

MAX_TRAITS = 50
_TRAIT = re.compile(r"(CUSTOM|HW|COMPUTE|MISC|STORAGE|HOST|CPU|OWNER)_[A-Z0-9_]+\Z")
_LONGEST = 255


def trait(value: Any) -> str:
    """One trait. The public ones are told by their first word: the vocabulary grows faster than we release."""
    if not isinstance(value, str) or len(value) > _LONGEST or not _TRAIT.match(value):
        raise Invalid(
            f"{str(value)[:80]!r} is not a trait",
            why="a trait is CUSTOM_ (or HW_, COMPUTE_, STORAGE_, …) and capital letters, digits and _",
        )
    return value


def traits(value: Any) -> list[str]:
    """A list of traits, each once, in the order given."""
    if not isinstance(value, list) or len(value) > MAX_TRAITS:
        raise Invalid(f"traits is a list of at most {MAX_TRAITS} traits")
    return list(dict.fromkeys(trait(item) for item in value))
