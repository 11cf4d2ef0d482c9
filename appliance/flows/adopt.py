"""adopt: take over a machine that already runs an instance. manageable -> adopting -> active; nothing is touched."""

from appliance.domain.lifecycle import Outcome
from appliance.domain.steps import Next
from appliance.flows.moves import move
from appliance.flows.power import BMC_RETRY
from appliance.flows.procedure import Act, Procedure, Record
from bmc.types import PowerState

adopt = Procedure("adopt")


@adopt.act(pool="bmc", retry=BMC_RETRY)
def read_power(turn: Act) -> Next:
    state = turn.bmc.power_state()
    turn.set(power_state=state.value, power_observed_at=turn.now)
    if state is not PowerState.ON:
        return turn.failed("The machine is switched off; a machine that runs an instance is on.")
    return turn.go(now_active)


@adopt.record()
def now_active(turn: Record) -> Next:
    move(turn, Outcome.DONE, "adopted")
    return turn.done("adopted")
