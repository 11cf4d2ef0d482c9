"""Shared steps: make the agent run on a machine. Fast when it runs already, else one network boot, tried twice.

The machine is switched off first, whatever ran on it; then a boot secret is expected, the boot device is set, and it is
switched on. All of it may be repeated. Who wants an agent of a *new* boot (never trusting what runs) says so.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from appliance.domain.steps import Next
from appliance.flows import power
from appliance.flows.moves import enter_wait, leave_wait
from appliance.flows.procedure import Act, Procedure, Record, Step, Turn
from appliance.models import agent_command, flow
from appliance.models.node import Node
from bmc.types import BootDevice, PowerState

ALIVE = "agent.alive"


def is_alive(node: Node, now: datetime, within_s: float) -> bool:
    """Whether the agent of this boot was heard of lately."""
    seen = node.agent_seen_at
    return (
        node.agent_session_hash is not None
        and seen is not None
        and now - seen <= timedelta(seconds=within_s)
        and node.power_state != PowerState.OFF.value
    )


def add_to(
    procedure: Procedure,
    *,
    then: Callable[[Turn], Step],
    trusts_running: bool = True,
    unless: Callable[[Record], Step | None] | None = None,
) -> Step:
    """Add the steps; `then` names the step after the agent is up. Returns the first of them.

    unless: the step to go to at once when this work needs no agent; None when it does.
    """

    @procedure.record()
    def want_agent(turn: Record) -> Next:
        elsewhere = unless(turn) if unless is not None else None
        if elsewhere is not None:
            return turn.go(elsewhere)
        if trusts_running and is_alive(turn.node, turn.now, turn.resources.agent_alive_within_s):
            return turn.go(look_at_power)
        return turn.go(expect_agent)

    @procedure.act(pool="bmc", retry=power.BMC_RETRY)
    def look_at_power(turn: Act) -> Next:
        """An agent that was heard of a moment ago is gone if its machine lost power since."""
        seen = turn.bmc.power_state()
        turn.set(power_state=seen.value, power_observed_at=turn.now)
        return turn.go(expect_agent if seen is PowerState.OFF else then(turn))

    @procedure.record()
    def expect_agent(turn: Record) -> Next:
        _expect_boot(turn)
        return turn.go(boot_from_network)

    boot_from_network = power.add_boot(procedure, word="agent", device=BootDevice.PXE, then=lambda _turn: await_agent)

    @procedure.record()
    def await_agent(turn: Record) -> Next:
        enter_wait(turn, "waits for the agent")
        return turn.wait(
            ALIVE,
            then=agent_is_up,
            within_s=turn.policy.agent_boot_s,
            otherwise=agent_is_silent,
            says="the machine is booted once more" if _boots_left(turn) > 0 else "the work fails",
        )

    @procedure.record()
    def agent_is_up(turn: Record) -> Next:
        turn.node.boot_expected_until = None
        leave_wait(turn, "the agent called")
        return turn.go(then(turn))

    @procedure.record()
    def agent_is_silent(turn: Record) -> Next:
        leave_wait(turn, "the agent did not call")
        if _boots_left(turn) > 0:
            return turn.go(expect_agent)
        return turn.failed(f"The agent did not call back; {_last_sign(turn)}.")

    return want_agent


def _expect_boot(turn: Record) -> None:
    """From here the boot script carries a secret, and nothing that was meant for an older boot counts."""
    node = turn.node
    turn.data["agent_boots"] = turn.data.get("agent_boots", 0) + 1
    node.boot_expected_until = turn.now + timedelta(seconds=turn.policy.power_s * 2 + turn.policy.agent_boot_s)
    node.agent_session_hash = node.agent_seen_at = node.agent_address = None
    agent_command.cancel_all(turn.session, node_id=node.id, now=turn.now)
    flow.forget(turn.session, flow_id=turn.claimed.id, name=ALIVE)


def _boots_left(turn: Record) -> int:
    left: int = turn.policy.agent_boots - turn.data.get("agent_boots", 0)
    return left


def _last_sign(turn: Record) -> str:
    """The last thing that was heard of the machine since this work began, for people."""
    boots = turn.data.get("agent_boots", 0)
    found = turn.last_event(("dhcp.", "tftp.", "http.", "boot.", "agent."))
    tried = f"{boots} boots, {turn.policy.agent_boot_s:.0f} s each"
    return f"{tried}; last seen: {found}" if found else f"{tried}; nothing was seen of it on the network"
