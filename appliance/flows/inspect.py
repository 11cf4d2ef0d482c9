"""inspect: let the agent report the hardware. manageable -> inspecting -> manageable."""

from appliance.domain.lifecycle import Outcome
from appliance.domain.steps import Next
from appliance.flows import agent_boot, agent_work
from appliance.flows.moves import move
from appliance.flows.procedure import Procedure, Record, Step, Turn
from appliance.services import inspection

inspect = Procedure("inspect")


def _with_agent(_turn: Turn) -> Step:
    return ask_inventory


agent_boot.add_to(inspect, then=_with_agent)
_watch = agent_work.watch_in(inspect)


@inspect.record()
def ask_inventory(turn: Record) -> Next:
    return agent_work.ask(turn, "inspect", {}, then=store_inventory, within_s=turn.policy.inspect_s, lost=_watch)


@inspect.record()
def store_inventory(turn: Record) -> Next:
    """The report replaces the last one; what it says of the node, and what rules make of it, is written to the node."""
    report = agent_work.answer(turn).get("inventory")
    if not isinstance(report, dict):
        return turn.failed("The agent answered without an inventory.")
    policy = inspection.Policy(add_ports=turn.policy.add_ports, keep_ports=turn.policy.keep_ports)
    rules = turn.resources.inspection_rules(turn.session)
    problem = inspection.finish(turn.session, turn.node, report, policy=policy, rules=rules, now=turn.now)
    if problem is not None:
        return turn.failed(problem)
    turn.node.inspection_finished_at = turn.now
    move(turn, Outcome.DONE, "inspected")
    return turn.done("the hardware is known")
