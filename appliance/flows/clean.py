"""clean: erase what the last user left. provide: -> available; by hand (verb clean): -> manageable."""

from appliance.domain.lifecycle import Outcome, State
from appliance.domain.steps import Next
from appliance.flows import agent_boot, agent_work
from appliance.flows.moves import move
from appliance.flows.procedure import Procedure, Record, Step

clean = Procedure("clean")


def add_erasing(procedure: Procedure) -> Step:
    """Add the two steps of erasing, which undeploy has too. Returns the first."""
    watch = agent_work.watch_in(procedure)

    @procedure.record()
    def erase(turn: Record) -> Next:
        spec = turn.data.get("spec", {})
        params = {
            "method": spec.get("method", turn.policy.automated_clean),
            "disks": spec.get("disks"),
            "skip": spec.get("skip", []),
        }
        return agent_work.ask(turn, "erase", params, then=erased, within_s=turn.policy.erase_s, lost=watch)

    @procedure.record()
    def erased(turn: Record) -> Next:
        result = agent_work.answer(turn)
        turn.data["disks"] = len(result.get("disks") or [])
        by_hand = turn.node.target_provision_state == State.MANAGEABLE
        move(turn, Outcome.RETURN if by_hand else Outcome.DONE, "erased")
        return turn.done("the disks are erased")

    return erase


def _with_agent() -> Step:
    return _erase


agent_boot.add_to(clean, then=_with_agent)
_erase = add_erasing(clean)
