"""Steps as people write them: of deploy templates {interface, step, args, priority}, of runbooks {…, order}."""

from typing import Any

import orjson

from appliance.domain.errors import Invalid

MAX_STEPS = 100
MAX_ARGS_BYTES = 32 * 1024
_LONGEST = 255
DEPLOY_INTERFACES = frozenset({"bios", "deploy", "firmware", "management", "power", "raid"})
CLEAN_INTERFACES = DEPLOY_INTERFACES | {"network", "vendor"}
HIGHEST = 2**31 - 1


def template_steps(value: Any) -> list[dict[str, Any]]:
    """At least one step; a step of the same interface and name only once, unless its priority differs by purpose."""
    steps = _steps(value, number="priority", interfaces=DEPLOY_INTERFACES, needs_args=True)
    seen: set[tuple[str, str]] = set()
    for item in steps:
        key = item["interface"], item["step"]
        if key in seen:
            raise Invalid(
                f"Duplicate deploy steps. Step {item['step']} of interface {item['interface']} is there twice."
            )
        seen.add(key)
    return steps


def runbook_steps(value: Any) -> list[dict[str, Any]]:
    """At least one step; each its own place in the order."""
    steps = _steps(value, number="order", interfaces=CLEAN_INTERFACES, needs_args=False)
    seen: set[int] = set()
    for item in steps:
        if item["order"] in seen:
            raise Invalid(f"Duplicate steps: the order {item['order']} is there twice.")
        seen.add(item["order"])
    return sorted(steps, key=lambda item: item["order"])


def _steps(value: Any, *, number: str, interfaces: frozenset[str], needs_args: bool) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_STEPS:
        raise Invalid(f"steps is a list of 1 to {MAX_STEPS} steps")
    return [_step(item, number, interfaces, needs_args=needs_args) for item in value]


def _step(item: Any, number: str, interfaces: frozenset[str], *, needs_args: bool) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise Invalid("a step is an object")
    required = {"interface", "step", number, *({"args"} if needs_args else ())}
    if missing := sorted(required - set(item)):
        raise Invalid(f"steps: '{missing[0]}' is a required property")
    if unknown := sorted(str(key)[:64] for key in set(item) - required - {"args"}):
        raise Invalid(f"steps: Additional properties are not allowed ('{unknown[0]}' was unexpected)")
    if not isinstance(item["interface"], str) or item["interface"] not in interfaces:
        raise Invalid(f"steps: {str(item['interface'])[:40]!r} is not one of {sorted(interfaces)}")
    name = item["step"]
    if not isinstance(name, str) or not 1 <= len(name) <= _LONGEST or not name.isprintable():
        raise Invalid("steps: step is the name of a step")
    return {
        "interface": item["interface"], "step": name, "args": _args(item.get("args", {})),
        number: _number(item[number], number),
    }  # fmt: skip


def _args(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or len(orjson.dumps(value)) > MAX_ARGS_BYTES:
        raise Invalid(f"steps: args is an object of at most {MAX_ARGS_BYTES} bytes")
    return value


def _number(value: Any, name: str) -> int:
    """A whole number, or the same as a text of digits."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 10:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= HIGHEST:
        raise Invalid(f"steps: {name} is a whole number from 0")
    return value
