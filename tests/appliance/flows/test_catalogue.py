"""The graph of each flow, read from the functions themselves: nothing unreachable, nothing dangling."""

import inspect
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any

import pytest

from appliance.domain.lifecycle import WHICH_FLOW
from appliance.flows.catalogue import FLOWS
from appliance.flows.procedure import Procedure, Step


def steps_named_in(function: Callable[..., Any], seen: set[Any]) -> Iterator[Step]:
    """Steps that a function, or a function that it calls, refers to."""
    if function in seen:
        return
    seen.add(function)
    names = inspect.getclosurevars(function)
    for value in [*names.nonlocals.values(), *names.globals.values()]:
        if isinstance(value, Step):
            yield value
        elif isinstance(value, dict):
            yield from (item for item in value.values() if isinstance(item, Step))
        elif isinstance(value, FunctionType) and value.__module__.startswith("appliance.flows"):
            yield from steps_named_in(value, seen)


def graph(procedure: Procedure) -> dict[str, set[str]]:
    return {
        step.name: {found.name for found in steps_named_in(step.function(), set())} for step in procedure.steps.values()
    }


@pytest.mark.parametrize("procedure", FLOWS.values(), ids=list(FLOWS))
def test_every_step_is_reached_and_every_successor_exists(procedure: Procedure) -> None:
    edges = graph(procedure)
    reached, frontier = set(), {procedure.first.name}
    while frontier:
        reached |= frontier
        frontier = {to for name in frontier for to in edges[name]} - reached
    assert reached == set(procedure.steps)


@pytest.mark.parametrize("procedure", FLOWS.values(), ids=list(FLOWS))
def test_a_step_is_an_act_or_a_record_and_only_acts_use_bmcs(procedure: Procedure) -> None:
    for step in procedure.steps.values():
        assert (step.act is None) != (step.record is None)
        assert (step.needs.pool in {"bmc", "fetch", "image_fetch"}) == (step.act is not None)


def test_every_verb_has_its_flow() -> None:
    kinds = set(WHICH_FLOW.values())
    assert kinds | {f"fake-{kind}" for kind in kinds} == set(FLOWS)


def test_two_steps_of_one_name_are_refused() -> None:
    procedure = Procedure("twice")
    procedure.record()(same)
    with pytest.raises(ValueError, match="same"):
        procedure.record()(same)


def same(turn: Any) -> Any:
    return turn.done()
