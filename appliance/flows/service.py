"""service: work on a machine without taking its instance away. active -> servicing <-> service wait -> active.

The ramdisk is booted, the steps are run, and the machine is started from its disk again. Without ramdisk the instance
keeps running, as far as the steps let it.
"""

from appliance.domain.lifecycle import Outcome
from appliance.domain.steps import Next
from appliance.flows import agent_boot, agent_work, named_steps, power
from appliance.flows.moves import move
from appliance.flows.procedure import Procedure, Record, Step, Turn
from appliance.models import agent_command
from bmc.types import BootDevice

service = Procedure("service")


def _with_agent(_turn: Turn) -> Step:
    return _take_step


def _without_agent(turn: Record) -> Step | None:
    return _take_step if named_steps.needs_no_agent(turn) else None


def _boot_agent() -> Step:
    return _want_agent


def _all_done() -> Step:
    return steps_done


_want_agent = agent_boot.add_to(service, then=_with_agent, trusts_running=False, unless=_without_agent)
_watch = agent_work.watch_in(service)
_take_step = named_steps.add_to(service, then=_all_done, boot_agent=_boot_agent, watch=_watch)


@service.record()
def steps_done(turn: Record) -> Next:
    """The agent's session ends here; a machine on which none ran is left as the steps made it."""
    turn.node.agent_session_hash = turn.node.agent_seen_at = turn.node.agent_address = None
    agent_command.cancel_all(turn.session, node_id=turn.node.id, now=turn.now)
    return turn.go(back_to_work if named_steps.needs_no_agent(turn) else _boot_from_disk)


def _started(_turn: Turn) -> Step:
    return back_to_work


_boot_from_disk = power.add_boot(service, word="disk", device=BootDevice.DISK, then=_started)


@service.record()
def back_to_work(turn: Record) -> Next:
    move(turn, Outcome.DONE, "serviced")
    return turn.done("serviced")
