"""Inspection rules: checked when they are written, run over what an inspection found.

Pure. What conditions and actions there are: rule_conditions, rule_actions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from appliance.domain.errors import Invalid
from appliance.domain.patterns import Pattern
from appliance.domain.rule_actions import ACTIONS, Refused, RuleFailed, Subject, refuse_path
from appliance.domain.rule_conditions import MAX_LOOP, OPERATORS, CannotTell, holds, named
from appliance.domain.rule_values import filled

PHASES = ("main",)
MAX_CONDITIONS = MAX_ACTIONS = 50
MAX_BYTES = 64 * 1024
MAX_RUNS = 5000
LEVELS = ("debug", "info", "warning", "error", "critical")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """uuid names the rule in sentences."""

    uuid: str
    conditions: Sequence[Mapping[str, Any]]
    actions: Sequence[Mapping[str, Any]]
    sensitive: bool = False


def conditions(value: Any) -> list[dict[str, Any]]:
    """Checked conditions. Raises Invalid saying which one is wrong, and why."""
    return [_condition(item) for item in _list(value, "conditions", MAX_CONDITIONS)]


def actions(value: Any) -> list[dict[str, Any]]:
    """Checked actions, at least one."""
    found = [_action(item) for item in _list(value, "actions", MAX_ACTIONS)]
    if not found:
        raise Invalid("actions should have at least one item")
    return found


def _list(value: Any, name: str, most: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > most or not all(isinstance(item, dict) for item in value):
        raise Invalid(f"{name} is a list of at most {most} objects")
    if len(orjson.dumps(value)) > MAX_BYTES:
        raise Invalid(f"{name} has at most {MAX_BYTES} bytes")
    return value


def _condition(item: dict[str, Any]) -> dict[str, Any]:
    _keys(item, {"op", "args", "loop", "multiple"})
    name = str(item["op"])
    operator = OPERATORS.get(name.removeprefix("!").strip())
    if operator is None:
        raise Invalid(f"Unsupported condition operator: {name[:64]}", why=f"there are {', '.join(OPERATORS)}")
    args = _arguments(item, name, operator[1], operator[2], "condition operator")
    if "regex" in args:
        Pattern(str(args["regex"]))
    if item.get("multiple") not in (None, "any", "all", "first", "last"):
        raise Invalid("multiple is 'any', 'all', 'first' or 'last'")
    return item


def _action(item: dict[str, Any]) -> dict[str, Any]:
    _keys(item, {"op", "args", "loop"})
    name = str(item["op"])
    action = ACTIONS.get(name)
    if action is None:
        raise Invalid(f"Unsupported action '{name[:64]}'.", why=f"there are {', '.join(ACTIONS)}")
    args = _arguments(item, name, action[1], action[2], "action operator")
    if "path" in args:
        refuse_path(name, args["path"])
    if "level" in args and str(args["level"]).lower() not in LEVELS:
        raise Invalid(f"Invalid log level: {str(args['level'])[:32]}. Choose from {', '.join(LEVELS)}")
    return item


def _keys(item: dict[str, Any], known: set[str]) -> None:
    if not isinstance(item.get("op"), str):
        raise Invalid("'op' is a required property")
    if unknown := sorted(str(key)[:64] for key in set(item) - known):
        raise Invalid(f"Additional properties are not allowed ('{unknown[0]}' was unexpected)")
    loop = item.get("loop")
    if loop is not None and (not isinstance(loop, list | dict) or len(loop) > MAX_LOOP):
        raise Invalid(f"loop is an object, or a list of at most {MAX_LOOP} items")


def _arguments(
    item: dict[str, Any], name: str, needed: tuple[str, ...], optional: tuple[str, ...], what: str
) -> dict[str, Any]:
    try:
        return named(item.get("args", {}), needed, optional)
    except Invalid as cause:
        raise Invalid(f"Invalid parameters for {what} {name}: {cause.message}") from cause


def run(rules: Sequence[Rule], subject: Subject) -> list[str]:
    """Apply the rules in their order; which ones applied. Raises RuleFailed: then the subject is of no use."""
    applied = []
    for rule in rules:
        try:
            if all(_holds(item, rule, subject) for item in rule.conditions):
                _act(rule, subject)
                applied.append(rule.uuid)
        except Refused:
            raise
        except (RuleFailed, CannotTell, Invalid) as cause:
            raise _failure(rule, cause) from cause
    return applied


def _failure(rule: Rule, cause: Exception) -> RuleFailed:
    """What a sensitive rule asks and does is told to nobody: a reason would quote it."""
    if rule.sensitive:
        return RuleFailed(f"inspection rule {rule.uuid} failed; it is sensitive, so the reason is not shown")
    return cause if isinstance(cause, RuleFailed) else RuleFailed(f"inspection rule {rule.uuid}: {cause}")


def _holds(condition: Mapping[str, Any], rule: Rule, subject: Subject) -> bool:
    loop = condition.get("loop")
    _count(subject, len(loop) if isinstance(loop, list) else 1)
    return holds(condition, _scope(subject), secrets=rule.sensitive)


def _count(subject: Subject, runs: int) -> None:
    """All rules together are bounded: they run while the node's row is locked."""
    subject.runs += runs
    if subject.runs > MAX_RUNS:
        raise RuleFailed(f"the inspection rules have more than {MAX_RUNS} conditions and actions to run")


def _scope(subject: Subject) -> dict[str, Any]:
    return {
        "node": subject.node, "ports": subject.ports, "inventory": subject.inventory,
        "plugin_data": subject.plugin_data,
    }  # fmt: skip


def _act(rule: Rule, subject: Subject) -> None:
    for item in rule.actions:
        if rule.sensitive and item["op"] == "log":
            continue  # events are for many eyes
        do, needed, optional = ACTIONS[item["op"]]
        args = named(item.get("args", {}), needed, optional)
        loop = item.get("loop")
        scopes = [{"item": one} for one in (loop if isinstance(loop, list) else [loop])] if loop else [{}]
        _count(subject, len(scopes))
        for extra in scopes:
            scope = _scope(subject) | extra
            do(subject, **{key: filled(value, scope, secrets=rule.sensitive) for key, value in args.items()})
