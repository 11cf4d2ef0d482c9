"""rescue: a way in for the tenant when the instance lets nobody in. active -> rescuing <-> rescue wait -> rescue.

The ramdisk is booted beside the untouched disk, and takes log-ins with the password that was asked for. The password is
hashed when it is asked for; the hash travels sealed and is forgotten at the end of the rescue.
"""

from appliance.domain.lifecycle import Outcome
from appliance.domain.steps import Next
from appliance.flows import agent_boot, agent_work
from appliance.flows.moves import move
from appliance.flows.procedure import Procedure, Record, Step, Turn

rescue = Procedure("rescue")


def _with_agent(_turn: Turn) -> Step:
    return open_door


agent_boot.add_to(rescue, then=_with_agent, trusts_running=False)
_watch = agent_work.watch_in(rescue)


@rescue.record()
def open_door(turn: Record) -> Next:
    sealed = turn.resources.make_rescue_params(turn.session, turn.node)
    limit_s = turn.policy.inspect_s
    return agent_work.ask(turn, "rescue", {}, secret_params=sealed, then=door_is_open, within_s=limit_s, lost=_watch)


@rescue.record()
def door_is_open(turn: Record) -> Next:
    said = agent_work.answer(turn)
    move(turn, Outcome.DONE, "the rescue system runs")
    where = f"ssh {said.get('user') or 'rescue'}@{turn.node.agent_address or 'ADDRESS'}"
    key = said.get("fingerprint")
    return turn.done(f"{where}   (host key {key})" if key else where)
