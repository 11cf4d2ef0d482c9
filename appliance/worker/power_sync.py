"""Compares the power state that each BMC reports with the one we know, and applies domain.power's decision.

A reconciler, not a flow: intent may change meanwhile. No transaction is open while BMCs are asked; a decision whose
node changed, or was taken by work, is thrown away, and the next round decides anew. Only changes are written.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.domain import power as rules
from appliance.domain.clock import Clock
from appliance.domain.errors import RackwrightError
from appliance.models import event, flow
from appliance.models.database import Database
from appliance.models.node import Node, lock
from appliance.services import power
from bmc.errors import BmcError
from bmc.types import BmcTarget, PowerState

log = logging.getLogger(__name__)

Sweep = Callable[[Iterable[BmcTarget]], Iterator[tuple[BmcTarget, PowerState | BmcError]]]
UNMANAGED = ("enroll", "verifying")
POWER_FAILURE_REASON = "the BMC did not answer three times in a row; cleared when it answers again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A node as it was when its BMC was asked."""

    node_id: int
    version: int


def sweep(
    database: Database, ask: Sweep, target_of: Callable[[Node], BmcTarget], policy: rules.PowerPolicy, clock: Clock
) -> int:
    """One round over all managed nodes. Returns how many rows changed."""
    with database.read() as session:
        wanted = list(_targets(_candidates(session, clock()), target_of))
    known = {(target.driver, target.address, target.udp_port): row for target, row in wanted}
    changed = 0
    for target, answer in ask([target for target, _row in wanted]):
        row = known[target.driver, target.address, target.udp_port]
        observed = answer if isinstance(answer, PowerState) else None
        changed += _apply(database, row, observed, policy, clock())
    return changed


def _targets(nodes: Iterable[Node], target_of: Callable[[Node], BmcTarget]) -> Iterator[tuple[BmcTarget, Known]]:
    """A node whose secret does not open is left out, and the others are asked."""
    for node in nodes:
        try:
            yield target_of(node), Known(node_id=node.id, version=node.version)
        except RackwrightError as fault:
            log.warning("power state not asked node=%s fault=%s", node.label, fault)


def _candidates(session: Session, now: datetime) -> Iterator[Node]:
    """Managed nodes that nobody works on. Manual maintenance is left alone; maintenance by our own fault is watched."""
    held = select(flow.Flow.node_id).where(flow.IS_ACTIVE)
    query = select(Node).where(
        Node.provision_state.not_in(UNMANAGED),
        Node.driver != "manual",
        Node.bmc_address.is_not(None),
        Node.id.not_in(held),
    )
    for node in session.scalars(query):
        if not power.is_under_way(node, now) and (not node.maintenance or node.fault == rules.POWER_FAILURE):
            yield node


def _apply(
    database: Database, known: Known, observed: PowerState | None, policy: rules.PowerPolicy, now: datetime
) -> bool:
    with database.read() as session:
        node = session.get(Node, known.node_id)
        if node is None or node.version != known.version:
            return False
        decision = rules.decide(_reading(node, observed), policy)
        if isinstance(decision, rules.Agree) and not decision.recovered and node.power_failures == 0:
            return False
        if isinstance(decision, rules.Suspect) and node.fault == rules.POWER_FAILURE:
            return False  # set aside already: one more silence is no news
    with database.write() as session:
        node = lock(session, known.node_id)
        if node is None or node.version != known.version or flow.active_for(session, known.node_id) is not None:
            return False
        _carry_out(session, node, decision, observed, now)
    return True


def _reading(node: Node, observed: PowerState | None) -> rules.Reading:
    state = node.target_power_state or node.power_state
    intended = PowerState(state) if state in (PowerState.ON.value, PowerState.OFF.value) else None
    return rules.Reading(intended=intended, observed=observed, failures=node.power_failures, fault=node.fault)


def _carry_out(
    session: Session, node: Node, decision: rules.Decision, observed: PowerState | None, now: datetime
) -> None:
    match decision:
        case rules.Suspect(failures=failures):
            node.power_failures = failures
            return
        case rules.SetAside(fault=fault, failures=failures):
            node.fault, node.power_failures, node.power_state = fault, failures, "error"
            node.maintenance, node.maintenance_reason = True, POWER_FAILURE_REASON
            text = f"set aside: {fault}; the BMC at {node.bmc_address} did not answer {failures} times"
            node.last_error = text
            log.warning("node set aside node=%s fault=%s", node.label, fault)
        case rules.Adopt(observed=seen):
            node.power_state = seen.value
            text = f"observed {seen.value}, which nobody here asked for"
        case rules.Agree() | rules.Enforce():
            text = f"observed {observed.value if observed else 'nothing'}"
    if observed is not None:
        _recover(node, observed, now)
    data = {"fault": node.fault} if node.fault else {}
    event.record(session, at=now, kind="power", actor="reconciler", node_id=node.id, message=text, data=data)


def _recover(node: Node, observed: PowerState, now: datetime) -> None:
    """The BMC answers: the fault, and only the maintenance that it began, is over."""
    node.power_failures, node.power_observed_at, node.power_state = 0, now, observed.value
    node.target_power_state = None
    if node.fault == rules.POWER_FAILURE:
        node.fault, node.maintenance, node.maintenance_reason, node.last_error = None, False, None, None
