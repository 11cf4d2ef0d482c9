"""Power acts that may be repeated: off and on, each verified by a second reading. Never a cycle, which counts twice.

A BMC that accepts a command and does nothing is found out here, within FlowPolicy.power_s.
"""

from collections.abc import Callable

from appliance.domain.steps import Next, Retry
from appliance.flows.procedure import Act, Procedure, Step, Turn
from bmc.errors import Unsupported
from bmc.types import BootDevice, BootOverride, PowerAction, PowerState

BMC_RETRY = Retry(times=5, first_s=2.0, cap_s=30.0)
"""About a minute: a BMC that restarts itself is back by then."""


def add_boot(procedure: Procedure, *, word: str, device: BootDevice, then: Callable[[Turn], Step]) -> Step:
    """Add the steps of one cold boot from `device`, named after `word`; `then` follows once the power is on.

    The boot device is set while the machine is off: some BMCs forget it at the next change of power.
    """

    @procedure.act(name=f"{word}_power_off", pool="bmc", retry=BMC_RETRY)
    def power_off(turn: Act) -> Next:
        if turn.node.keeps_power:
            return turn.go(reset)
        ask(turn, PowerState.OFF)
        return turn.go(await_off)

    @procedure.act(name=f"{word}_reset", pool="bmc", retry=BMC_RETRY)
    def reset(turn: Act) -> Next:
        """Of a machine that is never switched off. Repeated, it boots once more: slower, and no harm."""
        aim(turn, device)
        reset_or_start(turn)
        return turn.go(await_on)

    @procedure.act(name=f"{word}_await_off", pool="bmc", retry=BMC_RETRY)
    def await_off(turn: Act) -> Next:
        return confirm(turn, PowerState.OFF) or turn.go(set_boot_device)

    @procedure.act(name=f"{word}_set_boot_device", pool="bmc", retry=BMC_RETRY)
    def set_boot_device(turn: Act) -> Next:
        aim(turn, device)
        return turn.go(power_on)

    @procedure.act(name=f"{word}_power_on", pool="bmc", retry=BMC_RETRY)
    def power_on(turn: Act) -> Next:
        ask(turn, PowerState.ON)
        return turn.go(await_on)

    @procedure.act(name=f"{word}_await_on", pool="bmc", retry=BMC_RETRY)
    def await_on(turn: Act) -> Next:
        return confirm(turn, PowerState.ON) or turn.go(then(turn))

    return power_off


def aim(turn: Act, device: BootDevice) -> None:
    """Set the boot device unless it is set. The network is for the next boot only; the disk is to stay."""
    wanted = BootOverride(device=device, persistent=device is BootDevice.DISK, is_uefi=turn.node.boot_mode == "uefi")
    try:
        if turn.bmc.boot_override() == wanted:
            return
    except Unsupported:  # it is set to a device that has no name here, which is no reason not to set another
        pass
    turn.check()
    turn.bmc.set_boot_override(wanted)


def ask(turn: Act, wanted: PowerState) -> None:
    """Switch the machine, unless it is so; what it did is for `confirm` to see."""
    turn.set(target_power_state=wanted.value)
    if turn.bmc.power_state() is wanted:
        return
    turn.check()
    turn.bmc.power(PowerAction.ON if wanted is PowerState.ON else PowerAction.OFF)


def reset_or_start(turn: Act) -> None:
    """For machines that keep their power; one that is off is switched on."""
    is_on = turn.bmc.power_state() is PowerState.ON
    turn.set(target_power_state=PowerState.ON.value)
    turn.check()
    turn.bmc.power(PowerAction.RESET if is_on else PowerAction.ON)


def confirm(turn: Act, wanted: PowerState) -> Next | None:
    """None when the machine obeyed, and the node row will say so; else what to answer: look again, or give up."""
    seen = turn.bmc.power_state()
    if seen is wanted:
        turn.set(power_state=seen.value, power_observed_at=turn.now, target_power_state=None, power_failures=0)
        return None
    if turn.in_step_s >= turn.policy.power_s:
        turn.set(power_state=seen.value, power_observed_at=turn.now, target_power_state=None)
        asked = f"{turn.in_step_s:.0f} s after {wanted.value!r} was asked"
        return turn.failed(f"power failure: the machine is still {seen.value!r} {asked}.")
    return turn.again(turn.policy.power_poll_s, f"it is not {wanted.value!r} yet")
