"""What shall this machine boot?"""

import pytest

from appliance.domain.boot import HOLDS_INSTANCE, Action, Discovery, KnownNode, choose
from appliance.domain.lifecycle import State


def known(state: str, *, expects: bool = False) -> KnownNode:
    return KnownNode(label="n1", provision_state=state, expects_agent=expects)


@pytest.mark.parametrize(
    ("policy", "action"),
    [(Discovery.OFF, Action.IGNORE), (Discovery.RECORD, Action.IGNORE), (Discovery.ENROLL, Action.AGENT)],
)
def test_an_unknown_machine_follows_the_policy(policy, action):
    assert choose(None, policy).action is action


@pytest.mark.parametrize("state", sorted(HOLDS_INSTANCE))
def test_an_instance_boots_its_own_disk(state):
    assert choose(known(state), Discovery.ENROLL).action is Action.LOCAL


@pytest.mark.parametrize("state", ["enroll", "manageable", "available", "clean failed", "inspecting"])
def test_a_machine_without_an_instance_boots_the_agent(state):
    assert choose(known(state), Discovery.OFF).action is Action.AGENT


@pytest.mark.parametrize("state", ["active", "deploying", "error"])
def test_work_that_waits_for_the_agent_wins_over_the_disk(state):
    decision = choose(known(state, expects=True), Discovery.OFF)
    assert decision.action is Action.AGENT
    assert "n1" in decision.why


def test_every_state_that_holds_an_instance_is_a_state():
    words = {state.value for state in State}
    assert words >= HOLDS_INSTANCE - {"rebuild"}
