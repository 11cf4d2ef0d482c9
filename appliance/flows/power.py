"""Power acts that may be repeated: off and on, each verified by a second reading. Never a cycle, which counts twice.

A BMC that accepts a command and does nothing is found out here, within FlowPolicy.power_s.
"""

from appliance.domain.steps import Next, Retry
from appliance.flows.procedure import Act
from bmc.types import BootOverride, PowerAction, PowerState

BMC_RETRY = Retry(times=5, first_s=2.0, cap_s=30.0)
"""About a minute: a BMC that restarts itself is back by then."""


def ask(turn: Act, wanted: PowerState) -> None:
    """Ask for `wanted` unless it is there already."""
    if turn.bmc.power_state() is wanted:
        return
    turn.check()
    turn.bmc.power(PowerAction.ON if wanted is PowerState.ON else PowerAction.OFF)


def confirm(turn: Act, wanted: PowerState) -> Next | None:
    """None when the machine obeyed, and the node row will say so; else what to answer: look again, or give up."""
    seen = turn.bmc.power_state()
    turn.set(power_state=seen.value, power_observed_at=turn.now)
    if seen is wanted:
        turn.set(target_power_state=None, power_failures=0)
        return None
    if turn.in_step_s >= turn.policy.power_s:
        return turn.failed(
            f"power failure: still {seen.value!r} {turn.in_step_s:.0f} s after {wanted.value!r} was asked."
        )
    return turn.again(turn.policy.power_poll_s, f"waits for {wanted.value!r}")


def aim(turn: Act, override: BootOverride) -> None:
    """Set the boot device unless it is set."""
    if turn.bmc.boot_override() == override:
        return
    turn.check()
    turn.bmc.set_boot_override(override)
