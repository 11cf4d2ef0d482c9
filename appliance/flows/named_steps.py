"""Shared steps: run the steps that were asked for by name (appliance.domain.node_steps), one after the other.

The flow's memory holds the list (`spec.plan`) and the place in it (`at`), so a crash repeats one step at most. A step
that switches the machine loses its agent; the next step that needs one boots it again.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta

from appliance.domain import node_steps
from appliance.domain.node_steps import By
from appliance.domain.steps import Next
from appliance.flows import agent_work, holding, power
from appliance.flows.moves import enter_wait, leave_wait
from appliance.flows.power import BMC_RETRY
from appliance.flows.procedure import Act, Procedure, Record, Step, Turn
from appliance.models.database import JsonObject
from bmc.types import PowerState

PAUSE_POLL_S = 5.0


def are_asked(turn: Turn) -> bool:
    """Whether this work was given steps by name."""
    return bool(_plan(turn))


def has_lost_agent(turn: Turn) -> bool:
    """Whether a step switched the machine, so that no agent runs on it."""
    return turn.data.get("agent_gone") is True


def needs_no_agent(turn: Turn) -> bool:
    return turn.data.get("spec", {}).get("disable_ramdisk") is True


def _plan(turn: Turn) -> list[JsonObject]:
    plan: list[JsonObject] = turn.data.get("spec", {}).get("plan") or []
    return plan


def _current(turn: Turn) -> JsonObject | None:
    plan, at = _plan(turn), int(turn.data.get("at", 0))
    return plan[at] if at < len(plan) else None


def advance(turn: Turn) -> None:
    """The current step is over."""
    turn.data["at"] = int(turn.data.get("at", 0)) + 1


def add_to(
    procedure: Procedure,
    *,
    then: Callable[[], Step],
    boot_agent: Callable[[], Step],
    watch: Step,
    core: Callable[[], Step] | None = None,
) -> Step:
    """Add the steps. then: after the last one; core: what writes the image, and leads back here. Returns the first."""

    @procedure.record()
    def take_step(turn: Record) -> Next:
        """Where the next step is carried out; when there is none, the end."""
        step = _current(turn)
        if step is None:
            return turn.go(then())
        known = node_steps.find(step["interface"], step["step"], is_fake=False)
        if known is None:
            return turn.failed(f"There is no step {step['interface']}.{step['step']} any more.")
        if known.by in (By.AGENT, By.CORE) and has_lost_agent(turn):
            turn.data["agent_gone"], turn.data["agent_boots"] = False, 0
            return turn.go(boot_agent())
        if known.by is By.HOLD:
            return holding.hold(turn, then=released, otherwise=still_held)
        if known.by is By.PAUSE:
            enter_wait(turn, "a step asks to wait")
        if known.by is By.POWER:
            return turn.go(switches[step["step"]])
        return turn.go(ask_step if known.by is By.AGENT else core() if known.by is By.CORE and core else step_pause)

    def again() -> Step:
        return take_step

    released, still_held = holding.add_to(procedure, then=again)
    ask_step = _add_agent(procedure, then=again, watch=watch)
    step_pause = _add_pause(procedure, then=again)
    switches = _add_switches(procedure, then=again)
    return take_step


def _add_agent(procedure: Procedure, *, then: Callable[[], Step], watch: Step) -> Step:
    @procedure.record()
    def ask_step(turn: Record) -> Next:
        step = _current(turn) or {}
        known = node_steps.REAL[step["interface"], step["step"]]
        limit_s = turn.policy.erase_s
        return agent_work.ask(turn, known.command, dict(known.params), then=step_answered, within_s=limit_s, lost=watch)

    @procedure.record()
    def step_answered(turn: Record) -> Next:
        agent_work.answer(turn)
        advance(turn)
        return turn.go(then())

    return ask_step


def _add_pause(procedure: Procedure, *, then: Callable[[], Step]) -> Step:
    @procedure.record()
    def step_pause(turn: Record) -> Next:
        """With seconds so long; without, until the agent is heard of once more."""
        left_s = _left_s(turn)
        if left_s > 0:
            return turn.again(left_s, "a step asks to wait")
        if left_s < 0:
            return turn.failed(f"The agent gave no sign of life within {turn.policy.agent_silence_s:.0f} s.")
        leave_wait(turn, "the pause is over")
        advance(turn)
        return turn.go(then())

    return step_pause


def _add_switches(procedure: Procedure, *, then: Callable[[], Step]) -> Mapping[str, Step]:
    """By the name of the step: the first of the acts that carry it out."""

    @procedure.act(pool="bmc", retry=BMC_RETRY)
    def step_power_off(turn: Act) -> Next:
        if turn.node.keeps_power:
            return turn.go(step_reset)
        power.ask(turn, PowerState.OFF)
        return turn.go(step_await_off)

    @procedure.act(pool="bmc", retry=BMC_RETRY)
    def step_reset(turn: Act) -> Next:
        """A machine that is never switched off: `power_off` is refused for it when it is asked."""
        power.reset_or_start(turn)
        return turn.go(step_await_on)

    @procedure.act(pool="bmc", retry=BMC_RETRY)
    def step_await_off(turn: Act) -> Next:
        if (other := power.confirm(turn, PowerState.OFF)) is not None:
            return other
        if (_current(turn) or {}).get("step") == "reboot":
            return turn.go(step_power_on)
        _switched(turn)
        return turn.go(then())

    @procedure.act(pool="bmc", retry=BMC_RETRY)
    def step_power_on(turn: Act) -> Next:
        power.ask(turn, PowerState.ON)
        return turn.go(step_await_on)

    @procedure.act(pool="bmc", retry=BMC_RETRY)
    def step_await_on(turn: Act) -> Next:
        if (other := power.confirm(turn, PowerState.ON)) is not None:
            return other
        _switched(turn)
        return turn.go(then())

    return {"power_off": step_power_off, "reboot": step_power_off, "power_on": step_power_on}


def _left_s(turn: Record) -> float:
    """Seconds until the next look; 0: the pause is over; below 0: the sign that it waits for will not come."""
    step = _current(turn) or {}
    seconds = (step.get("args") or {}).get("seconds")
    if seconds is not None:
        left_s = float(seconds) - turn.in_step_s
        return left_s if left_s > 0.001 else 0.0
    seen = turn.node.agent_seen_at
    began = turn.now - timedelta(seconds=turn.in_step_s)
    if seen is not None and seen > began:
        return 0.0
    return PAUSE_POLL_S if turn.in_step_s < turn.policy.agent_silence_s else -1.0


def _switched(turn: Act) -> None:
    """Whatever ran is gone. (A machine that is switched on and was on keeps its agent, but who can tell.)"""
    turn.data["agent_gone"] = True
    turn.set(agent_seen_at=None)
    advance(turn)
