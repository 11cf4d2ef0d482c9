"""Runs acts of claimed flows, and knows which step a flow is at. No threads and no transitions here (settler).

What comes out of a step: an answer (appliance.domain.steps); a typed fault of a peer, repeated as the step's Retry
says and then failed with its public sentence; or anything else, which is our bug: the flow is put back and, the third
time, failed. Nothing a step raises ends the worker.
"""

import logging
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from appliance.domain.errors import RackwrightError
from appliance.domain.steps import Again, Failed, Next
from appliance.flows.lease import Lease
from appliance.flows.procedure import AbortAsked, Act, Procedure, Step
from appliance.flows.resources import Resources
from appliance.flows.transition import line
from appliance.models import event, flow_queue
from appliance.models.database import Database, JsonObject, is_out_of_order
from appliance.models.flow_queue import Claimed, Fenced, Needs
from appliance.models.node import Node
from bmc.errors import BmcError

log = logging.getLogger(__name__)

BROKE = "step broke flow=%s kind=%s step=%s"
LOSSES_ALLOWED = 3
STUMBLE_PAUSE_S = 5.0


@dataclass(slots=True, kw_only=True)
class Turned:
    """A flow that wants a transaction. answer: of its act; None when its record is to be run, or its end to be made.

    data: the flow's memory as the act left it. changes: columns of the node that the act has set.
    """

    row: Claimed
    started_at: datetime
    answer: Next | None = None
    data: JsonObject = field(default_factory=dict)
    changes: JsonObject = field(default_factory=dict)


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
        self.flows = flows
        self.resources = resources
        self.clock = clock
        self._lease = lease
        self._chance = chance

    # Which step -------------------------------------------------------------------------------------------------------

    def needs(self, row: Claimed) -> Needs:
        step = self.find(row)
        return step.needs if step is not None else Needs()

    def find(self, row: Claimed) -> Step | None:
        """The step that a row names. A new flow names none yet: it begins with the first."""
        procedure = self.flows.get(row.kind)
        if procedure is None:
            return None
        if not row.step:
            row.step = row.row_step = procedure.first.name
        return procedure.steps.get(row.step)

    def is_act(self, row: Claimed) -> bool:
        """Whether the flow goes on with an act; else it only wants a transaction."""
        step = self.find(row)
        return step is not None and step.act is not None and self.end_of(row, step) is None

    def end_of(self, row: Claimed, step: Step | None) -> str | None:
        """Why the flow must end instead of running its step."""
        if row.abort_reason is not None:
            return row.abort_reason
        if row.losses >= LOSSES_ALLOWED:
            return f"Step {row.step} broke {row.losses} times; the log has the details."
        if step is None:
            return f"This version knows no step {row.step!r} of {row.kind!r}."
        return None

    # Acts -------------------------------------------------------------------------------------------------------------

    def act(self, row: Claimed) -> Turned | None:
        """Run the act that the flow is at. None when the flow is no longer ours."""
        step = self.find(row)
        assert step is not None
        assert step.act is not None
        turn = Act(
            now=self.clock(),
            claimed=row,
            resources=self.resources,
            data=deepcopy(row.data),
            load_node=lambda: self._read_node(row.node_id),
            check=lambda: self._check(row),
        )
        if not self._lease.is_fresh:
            self.drop(row)
            return None
        try:
            answer = step.act(turn)
        except Fenced:
            self.drop(row)
            return None
        except AbortAsked:
            return self.ready(row)
        except (BmcError, RackwrightError) as fault:
            answer = self.after_fault(row, step, fault)
        except Exception as problem:  # a loop top: a broken step must not end the worker; the third time the flow fails
            log.exception(BROKE, row.uuid, row.kind, row.step)
            self.put_back(row, problem)
            return None
        return Turned(row=row, started_at=turn.now, answer=answer, data=turn.data, changes=turn.changes)

    def ready(self, row: Claimed) -> Turned:
        """A flow whose step, or end, is made in the transaction itself."""
        return Turned(row=row, started_at=self.clock())

    def _read_node(self, node_id: int) -> Node:
        with self._database.read() as session:
            node = session.get_one(Node, node_id)
            session.expunge_all()
        return node

    def _check(self, row: Claimed) -> None:
        if not self._lease.is_fresh:
            raise Fenced
        with self._database.glance() as connection:
            row.abort_reason = flow_queue.look(connection, row)
        if row.abort_reason is not None:
            raise AbortAsked

    def after_fault(self, row: Claimed, step: Step, fault: BmcError | RackwrightError) -> Next:
        pause_s = step.retry.pause_s(row.attempt + 1, self._chance()) if fault.retryable else None
        if pause_s is not None:
            return Again(in_s=pause_s, why=str(fault))
        tries = f" (after {row.attempt + 1} tries)" if row.attempt else ""
        return Failed(reason=f"{fault}{tries}")

    # Misfortunes ------------------------------------------------------------------------------------------------------

    def drop(self, row: Claimed) -> None:
        log.info("step result dropped: flow %s is no longer ours", row.uuid)

    def put_back(self, row: Claimed, problem: BaseException) -> None:
        """Free the flow after an error that no step may raise; it is run again after a pause.

        Trouble of the database itself counts as nobody's: a flow waits for space on the disk as long as that takes.
        """
        name, now = type(problem).__name__, self.clock()
        try:
            with self._database.write() as session:
                wake_at = now + timedelta(seconds=STUMBLE_PAUSE_S)
                is_loss = not is_out_of_order(problem)
                if flow_queue.put_back(session, row, wake_at=wake_at, note=f"broke with {name}", is_loss=is_loss):
                    said = f"{row.step}: broke with {name}; the log has the details."
                    event.record_all(session, [line(row, "step.retry", said, at=now, duration_s=None)])
        except Exception:  # a loop top: the row is taken over later
            # The database is away. The row stays ours until Lease.renew sees that we do not run it.
            log.exception("flow could not be put back flow=%s", row.uuid)
