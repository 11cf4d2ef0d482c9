"""deploy, rebuild: write the image and start it. available -> deploying <-> wait call-back -> active.

The installed system is started by kexec where that is allowed, which saves the firmware's minutes. If it is not heard
of in time the machine is switched off and on, and has the time of a full boot to call home.
"""

from appliance.domain.lifecycle import Outcome
from appliance.domain.steps import Next, Retry
from appliance.flows import agent_boot, agent_work, image_fetch, named_steps, power
from appliance.flows.moves import enter_wait, leave_wait, move
from appliance.flows.power import BMC_RETRY
from appliance.flows.procedure import Act, Procedure, Record, Step, Turn
from appliance.models import agent_command, config_drive, flow
from bmc.types import BootDevice, PowerState

HOME = "call-home"
FETCH_RETRY = Retry(times=4, first_s=2.0, cap_s=30.0)

deploy = Procedure("deploy")


def _with_agent(turn: Turn) -> Step:
    return _take_step if named_steps.are_asked(turn) else _prepare(turn)


def _prepare(turn: Turn) -> Step:
    """A config-drive that lies elsewhere is fetched first, while nothing is written yet."""
    return fetch_config_drive if turn.data.get("spec", {}).get("drive") == config_drive.URL else write_image


def _boot_agent() -> Step:
    return _want_agent


def _all_done() -> Step:
    return steps_done


def _core() -> Step:
    return image_turn


def _first(turn: Record) -> Step | None:
    """An image that lies elsewhere is fetched before the machine is touched."""
    return _fetch_image(turn) if image_fetch.is_wanted(turn) else None


_want_agent = agent_boot.add_to(deploy, then=_with_agent, unless=_first)
_fetch_image = image_fetch.add_to(deploy, then=_boot_agent)
_watch = agent_work.watch_in(deploy)
_take_step = named_steps.add_to(deploy, then=_all_done, boot_agent=_boot_agent, watch=_watch, core=_core)


@deploy.record()
def image_turn(turn: Record) -> Next:
    return turn.go(_prepare(turn))


@deploy.act(pool="fetch", retry=FETCH_RETRY)
def fetch_config_drive(turn: Act) -> Next:
    """Into the database, sealed; a repeated fetch replaces it."""
    turn.check()
    turn.resources.fetch_config_drive(turn.node)
    return turn.go(write_image)


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
    if named_steps.are_asked(turn):
        named_steps.advance(turn)
        return turn.go(_take_step)
    return turn.go(_leave(turn))


@deploy.record(spoils_disk=True)
def steps_done(turn: Record) -> Next:
    return turn.go(_leave(turn))


def _leave(turn: Record) -> Step:
    """A system that will not call home is started by its BMC, whose word is then all that is known of it."""
    if named_steps.has_lost_agent(turn) or _call_home(turn) is not True:
        return fall_back
    return set_boot_device


def _call_home(turn: Turn) -> object:
    """True: the work waits for the call; False: none will come; "hoped": it may, and the work does not fail without."""
    return turn.data.get("spec", {}).get("call_home", True)


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


def _after_boot(turn: Turn) -> Step:
    return is_started if _call_home(turn) is False else await_home


_boot_from_disk = power.add_boot(deploy, word="disk", device=BootDevice.DISK, then=_after_boot)


@deploy.record()
def await_home(turn: Record) -> Next:
    enter_wait(turn, "waits for the installed system")
    if _call_home(turn) is not True:
        limit_s = turn.policy.hoped_home_s
        return turn.wait(HOME, then=is_home, within_s=limit_s, otherwise=is_started, says="it counts as started")
    limit_s = turn.policy.call_home_s
    return turn.wait(HOME, then=is_home, within_s=limit_s, otherwise=is_lost, says="the deploy fails")


@deploy.record()
def is_home(turn: Record) -> Next:
    node = turn.node
    leave_wait(turn, "the installed system called home")
    address = turn.payload.get("address")
    node.instance_address = str(address) if address else node.instance_address
    node.power_state = PowerState.ON.value
    _end_agent(turn)
    move(turn, Outcome.DONE, "the installed system called home")
    return turn.done(f"active at {node.instance_address or 'an unknown address'}")


@deploy.record()
def is_started(turn: Record) -> Next:
    """The BMC says that it runs from its disk; more cannot be known of a system that does not call."""
    leave_wait(turn, "not heard of")
    _end_agent(turn)
    move(turn, Outcome.DONE, "the machine was started from its disk")
    return turn.done("active; the installed system did not call home")


def _end_agent(turn: Record) -> None:
    node = turn.node
    node.agent_session_hash = node.agent_seen_at = node.agent_address = None
    agent_command.cancel_all(turn.session, node_id=node.id, now=turn.now)


@deploy.record()
def is_lost(turn: Record) -> Next:
    turn.node.agent_seen_at = None
    how = "after a power cycle" if turn.data.get("fell_back") else "after a reboot"
    return turn.failed(f"The installed system did not call home within {turn.policy.call_home_s:.0f} s {how}.")
