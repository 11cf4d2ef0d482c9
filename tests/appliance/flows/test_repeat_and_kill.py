"""Every step of every flow is broken in every way we know; the end is the same, or a named failure."""

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from appliance.domain.errors import RackwrightError
from appliance.domain.lifecycle import FAILED, STABLE
from appliance.flows.catalogue import FLOWS
from appliance.flows.procedure import Procedure
from appliance.models.agent_command import FINISHED
from appliance.models.database import Database
from appliance.services import lifecycle
from tests.appliance.flows.harness import Rig
from tests.appliance.flows.scenarios import SCENARIOS, Scenario

Function = Callable[[Any], Any]
ACTS = {step.name for procedure in FLOWS.values() for step in procedure.steps.values() if step.act is not None}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each scenario with each of its steps; by default without those that another scenario breaks already."""
    if "broken" not in metafunc.fixturenames:
        return
    is_thorough = metafunc.config.getoption("--thorough")
    cases = [
        (scenario, step)
        for scenario in SCENARIOS
        for step in (scenario.path if is_thorough else scenario.fresh)
        # A record is part of one transaction, so it cannot be half done.
        if step in ACTS or "twice" not in metafunc.function.__name__
    ]
    metafunc.parametrize("broken", cases, ids=[f"{scenario.name}-{step}" for scenario, step in cases])


@pytest.fixture
def scenario(broken: tuple[Scenario, str]) -> Scenario:
    return broken[0]


@pytest.fixture
def step(broken: tuple[Scenario, str]) -> str:
    return broken[1]


class Injected(RackwrightError):
    """Injected."""


class Killed(BaseException):
    """The worker is gone between two instructions."""


def wrap(made: Rig, step: str, wrapper: Callable[[Function], Function]) -> None:
    """Replace a step's function, in all flows that have it."""
    for kind, procedure in made.flows.items():
        if step not in procedure.steps:
            continue
        steps = dict(procedure.steps)
        old = steps[step]
        steps[step] = replace(
            old, act=wrapper(old.act) if old.act else None, record=wrapper(old.record) if old.record else None
        )
        made.flows[kind] = Procedure(kind, steps)


def once(what: Callable[[], None], *, after: bool) -> Callable[[Function], Function]:
    """Run `what` before or after the first run of a step."""
    left = [what]

    def wrapper(function: Function) -> Function:
        def broken(turn: Any) -> Any:
            if not left:
                return function(turn)
            answer = function(turn) if after else None
            left.pop()()
            return answer if after else function(turn)

        return broken

    return wrapper


def throw(error: BaseException) -> Callable[[], None]:
    def now() -> None:
        raise error

    return now


def assert_ended_well(made: Rig, scenario: Scenario) -> None:
    node = made.node()
    assert (node.provision_state, node.target_provision_state, node.failure) == (scenario.end, None, None)
    assert [row.status for row in made.flow_rows()] == ["done"]
    assert len(made.events("flow.done")) == 1
    asked = [command.name for command in made.commands()]
    assert len(asked) == len(set(asked)), "a command was asked twice"
    assert all(command.status in FINISHED for command in made.commands())
    if scenario.end == "active" and scenario.name != "adopt":
        assert (made.machine.disk, made.machine.runs, node.power_state) == ("debian", "system", "power on")
    if scenario.end == "available":
        assert (made.machine.disk, node.instance, node.call_home_hash) == ("empty", None, None)


def assert_failed_by_name(made: Rig, *states: str, step: str, reason: str) -> None:
    node = made.node()
    assert node.provision_state in {*states}, node.failure
    assert node.provision_state in STABLE | FAILED
    assert node.failure is not None
    # A time-out branch is shown under the step whose wait it ends.
    shown = {"agent_stayed": "agent_left"} | ({"is_started": "await_home"} if made.machine.system_is_mute else {})
    assert node.failure["step"] == shown.get(step, step)
    assert reason in node.failure["reason"]
    assert node.failure["at"].endswith("Z")
    assert node.failure["next"].startswith("rackwright node ")
    assert node.last_error == node.failure["reason"]
    assert not node.maintenance
    assert all(command.status in FINISHED for command in made.commands())
    assert [row.status for row in made.flow_rows()] in (["failed"], ["aborted"])
    assert len(made.events("flow.failed", "flow.aborted")) == 1


def failed_states(scenario: Scenario) -> set[str]:
    return {scenario.failed, "error"} if scenario.name == "undeploy" else {scenario.failed}


@pytest.mark.parametrize("whole", SCENARIOS, ids=[scenario.name for scenario in SCENARIOS])
def test_the_path_without_faults(made: Rig, whole: Scenario) -> None:
    scenario = whole
    scenario.set_up(made)
    made.drive()
    assert_ended_well(made, scenario)
    assert tuple(event.data["step"] for event in made.events("step.start")) == scenario.path
    timed = {event.data["step"]: event.duration_s for event in made.events("step.done", "step.wait")}
    assert set(timed) == set(scenario.path)
    assert None not in timed.values()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after the effect"])
def test_a_step_that_fails_leaves_a_named_failure(made: Rig, scenario: Scenario, step: str, after: bool) -> None:
    wrap(made, step, once(throw(Injected()), after=after))
    scenario.set_up(made)
    made.drive()
    assert_failed_by_name(made, *failed_states(scenario), step=step, reason="Injected.")


def test_kill_9_of_a_real_process(made: Rig, database_url: str, scenario: Scenario, step: str) -> None:
    scenario.set_up(made)
    made.database.dispose()
    child = os.fork()
    if child == 0:  # pragma: no cover  (another process)
        try:
            mine = replace(made, database=Database.at(database_url), flows=dict(made.flows))
            wrap(mine, step, once(lambda: os.kill(os.getpid(), signal.SIGKILL), after=True))
            mine.drive()
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the child never came to the step"
    made.drive()
    assert_ended_well(made, scenario)


def test_an_act_run_twice_is_as_one(made: Rig, scenario: Scenario, step: str) -> None:
    def twice(function: Function) -> Function:
        def run(turn: Any) -> Any:
            function(turn)
            return function(turn)

        return run

    wrap(made, step, twice)
    scenario.set_up(made)
    made.drive()
    assert_ended_well(made, scenario)


def test_abort_at_each_step(made: Rig, scenario: Scenario, step: str) -> None:
    """The abort finds the flow about to run the step."""
    wrap(made, step, once(throw(Killed()), after=False))
    scenario.set_up(made)
    with pytest.raises(Killed):
        made.drive()
    abort(made)
    made.drive()
    assert_failed_by_name(made, *failed_states(scenario), step=step, reason="Aborted by ann.")
    assert made.flow().status == "aborted"


def abort(made: Rig) -> None:
    with made.database.write() as session:
        node = session.merge(made.node())
        lifecycle.abort(session, node=node, actor="ann", now=made.clock())
