"""The flows of hardware that is not there (appliance.domain.fake_hardware): one step per verb, and no agent.

Each verb is a list of acts with a delay and a chance to fail; all that take no time are done in one transaction. The
node's row is the memory of the machine: its power is what the row says, and the driver believes it (bmc.fake).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from appliance.domain import fake_hardware, node_steps, pretend
from appliance.domain.errors import RackwrightError
from appliance.domain.lifecycle import Outcome, State
from appliance.domain.node_steps import By
from appliance.domain.steps import Next
from appliance.flows import holding
from appliance.flows.clean import end, is_off
from appliance.flows.moves import move
from appliance.flows.procedure import Procedure, Record, Step
from appliance.models import config_drive
from appliance.models.database import JsonObject
from appliance.models.node import Node
from appliance.services import allocations, inspection
from bmc.types import PowerState

PREFIX = "fake-"
"""Kinds of these flows are called after those of real hardware."""


class InspectionRefused(RackwrightError):
    """An inspection rule refuses this machine."""

    code = "inspection-refused"
    blame = "peer"


CLOSE_S = 0.001
"""Times are kept in whole microseconds: what is left after the last one is no delay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One act. delay: the kind of delay that it takes; fails_as: the kinds of failure that may strike it."""

    delay: str
    fails_as: tuple[str, ...]
    step: JsonObject | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a verb does besides the steps it was given. ends: what becomes of the node's row, and what to say."""

    delay: str
    fails_as: tuple[str, ...]
    ends: Callable[[Record], str]


def _parts(kind: str, work: Work, turn: Record) -> Iterator[Part]:
    """The verb's own act first, then the steps that were asked for."""
    is_automated = kind == "clean" and turn.node.target_provision_state != State.MANAGEABLE
    if not (is_automated and is_off(turn)):
        yield Part(delay=work.delay, fails_as=work.fails_as)
    for step in turn.data.get("spec", {}).get("plan") or ():
        name = f"{step['interface']}.{step['step']}"
        yield Part(delay=_delay_of(step), fails_as=(name,), step=step)


def _delay_of(step: JsonObject) -> str:
    """Switching takes power's time, all else that of the step's interface."""
    return "power" if step["step"] in node_steps.RESERVED else str(step["interface"])


def add(kind: str, work: Work) -> Procedure:
    """The flow of one verb."""
    procedure = Procedure(PREFIX + kind)

    def first() -> Step:
        return act

    @procedure.record(name=kind)
    def act(turn: Record) -> Next:
        parts = list(_parts(kind, work, turn))
        for index in range(int(turn.data.get("at", 0)), len(parts)):
            turn.data["at"] = index
            part = parts[index]
            if (pause := _pause(turn, part, index)) is not None:
                return pause
            if (reason := _fault(turn, part, index)) is not None:
                return turn.failed(reason)
            if part.step is not None and part.step["step"] == "hold":
                turn.data["spent_s"] = 0.0  # time is counted from the entry of the step, and unhold enters it anew
                return holding.hold(turn, then=released, otherwise=still_held)
            _switch(turn.node, part)
        return turn.done(work.ends(turn))

    released, still_held = holding.add_to(procedure, then=first)
    return procedure


def _pause(turn: Record, part: Part, index: int) -> Next | None:
    """Sleep until the act's time is over; None when it is."""
    before_s = float(turn.data.get("spent_s", 0.0))
    until_s = before_s + _takes_s(turn, part, index)
    left_s = until_s - turn.in_step_s
    if left_s > CLOSE_S:
        return turn.again(left_s, f"pretends to be busy with {part.delay}")
    turn.data["spent_s"] = until_s
    return None


def _takes_s(turn: Record, part: Part, index: int) -> float:
    if part.step is not None and part.step["step"] == "wait":
        return float(part.step["args"].get("seconds", 0))
    occasion = f"{turn.claimed.uuid}:{index}"
    return fake_hardware.delay_s(turn.node.driver_options, turn.policy.fake_delays, part.delay, occasion)


def _fault(turn: Record, part: Part, index: int) -> str | None:
    occasion = f"{turn.claimed.uuid}:{index}"
    found = (fake_hardware.fault(turn.node.driver_options, kind, occasion) for kind in part.fails_as)
    return next((reason for reason in found if reason is not None), None)


def _switch(node: Node, part: Part) -> None:
    known = part.step and node_steps.RESERVED.get(part.step["step"])
    if known and known.by is By.POWER and part.step:
        node.power_state = (PowerState.OFF if part.step["step"] == "power_off" else PowerState.ON).value


def _power(turn: Record, state: PowerState) -> None:
    node = turn.node
    if state is PowerState.OFF and node.power_state == PowerState.ON.value and node.keeps_power:
        return
    node.power_state, node.power_observed_at, node.target_power_state = state.value, turn.now, None


def _verified(turn: Record) -> str:
    node = turn.node
    node.bmc_verified_at, node.power_failures = turn.now, 0
    _power(turn, PowerState.ON if node.power_state == PowerState.ON.value else PowerState.OFF)
    move(turn, Outcome.DONE, "the BMC answers")
    return "the BMC answers"


def _inspected(turn: Record) -> str:
    """The report is made up; the properties that an operator gave stay as they are."""
    node = turn.node
    memory = node.properties.get("memory_mb")
    machine = pretend.Machine(
        uuid=node.uuid,
        macs=tuple(port.mac for port in node.ports),
        boot_mode=node.boot_mode or "uefi",
        memory_mib=memory if isinstance(memory, int) else 65536,
        options=node.driver_options,
    )
    problem = inspection.finish(
        turn.session, node, pretend.inventory(machine), policy=inspection.Policy(),
        rules=turn.resources.inspection_rules(turn.session), now=turn.now, is_made_up=True,
    )  # fmt: skip
    if problem is not None:
        raise InspectionRefused(problem)
    node.inspection_finished_at = turn.now
    move(turn, Outcome.DONE, "inspected")
    return "the hardware is made up"


def _cleaned(turn: Record) -> str:
    _power(turn, PowerState.OFF)
    end(turn, "cleaned")
    return "cleaned"


def _deployed(turn: Record) -> str:
    _power(turn, PowerState.ON)
    move(turn, Outcome.DONE, "deployed")
    return "active"


def _undeployed(turn: Record) -> str:
    node = turn.node
    node.call_home_hash = node.agent_session_hash = node.boot_secret_hash = None
    if (node.instance or {}).get("config_drive"):
        config_drive.drop(turn.session, node_id=node.id)
    node.instance = node.instance_address = node.instance_secret = None
    allocations.release(turn.session, node, now=turn.now)
    move(turn, Outcome.ERASE, "the instance is gone")
    return _cleaned(turn)


def _back_to_work(turn: Record) -> str:
    _power(turn, PowerState.ON)
    move(turn, Outcome.DONE, "done")
    return "active"


def _rescued(turn: Record) -> str:
    _power(turn, PowerState.ON)
    move(turn, Outcome.DONE, "the rescue system runs")
    return "rescue"


WORKS: Mapping[str, Work] = {
    "verify": Work(delay="power", fails_as=("verify", "power", "power_state"), ends=_verified),
    "inspect": Work(delay="inspect", fails_as=("inspect",), ends=_inspected),
    "clean": Work(delay="clean", fails_as=("clean",), ends=_cleaned),
    "deploy": Work(delay="deploy", fails_as=("deploy",), ends=_deployed),
    "undeploy": Work(delay="clean", fails_as=("undeploy", "clean"), ends=_undeployed),
    "adopt": Work(delay="power", fails_as=("adopt",), ends=_deployed),
    "rescue": Work(delay="rescue", fails_as=("rescue",), ends=_rescued),
    "unrescue": Work(delay="rescue", fails_as=("unrescue",), ends=_back_to_work),
    "service": Work(delay="service", fails_as=("service",), ends=_back_to_work),
}

FAKE_FLOWS: Mapping[str, Procedure] = {
    procedure.kind: procedure for procedure in (add(kind, work) for kind, work in WORKS.items())
}
