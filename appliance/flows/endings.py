"""How a flow that does not succeed leaves its node: a named state, a reason, a step, a time and what to do next."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from appliance.domain import lifecycle
from appliance.domain.lifecycle import MOVES, Outcome, State, Verb
from appliance.models import agent_command, event
from appliance.models.node import Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """step: where it ended. is_abort: somebody asked for it. has_spoilt_disk: it ended in the middle of a write."""

    kind: str
    step: str
    reason: str
    at: datetime
    is_abort: bool
    has_spoilt_disk: bool


def set_state(session: Session, node: Node, state: State, *, at: datetime, actor: str, why: str) -> None:
    """Move the node in the caller's transaction, and say so in the event log. The table was asked before."""
    old = node.provision_state
    if old == state:
        return
    node.provision_state = state
    node.provision_updated_at = node.updated_at = at
    if state in lifecycle.STABLE:
        node.target_provision_state = None
    event.record(
        session,
        at=at,
        kind="state",
        message=f"{old} -> {state}: {why}",
        actor=actor,
        node_id=node.id,
        data={"from": old, "to": str(state), "why": why},
    )


def next_action(label: str, state: State) -> str:
    """The command that leads on from a state in which work has failed."""
    commands = [f"rackwright node {verb} {label}" for verb in lifecycle.WAY_ON.get(state, ())]
    if state is State.ENROLL:  # its BMC could not be verified, so what we know of it is in doubt
        commands.insert(0, f"rackwright node set {label} --bmc ADDRESS --username NAME --password-file FILE")
    return " && ".join(commands) or f"rackwright node show {label}"


def leave_failed(session: Session, node: Node, ending: Ending) -> None:
    """Put the node where the table says, and stop its agent. Maintenance is never touched here."""
    agent_command.cancel_all(session, node_id=node.id, now=ending.at)
    before = State(node.provision_state)
    moves = (Verb.ABORT, Outcome.FAIL) if ending.is_abort else (Outcome.FAIL,)
    after = next((MOVES[before, move] for move in moves if (before, move) in MOVES), before)
    set_state(session, node, after, at=ending.at, actor="engine", why=ending.reason)
    node.last_error = ending.reason
    node.failure = {
        "step": ending.step,
        "reason": ending.reason,
        "at": ending.at.isoformat().replace("+00:00", "Z"),
        "next": next_action(node.label, after),
    }
    if ending.has_spoilt_disk:
        node.failure["disk"] = "invalid"
    node.boot_expected_until = None
    node.updated_at = ending.at
