"""Every wait of every flow: when nobody answers it ends in time, by another way or by name."""

import pytest

from tests.appliance.flows.harness import Rig
from tests.appliance.flows.scenarios import SCENARIOS, Scenario

WAITS = {
    "await_agent": "did not call back",
    "ask_inventory": "was lost during inspect",
    "erase": "was lost during erase",
    "ask_step": "was lost during erase",
    "open_door": "was lost during rescue",
    "write_image": "was lost during write_image",
    "leave_agent": None,  # the machine is power-cycled instead
    "agent_left": None,
    "await_home": "did not call home",
}
IS_ONLY_HOPED = "deploy of a system that need not call"
"""Its last wait may end in silence: the machine was started, and that is all that was promised."""

CASES = [(scenario, step) for scenario in SCENARIOS for step in scenario.path if step in WAITS]


@pytest.mark.parametrize(("scenario", "step"), CASES, ids=[f"{scenario.name}-{step}" for scenario, step in CASES])
def test_a_wait_that_nobody_ends(made: Rig, scenario: Scenario, step: str) -> None:
    scenario.set_up(made)
    before = made.clock()
    made.drive(frozen_at=step)
    node, flow = made.node(), made.flow()
    reason = None if (scenario.name, step) == (IS_ONLY_HOPED, "await_home") else WAITS[step]
    if reason is None:
        assert (flow.status, node.provision_state) == ("done", scenario.end)
    else:
        assert flow.status == "failed"
        assert reason in node.failure["reason"]
        assert node.failure["step"] == step
        assert (
            node.provision_state == scenario.failed
            if step == "erase"
            else "failed" in node.provision_state or (scenario.name == "undeploy" and node.provision_state == "error")
        )
    policy = made.policy
    limits = policy.agent_boots * policy.agent_boot_s + policy.kexec_home_s + policy.call_home_s + policy.leave_agent_s
    assert (made.clock() - before).total_seconds() <= limits + 200


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[scenario.name for scenario in SCENARIOS])
def test_every_wait_is_listed_above(made: Rig, scenario: Scenario) -> None:
    scenario.set_up(made)
    made.drive()
    assert {event.data["step"] for event in made.events("step.wait")} == set(scenario.path) & set(WAITS)
