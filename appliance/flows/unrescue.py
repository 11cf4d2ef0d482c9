"""unrescue: back to the instance. rescue -> unrescuing -> active. The rescue system is switched off, not asked."""

from appliance.domain.lifecycle import Outcome
from appliance.domain.steps import Next
from appliance.flows import power
from appliance.flows.moves import move
from appliance.flows.procedure import Procedure, Record, Step, Turn
from appliance.models import agent_command
from bmc.types import BootDevice

unrescue = Procedure("unrescue")


@unrescue.record()
def forget_rescue(turn: Record) -> Next:
    """From here the rescue system's session and its password are worth nothing."""
    node = turn.node
    node.agent_session_hash = node.agent_seen_at = node.agent_address = None
    agent_command.cancel_all(turn.session, node_id=node.id, now=turn.now)
    turn.resources.forget_rescue(turn.session, node)
    return turn.go(_boot_from_disk)


def _started(_turn: Turn) -> Step:
    return back_to_work


_boot_from_disk = power.add_boot(unrescue, word="disk", device=BootDevice.DISK, then=_started)


@unrescue.record()
def back_to_work(turn: Record) -> Next:
    move(turn, Outcome.DONE, "started from its disk")
    return turn.done("active")
