"""verify: is the BMC there, and does it take our password? enroll -> verifying -> manageable."""

from appliance.domain.lifecycle import Outcome
from appliance.domain.steps import Next
from appliance.flows.moves import move
from appliance.flows.power import BMC_RETRY
from appliance.flows.procedure import Act, Procedure, Record
from bmc.api import Bmc, HasIdentity, HasSecureBoot
from bmc.errors import BmcError

verify = Procedure("verify")


@verify.act(pool="bmc", retry=BMC_RETRY)
def read_bmc(turn: Act) -> Next:
    """Log in, ask who it is, read the power state. A refused password fails at once: repeating it locks accounts."""
    if isinstance(turn.bmc, HasIdentity):
        info = turn.bmc.info()
        turn.data["bmc"] = {
            "firmware": info.firmware_version,
            "ipmi": info.ipmi_version,
            "cipher_suite": info.cipher_suite,
        }
    state = turn.bmc.power_state()
    turn.set(has_secure_boot=_secure_boot(turn.bmc))
    turn.set(power_state=state.value, power_observed_at=turn.now, bmc_verified_at=turn.now, power_failures=0)
    return turn.go(now_manageable)


@verify.record()
def now_manageable(turn: Record) -> Next:
    move(turn, Outcome.DONE, "the BMC answers")
    return turn.done("the BMC answers")


def _secure_boot(bmc: Bmc) -> bool | None:
    """A BMC that does not know it is a BMC all the same."""
    try:
        return bmc.secure_boot() if isinstance(bmc, HasSecureBoot) else None
    except BmcError:
        return None
