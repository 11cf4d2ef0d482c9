"""Runs a claimed flow, step by step, until it waits, ends or is lost. No threads here; one transaction per transition.

What comes out of a step: an answer (appliance.domain.steps); a typed fault of a peer, repeated as the step's Retry
says and then failed with its public sentence; or anything else, which is our bug: the flow is put back and, the third
time, failed. Nothing a step raises ends the worker.
"""

import logging
from collections.abc import Callable, Mapping
from copy import deepcopy
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from appliance.domain.errors import RackwrightError
from appliance.domain.steps import Again, Failed, Next
from appliance.flows.lease import Lease
from appliance.flows.procedure import AbortAsked, Act, Procedure, Record, Step
from appliance.flows.resources import Resources
from appliance.flows.transition import Transition, line, lock_node
from appliance.models import event, flow_queue
from appliance.models.database import Database, JsonObject
from appliance.models.flow_queue import Claimed, Fenced, Needs
from appliance.models.node import Node
from bmc.errors import BmcError

log = logging.getLogger(__name__)

LOSSES_ALLOWED = 3
STUMBLE_PAUSE_S = 5.0


class Runner:
    def __init__(
        self,
        database: Database,
        flows: Mapping[str, Procedure],
        resources: Resources,
        *,
        clock: Callable[[], datetime],
        lease: Lease,
        chance: Callable[[], float],
    ) -> None:
        self._database = database
        self._flows = flows
        self._resources = resources
        self._clock = clock
        self._lease = lease
        self._chance = chance
        self.is_stopping = False
        """Set it, and running flows are left after the step that they are in."""

    def needs(self, row: Claimed) -> Needs:
        step = self._find(row)
        return step.needs if step is not None else Needs()

    def _find(self, row: Claimed) -> Step | None:
        """The step that a row names. A new flow names none yet: it begins with the first."""
        procedure = self._flows.get(row.kind)
        if procedure is None:
            return None
        if not row.step:
            row.step = row.row_step = procedure.first.name
        return procedure.steps.get(row.step)

    def run(self, row: Claimed) -> int:
        """Run until the row is no longer ours. Returns the number of steps run."""
        turns = 0
        try:
            is_ours = True
            while is_ours and not self.is_stopping:
                turns += 1
                is_ours = self._turn(row)
        except Fenced:
            log.info("step result dropped: flow %s is no longer ours", row.uuid)
        except (
            Exception
        ) as problem:  # a loop top: a broken step must not end the worker; at the third time the flow fails
            log.exception("step broke flow=%s kind=%s step=%s", row.uuid, row.kind, row.step)
            self._put_back(row, problem)
        return turns

    def _turn(self, row: Claimed) -> bool:
        if row.abort_reason is not None:
            return self._end(row, row.abort_reason, is_abort=True)
        if row.losses >= LOSSES_ALLOWED:
            return self._end(row, f"Step {row.step} broke {row.losses} times; the log has the details.")
        step = self._find(row)
        if step is None:
            return self._end(row, f"This version knows no step {row.step!r} of {row.kind!r}.")
        return self._act(row, step, step.act) if step.act is not None else self._record(row, step)

    def _act(self, row: Claimed, step: Step, function: Callable[[Act], Next]) -> bool:
        turn = Act(
            now=self._clock(),
            claimed=row,
            resources=self._resources,
            data=deepcopy(row.data),
            load_node=lambda: self._read_node(row.node_id),
            check=lambda: self._check(row),
        )
        if not self._lease.is_fresh:
            raise Fenced
        try:
            answer = function(turn)
        except AbortAsked:
            return True
        except (BmcError, RackwrightError) as fault:
            answer = self._after_fault(row, step, fault)
        with self._database.write() as session:
            if turn.changes:
                node = lock_node(session, row.node_id)
                for column, value in turn.changes.items():
                    setattr(node, column, value)
                node.updated_at = self._clock()
            return self._transition(session, row, turn.data, turn.now).apply(answer)

    def _read_node(self, node_id: int) -> Node:
        with self._database.read() as session:
            node = session.get_one(Node, node_id)
            session.expunge_all()
        return node

    def _check(self, row: Claimed) -> None:
        if not self._lease.is_fresh:
            raise Fenced
        with self._database.read() as session:
            row.abort_reason = flow_queue.look(session, row)
        if row.abort_reason is not None:
            raise AbortAsked

    def _record(self, row: Claimed, step: Step) -> bool:
        started_at = self._clock()
        assert step.record is not None
        try:
            with self._database.write() as session:
                node = lock_node(session, row.node_id)
                flow_queue.hold(session, row)
                if row.abort_reason is not None:
                    return True
                turn = Record(
                    now=started_at,
                    claimed=row,
                    resources=self._resources,
                    data=deepcopy(row.data),
                    session=session,
                    node=node,
                )
                answer = step.record(turn)
                return self._transition(session, row, turn.data, started_at).apply(answer)
        except (BmcError, RackwrightError) as fault:  # raised by the step: its transaction is undone
            answer = self._after_fault(row, step, fault)
        with self._database.write() as session:
            return self._transition(session, row, row.data, started_at).apply(answer)

    def _after_fault(self, row: Claimed, step: Step, fault: BmcError | RackwrightError) -> Next:
        pause_s = step.retry.pause_s(row.attempt + 1, self._chance()) if fault.retryable else None
        if pause_s is not None:
            return Again(in_s=pause_s, why=str(fault))
        tries = f" (after {row.attempt + 1} tries)" if row.attempt else ""
        return Failed(reason=f"{fault}{tries}")

    def _end(self, row: Claimed, reason: str, *, is_abort: bool = False) -> bool:
        with self._database.write() as session:
            lock_node(session, row.node_id)
            self._transition(session, row, row.data, self._clock()).fail(reason, is_abort=is_abort)
        return False

    def _transition(self, session: Session, row: Claimed, data: JsonObject, started_at: datetime) -> Transition:
        return Transition(
            session=session,
            row=row,
            procedure=self._flows.get(row.kind),
            now=self._clock(),
            started_at=started_at,
            data=data,
        )

    def _put_back(self, row: Claimed, problem: Exception) -> None:
        """Free the flow after an error that no step may raise; it is run again after a pause."""
        name = type(problem).__name__
        try:
            with self._database.write() as session:
                transition = self._transition(session, row, row.data, self._clock())
                wake_at = transition.now + timedelta(seconds=STUMBLE_PAUSE_S)
                if flow_queue.put_back(session, row, wake_at=wake_at, note=f"broke with {name}"):
                    said = f"{row.step}: broke with {name}; the log has the details."
                    event.record_all(session, [line(row, "step.retry", said, at=transition.now, duration_s=None)])
        except Exception:  # a loop top: the row is taken over later
            # The database is away. The row stays ours until Lease.take_over sees that we do not run it.
            log.exception("flow could not be put back flow=%s", row.uuid)
