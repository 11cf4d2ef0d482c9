"""deploy, rebuild: write the image and start it. available -> deploying <-> wait call-back -> active.

The installed system is started by kexec where that is allowed, which saves the firmware's minutes. If it is not heard
of in time the machine is switched off and on, and has the time of a full boot to call home.
"""

from appliance.domain.lifecycle import Outcome
from appliance.domain.steps import Next
from appliance.flows import agent_boot, agent_work, power
from appliance.flows.moves import enter_wait, leave_wait, move
from appliance.flows.power import BMC_RETRY
from appliance.flows.procedure import Act, Procedure, Record
from appliance.models import flow
from bmc.types import BootDevice, BootOverride, PowerState

HOME = "call-home"

deploy = Procedure("deploy")
agent_boot.add_to(deploy, then=lambda: write_image)
_watch = agent_work.watch_in(deploy)


@deploy.record(slot="image_write", spoils_disk=True)
def write_image(turn: Record) -> Next:
    flow.forget(turn.session, flow_id=turn.claimed.id, name=HOME)
    params, sealed = turn.resources.make_write_params(turn.session, turn.node, turn.flow())
    return agent_work.ask(
        turn,
        "write_image",
        params,
        secret_params=sealed,
        then=image_written,
        within_s=turn.policy.write_image_s,
        lost=_watch,
    )


@deploy.record(spoils_disk=True)
def image_written(turn: Record) -> Next:
    agent_work.answer(turn)
    return turn.go(boot_from_disk)


@deploy.act(pool="bmc", retry=BMC_RETRY)
def boot_from_disk(turn: Act) -> Next:
    power.aim(turn, _disk(turn))
    return turn.go(leave_agent)


def _disk(turn: Act) -> BootOverride:
    return BootOverride(device=BootDevice.DISK, persistent=True, is_uefi=turn.node.boot_mode == "uefi")


@deploy.record()
def leave_agent(turn: Record) -> Next:
    wish = turn.data.get("spec", {}).get("boot", "auto")
    method = "kexec" if wish == "kexec" or (wish == "auto" and turn.policy.kexec) else "reboot"
    turn.data["boot_method"] = method
    return agent_work.ask(
        turn, "boot_disk", {"method": method}, then=agent_left, within_s=turn.policy.leave_agent_s, lost=agent_stayed
    )


@deploy.record()
def agent_left(turn: Record) -> Next:
    """A refused kexec is no failure: the firmware can still boot the disk."""
    leave_wait(turn, "the agent answered")
    if turn.payload.get("status") != "done":
        return turn.go(fall_back)
    is_kexec = turn.data["boot_method"] == "kexec"
    enter_wait(turn, "waits for the installed system")
    return turn.wait(
        HOME,
        then=is_home,
        within_s=turn.policy.kexec_home_s if is_kexec else turn.policy.call_home_s,
        otherwise=agent_stayed if is_kexec else is_lost,
        says="the machine is switched off and on" if is_kexec else "the deploy fails",
    )


@deploy.record()
def agent_stayed(turn: Record) -> Next:
    leave_wait(turn, "not heard of in time")
    return turn.go(fall_back)


@deploy.record()
def fall_back(turn: Record) -> Next:
    turn.data["fell_back"] = True
    turn.node.target_power_state = PowerState.OFF.value
    return turn.go(reset_off)


@deploy.act(pool="bmc", retry=BMC_RETRY)
def reset_off(turn: Act) -> Next:
    power.ask(turn, PowerState.OFF)
    return turn.go(await_reset_off)


@deploy.act(pool="bmc", retry=BMC_RETRY)
def await_reset_off(turn: Act) -> Next:
    return power.confirm(turn, PowerState.OFF) or turn.go(reset_on)


@deploy.act(pool="bmc", retry=BMC_RETRY)
def reset_on(turn: Act) -> Next:
    power.aim(turn, _disk(turn))
    power.ask(turn, PowerState.ON)
    return turn.go(await_reset_on)


@deploy.act(pool="bmc", retry=BMC_RETRY)
def await_reset_on(turn: Act) -> Next:
    return power.confirm(turn, PowerState.ON) or turn.go(await_home)


@deploy.record()
def await_home(turn: Record) -> Next:
    enter_wait(turn, "waits for the installed system")
    return turn.wait(HOME, then=is_home, within_s=turn.policy.call_home_s, otherwise=is_lost, says="the deploy fails")


@deploy.record()
def is_home(turn: Record) -> Next:
    node = turn.node
    leave_wait(turn, "the installed system called home")
    address = turn.payload.get("address")
    node.instance_address = str(address) if address else node.instance_address
    node.power_state = PowerState.ON.value
    node.agent_session_hash = node.agent_seen_at = node.agent_address = None
    move(turn, Outcome.DONE, "the installed system called home")
    turn.clear_failure()
    return turn.done(f"active at {node.instance_address or 'an unknown address'}")


@deploy.record()
def is_lost(turn: Record) -> Next:
    how = "after a kexec and a power cycle" if turn.data.get("fell_back") else "after a reboot"
    return turn.failed(f"The installed system did not call home within {turn.policy.call_home_s:.0f} s {how}.")
