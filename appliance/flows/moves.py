"""State changes that records make: the lifecycle table decides, the node row and the event log keep it."""

from appliance.domain.lifecycle import MOVES, Move, Outcome, State, after
from appliance.flows.endings import set_state
from appliance.flows.procedure import Record


def move(turn: Record, outcome: Move, why: str) -> None:
    """Take the node where `outcome` leads. Raises IllegalMove when its state allows no such thing."""
    state = after(State(turn.node.provision_state), outcome)
    set_state(turn.session, turn.node, state, at=turn.now, actor="engine", why=why)
    turn.node.updated_at = turn.now


def enter_wait(turn: Record, why: str) -> None:
    """Into Ironic's waiting twin of the state, where there is one (`deploying` -> `wait call-back`)."""
    if (State(turn.node.provision_state), Outcome.WAIT) in MOVES:
        move(turn, Outcome.WAIT, why)


def leave_wait(turn: Record, why: str) -> None:
    """Back from the waiting twin. Harmless when the node is not in one."""
    if (State(turn.node.provision_state), Outcome.RESUME) in MOVES:
        move(turn, Outcome.RESUME, why)
