"""clean: erase what the last user left. provide: -> available; by hand (verb clean): -> manageable.

By hand one may name the steps; who names none has the disks erased. A clean that needs no ramdisk boots none.
"""

from appliance.domain.lifecycle import Outcome, State
from appliance.domain.steps import Next
from appliance.flows import agent_boot, agent_work, named_steps
from appliance.flows.moves import move
from appliance.flows.procedure import Procedure, Record, Step, Turn

clean = Procedure("clean")


def add_erasing(procedure: Procedure, watch: Step) -> Step:
    """Add the two steps of erasing, which undeploy has too. Returns the first."""

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
        _end(turn, "erased")
        return turn.done("the disks are erased")

    return erase


def _end(turn: Record, why: str) -> None:
    by_hand = turn.node.target_provision_state == State.MANAGEABLE
    move(turn, Outcome.RETURN if by_hand else Outcome.DONE, why)


def _with_agent(turn: Turn) -> Step:
    return _take_step if named_steps.are_asked(turn) else _erase


def _without_agent(turn: Record) -> Step | None:
    if is_off(turn):
        return not_cleaned
    return _take_step if named_steps.needs_no_agent(turn) else None


def is_off(turn: Record) -> bool:
    """Whether this node is not to be cleaned between its users."""
    return turn.data.get("spec", {}).get("skip_clean") is True


_want_agent = agent_boot.add_to(clean, then=_with_agent, unless=_without_agent)
_watch = agent_work.watch_in(clean)
_erase = add_erasing(clean, _watch)


def _boot_agent() -> Step:
    return _want_agent


def _cleaned() -> Step:
    return cleaned


_take_step = named_steps.add_to(clean, then=_cleaned, boot_agent=_boot_agent, watch=_watch)


@clean.record()
def cleaned(turn: Record) -> Next:
    _end(turn, "the steps are done")
    return turn.done("the steps are done")


@clean.record()
def not_cleaned(turn: Record) -> Next:
    move(turn, Outcome.DONE, "cleaning is off for this node")
    return turn.done("nothing was cleaned")
