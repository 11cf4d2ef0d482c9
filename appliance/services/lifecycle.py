"""What operators ask of a node: a verb is checked, written down and handed to the engine, in the caller's transaction.

No BMC is touched here and nothing is waited for. `request` first, other changes of the node (its instance) after it, in
the same transaction: request locks the row and reads it anew.
"""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from appliance.domain import lifecycle
from appliance.domain.errors import Conflict, IllegalMove
from appliance.domain.lifecycle import MOVES, OFFERED, REFUSED_IN_MAINTENANCE, TRANSIENT, WHICH_FLOW, State, Verb
from appliance.models import event, flow
from appliance.models.agent_command import AgentCommand
from appliance.models.flow import Flow
from appliance.models.node import Node


class InMaintenance(Conflict):
    """The node is in maintenance."""

    code = "maintenance"


def request(
    session: Session, *, node: Node, verb: Verb, spec: dict[str, Any], actor: str, now: datetime
) -> Flow | None:
    """Start what `verb` asks. None when the move is the whole work (manage from `available`).

    spec: parameters of the work ({"boot": …}, {"method": …}); kept in the clear, so no secrets.
    Raises IllegalMove, InMaintenance or NodeLocked; then nothing has changed.
    """
    session.refresh(node, with_for_update={"key_share": True})
    if verb is Verb.ABORT:
        return abort(session, node=node, actor=actor, now=now)
    state = _state_after(node, verb)
    work = None
    if state in TRANSIENT:
        work = flow.enqueue(session, kind=WHICH_FLOW[verb], node_id=node.id, data={"spec": spec}, now=now, actor=actor)
    old = node.provision_state
    node.provision_state = state
    node.target_provision_state = lifecycle.target_of(state, verb if state in TRANSIENT else None)
    node.provision_updated_at = node.updated_at = now
    node.failure = node.last_error = None
    event.record(
        session,
        at=now,
        kind="state",
        message=f"{old} -> {state}: {verb} asked by {actor}",
        actor=actor,
        node_id=node.id,
        data={"from": old, "to": str(state), "verb": str(verb), "flow": work.uuid if work else None},
    )
    session.flush()
    return work


def _state_after(node: Node, verb: Verb) -> State:
    state = State(node.provision_state)
    if (state, verb) not in MOVES:
        raise lifecycle.refusal(node.label, state, verb)
    if verb not in OFFERED:
        raise lifecycle.not_offered(verb)
    if node.maintenance and verb in REFUSED_IN_MAINTENANCE:
        raise InMaintenance(
            f'The {verb} operation can\'t be performed on node "{node.label}" because it is in maintenance mode.',
            why=node.maintenance_reason or "it was set aside by hand",
            next_step=f"rackwright node maintenance {node.label} --off",
        )
    return MOVES[state, verb]


def abort(session: Session, *, node: Node, actor: str, now: datetime) -> Flow:
    """Stop the node's work, in whatever step it is; the engine takes the node to the failed state within a second.

    Raises IllegalMove when nothing runs on it.
    """
    work = flow.active_for(session, node.id)
    if work is None:
        raise IllegalMove(
            f'The requested action "abort" can not be performed on node "{node.label}": no work runs on it.',
            why=f'it is in state "{node.provision_state}"',
            next_step=f"rackwright node show {node.label}",
        )
    if flow.abort(session, node_id=node.id, reason=f"Aborted by {actor}.", now=now):
        event.record(
            session,
            at=now,
            kind="flow.abort",
            message=f"abort of {work.kind} asked by {actor}",
            actor=actor,
            node_id=node.id,
            data={"flow": work.uuid},
        )
    return work


def waiting(session: Session, node: Node) -> dict[str, Any] | None:
    """What the node's work waits for: {for, since, deadline, then}, times aware; None when it does not wait."""
    work = flow.active_for(session, node.id)
    return None if work is None else _waiting(work)


def _waiting(work: Flow) -> dict[str, Any] | None:
    if work.wait_for is not None:
        return {"for": work.wait_for, "since": work.waiting_since, "deadline": work.deadline, "then": work.note}
    if work.owner is None:
        needed = work.slot_needed if work.slot_needed != work.slot else work.pool
        for_ = work.note or (f"a free place among {needed}" if needed else "a free worker")
        return {
            "for": for_,
            "since": work.entered_at,
            "deadline": None,
            "then": f"{work.step or 'the first step'} runs",
        }
    return None


def why(session: Session, node: Node) -> dict[str, Any]:
    """Why the node is where it is: {sentence, state, target, step, waiting, failure, next}, times aware."""
    state = State(node.provision_state)
    work = flow.active_for(session, node.id)
    wait = None if work is None else _waiting(work)
    if work is not None:
        sentence = _about_work(session, node, work, wait)
        next_step = f"wait, or rackwright node abort {node.label}"
    elif node.failure:
        sentence = f"{node.label} is in {state!r}: {node.failure.get('step')} failed: {node.failure.get('reason')}"
        next_step = str(node.failure.get("next"))
    else:
        sentence = f"{node.label} is in {state!r} since {_clock(node.provision_updated_at)}; nothing runs on it."
        verbs = lifecycle.verbs_from(state)
        next_step = f"rackwright node {verbs[0]} {node.label}" if verbs else f"rackwright node show {node.label}"
    if node.maintenance:
        sentence += f" It is in maintenance: {node.maintenance_reason or 'no reason given'}."
    return {
        "sentence": sentence,
        "state": str(state),
        "target": node.target_provision_state,
        "step": work.step if work is not None else None,
        "waiting": wait,
        "failure": node.failure,
        "next": next_step,
    }


def _about_work(session: Session, node: Node, work: Flow, wait: dict[str, Any] | None) -> str:
    start = f"{node.label} is in {node.provision_state!r}: {work.kind}, step {work.step or 'none yet'}"
    if wait is None:
        return f"{start}, runs since {_clock(work.entered_at)}."
    limit = f", at most until {_clock(wait['deadline'])}" if wait["deadline"] else ""
    then = f"; then {wait['then']}" if wait["then"] else ""
    return f"{start}, waits since {_clock(wait['since'])} for {_in_words(session, str(wait['for']))}{limit}{then}."


def _in_words(session: Session, awaited: str) -> str:
    if awaited == "agent.alive":
        return "the agent to call"
    if awaited == "call-home":
        return "the installed system to call home"
    if awaited.startswith("agent.command:"):
        uuid = awaited.removeprefix("agent.command:")
        command = session.query(AgentCommand).filter_by(uuid=uuid).one_or_none()
        return f"the agent to finish {command.name}" if command else "the agent"
    return awaited


def _clock(at: datetime | None) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%SZ") if at else "?"
