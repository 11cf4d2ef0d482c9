"""Conditions of inspection rules: {op, args, loop, multiple}. An operator with `!` in front answers the opposite.

Pure: values in, yes or no out. What is missing in the inventory fulfils `is-none` and `is-empty` and nothing else.
"""

import ipaddress
import itertools
from collections.abc import Callable, Mapping
from typing import Any

from appliance.domain.errors import Invalid
from appliance.domain.patterns import MAX_TEXT, Pattern
from appliance.domain.rule_values import MISSING, filled

MAX_LOOP = 256


class CannotTell(Exception):
    """A condition met a value that it cannot judge; the text says which."""


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value) if not isinstance(value, str) or len(value) <= 40 else None
    except (ValueError, OverflowError):
        return None


def _pair(left: Any, right: Any, *, as_text: bool) -> tuple[Any, Any]:
    """Two values made alike: a number and a text that reads as one are compared as numbers, else as texts."""
    if as_text:
        return str(left), str(right)
    if type(left) is type(right) or isinstance(left, dict | list) or isinstance(right, dict | list):
        return left, right
    numbers = _number(left), _number(right)
    if None not in numbers:
        return numbers
    return str(left), str(right)


def _in_order(holds: Callable[[Any, Any], bool]) -> Callable[..., bool]:
    def check(values: Any, force_strings: object = None) -> bool:
        if not isinstance(values, list):
            raise CannotTell("values is a list")
        if any(value is MISSING for value in values):
            return False
        pairs = itertools.pairwise(values)
        try:
            return all(holds(*_pair(left, right, as_text=force_strings is True)) for left, right in pairs)
        except TypeError as cause:
            raise CannotTell("values of these types have no order") from cause

    return check


def _in_net(address: Any, subnet: Any) -> bool:
    if address is MISSING or address is None:
        return False
    try:
        return ipaddress.ip_address(str(address)[:64]) in ipaddress.ip_network(str(subnet)[:64], strict=False)
    except ValueError as cause:
        raise CannotTell("address or subnet is none") from cause


def _is_true(value: Any) -> bool:
    if isinstance(value, str):
        return value.lower() in {"yes", "true"}
    return isinstance(value, bool | int | float) and bool(value)


def _is_false(value: Any) -> bool:
    if isinstance(value, str):
        return value.lower() in {"no", "false"}
    return value is None or (isinstance(value, bool | int | float) and not value)


def _is_empty(value: Any) -> bool:
    return value is MISSING or value is None or value in ("", "None", [], {}, "[]", "{}")


def _one_of(value: Any, values: Any = None) -> bool:
    if not isinstance(values, list):
        raise CannotTell("values is a list")
    return value is not MISSING and any(
        _pair(value, one, as_text=False)[0] == _pair(value, one, as_text=False)[1] for one in values
    )


def _matches(value: Any, regex: Any) -> bool:
    return value is not MISSING and _pattern(regex).fits_from_start(str(value)[:MAX_TEXT])


def _contains(value: Any, regex: Any) -> bool:
    return value is not MISSING and _pattern(regex).found_in(str(value)[:MAX_TEXT])


def _pattern(regex: Any) -> Pattern:
    try:
        return Pattern(str(regex))
    except Invalid as cause:
        raise CannotTell(cause.message) from cause


OPERATORS: Mapping[str, tuple[Callable[..., bool], tuple[str, ...], tuple[str, ...]]] = {
    "eq": (_in_order(lambda a, b: bool(a == b)), ("values",), ("force_strings",)),
    "lt": (_in_order(lambda a, b: bool(a < b)), ("values",), ("force_strings",)),
    "gt": (_in_order(lambda a, b: bool(a > b)), ("values",), ("force_strings",)),
    "is-empty": (_is_empty, ("value",), ()),
    "in-net": (_in_net, ("address", "subnet"), ()),
    "matches": (_matches, ("value", "regex"), ()),
    "contains": (_contains, ("value", "regex"), ()),
    "one-of": (_one_of, ("value",), ("values",)),
    "is-none": (lambda value: value is None or value is MISSING, ("value",), ()),
    "is-true": (_is_true, ("value",), ()),
    "is-false": (_is_false, ("value",), ()),
}
"""Operator -> (what it does, the arguments it needs, those it takes as well)."""


def holds(condition: Mapping[str, Any], scope: Mapping[str, Any], *, secrets: bool) -> bool:
    """Does this condition hold? Raises CannotTell."""
    loop = condition.get("loop")
    if not loop:
        return _once(condition, scope, secrets=secrets)
    items = loop if isinstance(loop, list) else [loop]
    answers = [_once(condition, {**scope, "item": item}, secrets=secrets) for item in items[:MAX_LOOP]]
    multiple = condition.get("multiple") or "any"
    if multiple == "all":
        return all(answers)
    if multiple == "last":
        return answers[-1]
    return any(answers)  # `any`, and `first`: the first that holds


def _once(condition: Mapping[str, Any], scope: Mapping[str, Any], *, secrets: bool) -> bool:
    name = condition["op"]
    check, needed, optional = OPERATORS[name.removeprefix("!").strip()]
    given = named(condition.get("args") or {}, needed, optional)
    arguments = {
        key: value if key == "regex" else filled(value, scope, secrets=secrets) for key, value in given.items()
    }
    return check(**arguments) is not name.startswith("!")


def named(args: Any, needed: tuple[str, ...], optional: tuple[str, ...]) -> dict[str, Any]:
    """Arguments by name; a list gives them in order. Raises Invalid when some are missing or unknown."""
    if isinstance(args, list):
        if len(args) > len(needed) + len(optional):
            raise Invalid(f"at most {len(needed) + len(optional)} arguments: {', '.join((*needed, *optional))}")
        args = dict(zip((*needed, *optional), args, strict=False))
    if not isinstance(args, dict):
        raise Invalid("args must be either a list or dictionary")
    if missing := [name for name in needed if name not in args]:
        raise Invalid(f"missing required argument(s): {', '.join(missing)}")
    if unexpected := sorted(str(name)[:64] for name in set(args) - set(needed) - set(optional)):
        raise Invalid(f"unexpected argument(s): {', '.join(unexpected)}")
    return args
