"""Power as operators ask for it: the wish is stored first, so that a reconciler can finish what a crash left."""

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from appliance.domain.clock import Clock
from appliance.domain.errors import NodeLocked
from appliance.models import event, flow
from appliance.models.database import Database
from appliance.models.node import Node, lock
from bmc.api import Bmc
from bmc.errors import BmcError
from bmc.types import PowerAction, PowerState

log = logging.getLogger(__name__)

TARGET: dict[PowerAction, PowerState] = {
    PowerAction.ON: PowerState.ON,
    PowerAction.OFF: PowerState.OFF,
    PowerAction.SOFT_OFF: PowerState.OFF,
    PowerAction.RESET: PowerState.ON,
    PowerAction.CYCLE: PowerState.ON,
}
CONFIRM_S = 60.0
CONFIRM_EVERY_S = 1.0
FORGOTTEN_S = 180.0
"""A wish that is older was left by a crash: nobody carries it out any more (appliance.worker.power_sync ends it)."""


def ask(session: Session, node: Node, action: PowerAction, *, actor: str, now: datetime) -> None:
    """Store what is wanted. Refused while work holds the node."""
    held = flow.active_for(session, node.id)
    if held is not None:
        said = f"{node.label} is held by {held.kind}; its power is not yours now"
        raise flow.locked(session, node.id, held, said, next_step=f"rackwright node abort {node.label}")
    if is_under_way(node, now):
        raise NodeLocked(
            f"{node.label} is being switched already",
            next_step=f"wait, then rackwright node power status {node.label}",
            node=node.uuid,
        )
    node.target_power_state, node.updated_at = TARGET[action].value, now
    event.record(
        session, at=now, kind="power.ask", actor=actor, node_id=node.id, message=f"power {action.value} requested"
    )


def is_under_way(node: Node, now: datetime) -> bool:
    """Whether somebody's wish is being carried out right now."""
    return node.target_power_state is not None and abs(now - node.updated_at) < timedelta(seconds=FORGOTTEN_S)


def carry_out(
    database: Database,
    connect: Callable[[Node], Bmc],
    node_id: int,
    action: PowerAction,
    clock: Clock,
    *,
    confirm_s: float = CONFIRM_S,
    first: PowerAction | None = None,
) -> None:
    """Ask the BMC, read back until it is so, and write down what was observed, never what was hoped.

    confirm_s: how long to wait for it to be so. first: what must be done and seen before, as a soft off before an on.
    """
    with database.read() as session:
        node = session.get(Node, node_id)
        held = flow.active_for(session, node_id)
    if node is None:
        return
    observed: PowerState | None = None
    problem: str | None
    if held is not None:
        problem = f"{held.kind} began meanwhile; the machine is its own now"
    else:
        observed, problem = _switch(connect, node, first, confirm_s) if first is not None else (None, None)
        if problem is None:
            observed, problem = _switch(connect, node, action, confirm_s)
    with database.write() as session:
        _conclude(session, node_id, action, observed=observed, problem=problem, now=clock())


def _switch(
    connect: Callable[[Node], Bmc], node: Node, action: PowerAction, confirm_s: float
) -> tuple[PowerState | None, str | None]:
    """What was observed in the end, and what went wrong."""
    try:
        bmc = connect(node)
        bmc.power(action)
        observed = _settled(bmc, TARGET[action], confirm_s)
    except BmcError as error:
        return None, str(error)
    is_done = observed is TARGET[action]
    return observed, None if is_done else f"power state did not change to {TARGET[action].value} in {confirm_s:.0f} s"


def _settled(bmc: Bmc, wanted: PowerState, confirm_s: float) -> PowerState:
    deadline = time.monotonic() + confirm_s
    observed = bmc.power_state()
    while observed is not wanted and time.monotonic() < deadline:
        time.sleep(CONFIRM_EVERY_S)
        observed = bmc.power_state()
    return observed


def _conclude(
    session: Session,
    node_id: int,
    action: PowerAction,
    *,
    observed: PowerState | None,
    problem: str | None,
    now: datetime,
) -> None:
    node = lock(session, node_id)
    if node is None:
        return
    node.target_power_state = None
    if observed is not None:
        node.power_state, node.power_observed_at = observed.value, now
    if problem is not None:
        node.last_error = f"power {action.value}: {problem}"
        log.warning("power failed node=%s action=%s reason=%s", node.label, action.value, problem)
    text = f"power {action.value}: {problem}" if problem else f"observed {observed.value if observed else 'nothing'}"
    kind = "power.failed" if problem else "power"
    event.record(session, at=now, kind=kind, actor="bmc", node_id=node_id, message=text)
