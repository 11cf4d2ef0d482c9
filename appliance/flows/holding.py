"""Shared steps: a pause for people. `hold` among the steps of a work leads here; the verb `unhold` leads on."""

from collections.abc import Callable

from appliance.domain.lifecycle import Outcome
from appliance.domain.steps import Next
from appliance.flows.moves import leave_wait, move
from appliance.flows.procedure import Procedure, Record, Step
from appliance.services.lifecycle import RELEASED

LOOK_S = 86400.0
FOR_EVER_S = 3650 * 86400.0


def hold(turn: Record, *, then: Step, otherwise: Step) -> Next:
    """Into the state of rest of this work. People have all the time they want."""
    move(turn, Outcome.HOLD, "a step asks to hold")
    return turn.wait(
        RELEASED, then=then, within_s=FOR_EVER_S, otherwise=otherwise, says="it is held further", look_s=LOOK_S
    )


def add_to(procedure: Procedure, *, then: Callable[[], Step]) -> tuple[Step, Step]:
    """Add what follows on a hold. Returns the steps of its two ends. `then` takes the step after the hold."""

    @procedure.record()
    def released(turn: Record) -> Next:
        """Who asked for the service anew gave other steps with it."""
        leave_wait(turn, "unhold was asked")
        turn.data["at"] = int(turn.data.get("at", 0)) + 1
        if isinstance(turn.payload.get("plan"), list):
            turn.data["spec"] = {**turn.data.get("spec", {}), "plan": turn.payload["plan"]}
            turn.data["at"] = 0
        return turn.go(then())

    @procedure.record()
    def still_held(turn: Record) -> Next:
        return turn.keep_waiting(LOOK_S)

    return released, still_held
