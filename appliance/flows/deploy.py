"""deploy, rebuild: write the image and start it. available -> deploying <-> wait call-back -> active.

The installed system is started by kexec where that is allowed, which saves the firmware's minutes. If it is not heard
of in time the machine is switched off and on, and has the time of a full boot to call home.
"""

from appliance.domain.lifecycle import Outcome
from appliance.domain.steps import Next
from appliance.flows import agent_boot, agent_work, power
from appliance.flows.moves import enter_wait, leave_wait, move
from appliance.flows.power import BMC_RETRY
from appliance.flows.procedure import Act, Procedure, Record, Step
from appliance.models import agent_command, flow
from bmc.types import BootDevice, PowerState

HOME = "call-home"

deploy = Procedure("deploy")


def _with_agent() -> Step:
    return write_image


agent_boot.add_to(deploy, then=_with_agent)
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
    return turn.go(set_boot_device)


@deploy.act(pool="bmc", retry=BMC_RETRY)
def set_boot_device(turn: Act) -> Next:
    power.aim(turn, BootDevice.DISK)
    return turn.go(leave_agent)


@deploy.record()
def leave_agent(turn: Record) -> Next:
    wish = turn.data.get("spec", {}).get("boot", "auto")
    method = "kexec" if wish == "kexec" or (wish == "auto" and turn.policy.kexec) else "reboot"
    turn.data["boot_method"] = method
    limit_s = turn.policy.leave_agent_s
    return agent_work.ask(
        turn, "boot_disk", {"method": method}, then=agent_left, within_s=limit_s, look_s=limit_s, lost=agent_stayed
    )


@deploy.record()
def agent_left(turn: Record) -> Next:
    """A refused kexec is no failure: the firmware can still boot the disk."""
    leave_wait(turn, "the agent answered")
    if turn.payload.get("status") != "done":
        return turn.go(fall_back)
    turn.node.agent_seen_at = None  # it is gone from here on, whatever becomes of the installed system
    enter_wait(turn, "waits for the installed system")
    is_kexec = turn.data["boot_method"] == "kexec"
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
    """The agent's last command must not wait for the agent of some later boot."""
    turn.data["fell_back"] = True
    agent_command.cancel_all(turn.session, node_id=turn.node.id, now=turn.now)
    return turn.go(_boot_from_disk)


def _after_boot() -> Step:
    return await_home


_boot_from_disk = power.add_boot(deploy, word="disk", device=BootDevice.DISK, then=_after_boot)


@deploy.record()
def await_home(turn: Record) -> Next:
    enter_wait(turn, "waits for the installed system")
    limit_s = turn.policy.call_home_s
    return turn.wait(HOME, then=is_home, within_s=limit_s, otherwise=is_lost, says="the deploy fails")


@deploy.record()
def is_home(turn: Record) -> Next:
    node = turn.node
    leave_wait(turn, "the installed system called home")
    address = turn.payload.get("address")
    node.instance_address = str(address) if address else node.instance_address
    node.power_state = PowerState.ON.value
    node.agent_session_hash = node.agent_seen_at = node.agent_address = None
    agent_command.cancel_all(turn.session, node_id=node.id, now=turn.now)
    move(turn, Outcome.DONE, "the installed system called home")
    return turn.done(f"active at {node.instance_address or 'an unknown address'}")


@deploy.record()
def is_lost(turn: Record) -> Next:
    turn.node.agent_seen_at = None
    how = "after a power cycle" if turn.data.get("fell_back") else "after a reboot"
    return turn.failed(f"The installed system did not call home within {turn.policy.call_home_s:.0f} s {how}.")
