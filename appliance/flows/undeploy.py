"""undeploy: take the instance away. active -> deleting -> cleaning -> available.

The tenant's system is never asked to help: what it knows is made worthless first, then it loses its power, and only an
agent of a new boot erases the disks. Where cleaning is off for the node, the power is all that it loses.
"""

from appliance.domain.lifecycle import Outcome
from appliance.domain.steps import Next
from appliance.flows import agent_boot, agent_work, power
from appliance.flows.clean import add_erasing, end, is_off
from appliance.flows.moves import move
from appliance.flows.power import BMC_RETRY
from appliance.flows.procedure import Act, Procedure, Record, Step, Turn
from appliance.models import config_drive
from appliance.services import allocations
from bmc.types import PowerState

undeploy = Procedure("undeploy")


@undeploy.record()
def forget_instance(turn: Record) -> Next:
    """From here no call-home token, session or secret of the instance is worth anything."""
    node = turn.node
    node.call_home_hash = node.agent_session_hash = node.boot_secret_hash = None
    node.instance_secret = None
    config_drive.drop(turn.session, node_id=node.id)
    node.agent_seen_at = node.agent_address = None
    return turn.go(_want_agent)


def _with_agent(_turn: Turn) -> Step:
    return instance_gone


def _without_agent(turn: Record) -> Step | None:
    """A machine that is never switched off keeps running what it runs."""
    if not is_off(turn):
        return None
    return not_cleaned if turn.node.keeps_power else stop_instance


_want_agent = agent_boot.add_to(undeploy, then=_with_agent, trusts_running=False, unless=_without_agent)


@undeploy.record()
def instance_gone(turn: Record) -> Next:
    _drop_instance(turn)
    return turn.go(_erase)


def _drop_instance(turn: Record) -> None:
    turn.node.instance = None
    turn.node.instance_address = None
    allocations.release(turn.session, turn.node, now=turn.now)
    move(turn, Outcome.ERASE, "the instance is gone")


_erase = add_erasing(undeploy, agent_work.watch_in(undeploy))


@undeploy.act(pool="bmc", retry=BMC_RETRY)
def stop_instance(turn: Act) -> Next:
    power.ask(turn, PowerState.OFF)
    return turn.go(await_stop)


@undeploy.act(pool="bmc", retry=BMC_RETRY)
def await_stop(turn: Act) -> Next:
    return power.confirm(turn, PowerState.OFF) or turn.go(not_cleaned)


@undeploy.record()
def not_cleaned(turn: Record) -> Next:
    """The disks keep what they hold: so somebody decided for this node."""
    _drop_instance(turn)
    end(turn, "cleaning is off for this node")
    return turn.done("nothing was cleaned")
