"""clean: erase what the last user left. provide: -> available; by hand (verb clean): -> manageable.

By hand one may name the steps; who names none has the disks erased. A clean that needs no ramdisk boots none.
"""

from appliance.domain.lifecycle import Outcome, State
from appliance.domain.steps import Next
from appliance.flows import agent_boot, agent_work, named_steps
from appliance.flows.moves import move
from appliance.flows.procedure import Procedure, Record, Step, Turn

clean = Procedure("clean")

NO_CLEANING = "none"


def add_erasing(procedure: Procedure, watch: Step) -> Step:
    """Add the two steps of erasing, which undeploy has too. Returns the first."""

    @procedure.record()
    def erase(turn: Record) -> Next:
        spec, usual = turn.data.get("spec", {}), turn.policy.automated_clean
        params = {
            "method": spec.get("method", "metadata" if usual == NO_CLEANING else usual),
            "disks": spec.get("disks"),
            "skip": spec.get("skip", []),
        }
        return agent_work.ask(turn, "erase", params, then=erased, within_s=turn.policy.erase_s, lost=watch)

    @procedure.record()
    def erased(turn: Record) -> Next:
        result = agent_work.answer(turn)
        turn.data["disks"] = len(result.get("disks") or [])
        end(turn, "erased")
        return turn.done("the disks are erased")

    return erase


def end(turn: Record, why: str) -> None:
    """To where the work is heading: a clean by hand, and the last clean of a retired node, end in `manageable`."""
    heads_back = turn.node.target_provision_state == State.MANAGEABLE
    move(turn, Outcome.RETURN if heads_back else Outcome.DONE, why)


def _with_agent(turn: Turn) -> Step:
    return _take_step if named_steps.are_asked(turn) else _erase


def _without_agent(turn: Record) -> Step | None:
    if turn.node.target_provision_state != State.MANAGEABLE and is_off(turn):
        return not_cleaned
    return _take_step if named_steps.needs_no_agent(turn) else None


def is_off(turn: Record) -> bool:
    """Whether this node is not to be cleaned between its users; it may have a wish of its own."""
    wish = turn.node.has_automated_clean
    return turn.policy.automated_clean == NO_CLEANING if wish is None else not wish


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
    end(turn, "the steps are done")
    return turn.done("the steps are done")


@clean.record()
def not_cleaned(turn: Record) -> Next:
    move(turn, Outcome.DONE, "cleaning is off for this node")
    return turn.done("nothing was cleaned")
