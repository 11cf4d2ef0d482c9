"""undeploy: take the instance away. active -> deleting -> cleaning -> available.

The tenant's system is never asked to help: what it knows is made worthless first, then it loses its power, and only an
agent of a new boot erases the disks.
"""

from appliance.domain.lifecycle import Outcome
from appliance.domain.steps import Next
from appliance.flows import agent_boot
from appliance.flows.clean import add_erasing
from appliance.flows.moves import move
from appliance.flows.procedure import Procedure, Record, Step

undeploy = Procedure("undeploy")


@undeploy.record()
def forget_instance(turn: Record) -> Next:
    """From here no call-home token, session or secret of the instance is worth anything."""
    node = turn.node
    node.call_home_hash = node.agent_session_hash = node.boot_secret_hash = None
    node.instance_secret = None
    node.agent_seen_at = node.agent_address = None
    return turn.go(_want_agent)


def _with_agent() -> Step:
    return instance_gone


_want_agent = agent_boot.add_to(undeploy, then=_with_agent, trusts_running=False)


@undeploy.record()
def instance_gone(turn: Record) -> Next:
    turn.node.instance = None
    turn.node.instance_address = None
    move(turn, Outcome.ERASE, "the instance is gone")
    return turn.go(_erase)


_erase = add_erasing(undeploy)
