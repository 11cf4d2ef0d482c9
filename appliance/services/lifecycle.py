"""What operators ask of a node: a verb is checked, written down and handed to the engine, in the caller's transaction.

No BMC is touched here and nothing is waited for. `request` first, other changes of the node (its instance) after it, in
the same transaction: request locks the row and reads it anew.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, select
from sqlalchemy.orm import Session

from appliance.domain import fake_hardware, lifecycle
from appliance.domain.errors import Conflict, IllegalMove, NotFound
from appliance.domain.lifecycle import MOVES, REFUSED_IN_MAINTENANCE, TRANSIENT, WHICH_FLOW, State, Verb
from appliance.models import event, flow
from appliance.models.agent_command import AgentCommand
from appliance.models.database import announce
from appliance.models.event import Event
from appliance.models.flow import IS_ACTIVE, Flow
from appliance.models.node import Inventory, Node, lock
from appliance.services import events, image_claims, node_rules

RELEASED = "unhold"
"""The signal that work which holds waits for (appliance.flows.holding)."""


class InMaintenance(Conflict):
    """The node is in maintenance."""

    code = "maintenance"


def request(session: Session, *, node: Node, verb: Verb, spec: dict[str, Any], actor: str, now: datetime) -> Flow:
    """Start what `verb` asks; the work. A move that is the whole work (manage from `available`) gives a finished one.

    spec: parameters of the work ({"boot": …}, {"method": …}); kept in the clear, so no secrets.
    Raises IllegalMove, InMaintenance or NodeLocked; then nothing has changed.
    """
    if lock(session, node.id) is None:
        raise NotFound(f"{node.label} was deleted meanwhile")
    if verb is Verb.ABORT:
        return abort(session, node=node, actor=actor, now=now)
    state = _state_after(node, verb)
    node_rules.refuse_verb(node, verb)
    if State(node.provision_state) in lifecycle.HELD:
        work = _go_on(session, node, spec, now=now)
    elif state in TRANSIENT:
        work = flow.enqueue(
            session, kind=flow_of(node, verb), node_id=node.id, data={"spec": spec}, now=now, actor=actor
        )
    else:
        work = flow.finished(session, kind=str(verb), node_id=node.id, now=now, actor=actor)
    target = _target(node, state, verb)
    if State(node.provision_state) not in lifecycle.HELD:
        node.target_provision_state = target
    _enter(session, node, state, verb, work, actor=actor, now=now)
    return work


def _target(node: Node, state: State, verb: Verb) -> State | None:
    """A retired node is not offered again: it stays under management."""
    if state not in TRANSIENT:
        return None
    if node.is_retired and verb is Verb.UNDEPLOY:
        return State.MANAGEABLE
    return lifecycle.target_of(state, verb)


def _enter(session: Session, node: Node, state: State, verb: Verb, work: Flow, *, actor: str, now: datetime) -> None:
    old = node.provision_state
    node.provision_state = state
    if verb is Verb.INSPECT:
        node.inspection_started_at, node.inspection_finished_at = now, None
    node.provision_updated_at = node.updated_at = now
    node.failure = node.last_error = None
    event.record(
        session,
        at=now,
        kind="state",
        message=f"{old} -> {state}: {verb} asked by {actor}",
        actor=actor,
        node_id=node.id,
        data={"from": old, "to": str(state), "verb": str(verb), "flow": work.uuid},
    )
    announce(session, events.TOPIC)
    session.flush()


def _go_on(session: Session, node: Node, spec: dict[str, Any], *, now: datetime) -> Flow:
    """Tell the work that holds to go on; a service that is asked anew gives other steps with it."""
    work = flow.active_for(session, node.id)
    if work is None:
        raise IllegalMove(
            f'No work of node "{node.label}" holds.',
            why=f'it is in state "{node.provision_state}", but its work has ended',
            next_step=f"rackwright node abort {node.label}",
        )
    payload = {"plan": spec["plan"]} if "plan" in spec else {}
    flow.signal(session, node_id=node.id, name=RELEASED, payload=payload, now=now)
    return work


def flow_of(node: Node, verb: Verb) -> str:
    """The kind of flow that carries a verb out: on hardware that is not there, the one that only acts it out."""
    kind = WHICH_FLOW[verb]
    return f"fake-{kind}" if fake_hardware.is_fake(node) else kind


def _state_after(node: Node, verb: Verb) -> State:
    state = State(node.provision_state)
    if (state, verb) not in MOVES:
        raise lifecycle.refusal(node.label, state, verb)
    if node.maintenance and verb in REFUSED_IN_MAINTENANCE:
        raise InMaintenance(
            f'The {verb} operation can\'t be performed on node "{node.label}" because it is in maintenance mode.',
            why=node.maintenance_reason or "it was set aside by hand",
            next_step=f"rackwright node maintenance off {node.label}",
        )
    return MOVES[state, verb]


def abort(session: Session, *, node: Node, actor: str, now: datetime) -> Flow:
    """Stop the node's work, in whatever step it is; the engine takes the node to the failed state within a second.

    Where the work has ended but its state can be left so ("service failed" to "active"), the move is all.
    Raises IllegalMove when nothing runs on it.
    """
    work = flow.active_for(session, node.id)
    state = MOVES.get((State(node.provision_state), Verb.ABORT))
    if work is None and state is not None:
        work = flow.finished(session, kind=str(Verb.ABORT), node_id=node.id, now=now, actor=actor)
        if state in lifecycle.STABLE:
            node.target_provision_state = None
        _enter(session, node, state, Verb.ABORT, work, actor=actor, now=now)
        return work
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


_WAITS = select(
    *(Flow.node_id, Flow.wait_for, Flow.waiting_since, Flow.deadline, Flow.note, Flow.owner, Flow.entered_at),
    *(Flow.step, Flow.slot_needed, Flow.slot, Flow.pool),
).where(IS_ACTIVE, Flow.node_id.in_(bindparam("nodes", expanding=True)))


def waits(session: Session, node_ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """What the work of these nodes waits for: {for, since, deadline, then}, times in ISO 8601; only those that wait."""
    found = {row.node_id: _waiting(row) for row in session.execute(_WAITS, {"nodes": node_ids})} if node_ids else {}
    return {node_id: wait for node_id, wait in found.items() if wait is not None}


def waiting(session: Session, node: Node) -> dict[str, Any] | None:
    """What the work of one node waits for."""
    return waits(session, [node.id]).get(node.id)


def _waiting(work: Flow | Row[*tuple[Any, ...]]) -> dict[str, Any] | None:
    if work.wait_for is not None:
        since, then = work.waiting_since, work.note
        deadline = None if work.wait_for == RELEASED else work.deadline  # people have all the time they want
    elif work.owner is None:
        since, deadline, then = work.entered_at, None, f"{work.step or 'the first step'} runs"
    else:
        return None
    return {"for": _awaited(work), "since": _stamp(since), "deadline": _stamp(deadline), "then": then}


def _awaited(work: Flow | Row[*tuple[Any, ...]]) -> str:
    if work.wait_for is not None:
        return work.wait_for
    needed = work.slot_needed if work.slot_needed != work.slot else work.pool
    if work.note:  # why the step is to run again
        return f"another try: {work.note.rstrip('.')}"
    return f"a free place among {needed}" if needed else "a free worker"


def describe_flow(session: Session, work: Flow, *, detail: bool) -> dict[str, Any]:
    """A piece of work for people; with detail, the steps it took, from the event log, and how long each lasted."""
    shown: dict[str, Any] = {
        "uuid": work.uuid,
        "kind": work.kind,
        "status": work.status,
        "step": work.step,
        "actor": work.actor,
        "created_at": _stamp(work.created_at),
        "updated_at": _stamp(work.updated_at),
        "finished_at": _stamp(work.finished_at),
        "reason": work.note if work.status in {"failed", "aborted"} else None,
        "abort_asked": work.abort_reason,
        "waiting": _waiting(work) if work.status == "active" else None,
        "deadline": _stamp(work.deadline) if work.status == "active" else None,
    }
    if detail:
        shown["steps"] = [
            {
                "at": _stamp(row.at),
                "kind": row.kind,
                "step": row.data.get("step"),
                "message": row.message,
                "duration_s": row.duration_s,
            }
            for row in _steps(session, work)
        ]
    return shown


def _steps(session: Session, work: Flow) -> list[Event]:
    """The engine's events of this flow, oldest first."""
    rows = session.scalars(
        select(Event)
        .where(Event.node_id == work.node_id, Event.actor == "engine", Event.at >= work.created_at)
        .order_by(Event.id)
        .limit(2000)
    )
    return [row for row in rows if row.data.get("flow") == work.uuid]


def why(session: Session, node: Node, *, now: datetime) -> dict[str, Any]:
    """Why the node is where it is: {sentence, state, target, step, waiting, failure, next}."""
    state = State(node.provision_state)
    work = flow.active_for(session, node.id)
    if work is not None:
        sentence = _about_work(session, node, work, now)
        next_step = f"wait, or rackwright node abort {node.label}"
    elif node.failure:
        failure = node.failure
        sentence = f'{node.label} is in "{state}": step {failure.get("step")}: {failure.get("reason")}'
        next_step = str(failure.get("next"))
    else:
        sentence = f'{node.label} is in "{state}" since {_ago(node.provision_updated_at, now)}; nothing runs on it.'
        next_step = _way_on(session, node, state)
    if node.maintenance:
        sentence += f" It is in maintenance: {node.maintenance_reason or 'no reason given'}."
    return {
        "sentence": sentence,
        "state": str(state),
        "target": node.target_provision_state,
        "step": work.step if work is not None else None,
        "waiting": None if work is None else _waiting(work),
        "failure": node.failure,
        "next": next_step,
    }


_USUAL = {State.ENROLL: "manage", State.MANAGEABLE: "provide", State.AVAILABLE: "deploy"}
"""What usually follows on a state in which all is well. Nothing is advised that would end or replace an instance."""


def _way_on(session: Session, node: Node, state: State) -> str:
    if state is State.RESCUE and node.agent_address:
        return f"ssh rescue@{node.agent_address}, then rackwright node unrescue {node.label}"
    if state is State.ACTIVE and node.instance_address:
        return f"ssh USER@{node.instance_address}   (debian in our images)"
    is_unknown = state is State.MANAGEABLE and session.get(Inventory, node.id) is None
    verbs = [str(verb) for verb in lifecycle.WAY_ON.get(state, ())] or [
        "inspect" if is_unknown else _USUAL.get(state, "show")
    ]
    command = f"rackwright node {verbs[0]} {node.label}"
    if node.maintenance and verbs[0] in REFUSED_IN_MAINTENANCE:
        return f"rackwright node maintenance off {node.label}"
    return f"{command} --image IMAGE" if verbs[0] == Verb.DEPLOY else command


def _about_work(session: Session, node: Node, work: Flow, now: datetime) -> str:
    start = f'{node.label} is in "{node.provision_state}": {work.kind}, step {work.step or "none yet"}'
    wait = _waiting(work)
    if wait is None:
        far = image_claims.progress(session, work.uuid) if work.step == image_claims.STEP else ""
        return f"{start}, runs since {_ago(work.entered_at, now)}{f': {far}' if far else ''}."
    since = _ago(work.waiting_since or work.entered_at, now)
    is_limited = work.deadline is not None and work.wait_for != RELEASED
    limit = f", at most until {work.deadline:%H:%M:%SZ}" if is_limited else ""
    then = f"; then {wait['then']}" if wait["then"] else ""
    return f"{start}, waits since {since} for {_in_words(session, str(wait['for']))}{limit}{then}."


def _in_words(session: Session, awaited: str) -> str:
    if awaited.startswith("agent.command:"):
        wanted = select(AgentCommand.name).where(AgentCommand.uuid == awaited.removeprefix("agent.command:"))
        return f"the agent to finish {session.scalar(wanted) or 'its work'}"
    return {
        "agent.alive": "the agent to call",
        "call-home": "the installed system to call home",
        RELEASED: "somebody to say unhold",
    }.get(awaited, awaited)


def _ago(at: datetime, now: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%SZ} ({max(0, round((now - at).total_seconds()))} s)"


def _stamp(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
