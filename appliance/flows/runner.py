"""Runs steps of claimed flows and settles what they answered, as many as are ready in one transaction. No threads here.

An act runs outside any transaction (`act`); its answer, and every record, is settled (`settle`). Several flows settle
in one transaction that waits for no lock: what it cannot have, or what it breaks on, is settled alone (`settle_alone`),
where a step that raises harms only itself.

What comes out of a step: an answer (appliance.domain.steps); a typed fault of a peer, repeated as the step's Retry
says and then failed with its public sentence; or anything else, which is our bug: the flow is put back and, the third
time, failed. Nothing a step raises ends the worker.
"""

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from copy import copy, deepcopy
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from appliance.domain.errors import RackwrightError
from appliance.domain.steps import Again, Failed, Next
from appliance.flows.batch import Batch
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

BROKE = "step broke flow=%s kind=%s step=%s"
LOSSES_ALLOWED = 3
STUMBLE_PAUSE_S = 5.0
BATCH_S = 0.01
"""A transaction over several flows begins no further step after this time: others want to write too."""


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


@dataclass(slots=True, kw_only=True)
class Settled:
    """What became of flows in one transaction. All of it is durable.

    going_on: flows that run on under our lease, those just claimed too. ended: ids of those that wait or are over.
    alone: what must be settled alone. later: what found no more time.
    """

    going_on: list[Claimed] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)
    alone: list[Turned] = field(default_factory=list)
    later: list[Turned] = field(default_factory=list)


class Broke(Exception):
    """A record raised; its transaction is undone."""

    def __init__(self, turned: Turned, problem: Exception) -> None:
        super().__init__(str(problem))
        self.turned, self.problem = turned, problem


Claim = Callable[[Batch, int], list[Claimed]]
"""Claims in the transaction of a batch, knowing how many of its flows have ended."""


class Runner:
    def __init__(
        self,
        database: Database,
        flows: Mapping[str, Procedure],
        resources: Resources,
        *,
        pools: Collection[str],
        clock: Callable[[], datetime],
        lease: Lease,
        chance: Callable[[], float],
    ) -> None:
        self._database = database
        self._flows = flows
        self._resources = resources
        self._pools = pools
        self._clock = clock
        self._lease = lease
        self._chance = chance

    # Which step -------------------------------------------------------------------------------------------------------

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

    def is_act(self, row: Claimed) -> bool:
        """Whether the flow goes on with an act; else it only wants a transaction."""
        step = self._find(row)
        return step is not None and step.act is not None and self._end_of(row, step) is None

    def _end_of(self, row: Claimed, step: Step | None) -> str | None:
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
        step = self._find(row)
        assert step is not None
        assert step.act is not None
        turn = Act(
            now=self._clock(),
            claimed=row,
            resources=self._resources,
            data=deepcopy(row.data),
            load_node=lambda: self._read_node(row.node_id),
            check=lambda: self._check(row),
        )
        if not self._lease.is_fresh:
            self._drop(row)
            return None
        try:
            answer = step.act(turn)
        except Fenced:
            self._drop(row)
            return None
        except AbortAsked:
            return self.ready(row)
        except (BmcError, RackwrightError) as fault:
            answer = self._after_fault(row, step, fault)
        except Exception as problem:  # a loop top: a broken step must not end the worker; the third time the flow fails
            log.exception(BROKE, row.uuid, row.kind, row.step)
            self._put_back(row, problem)
            return None
        return Turned(row=row, started_at=turn.now, answer=answer, data=turn.data, changes=turn.changes)

    def ready(self, row: Claimed) -> Turned:
        """A flow whose step, or end, is made in the transaction itself."""
        return Turned(row=row, started_at=self._clock())

    def _read_node(self, node_id: int) -> Node:
        with self._database.read() as session:
            node = session.get_one(Node, node_id)
            session.expunge_all()
        return node

    def _check(self, row: Claimed) -> None:
        if not self._lease.is_fresh:
            raise Fenced
        with self._database.glance() as session:
            row.abort_reason = flow_queue.look(session, row)
        if row.abort_reason is not None:
            raise AbortAsked

    def _after_fault(self, row: Claimed, step: Step, fault: BmcError | RackwrightError) -> Next:
        pause_s = step.retry.pause_s(row.attempt + 1, self._chance()) if fault.retryable else None
        if pause_s is not None:
            return Again(in_s=pause_s, why=str(fault))
        tries = f" (after {row.attempt + 1} tries)" if row.attempt else ""
        return Failed(reason=f"{fault}{tries}")

    # Several at once --------------------------------------------------------------------------------------------------

    def settle(self, turns: Sequence[Turned], claim: Claim | None = None) -> Settled:
        """Settle these flows, then claim others, in one transaction. What `claim` raises comes out."""
        settled = Settled()
        is_written = False
        try:
            with self._database.write() as session:
                batch = Batch(session, self._pools)
                self._settle_free(batch, turns, settled)
                claimed = claim(batch, len(settled.ended)) if claim is not None else []
                batch.write()
                is_written = True
        except Broke as broke:
            answered = self._after(broke)
            others = [turned for turned in turns if turned is not broke.turned]
            return Settled(
                alone=others if answered is None else [answered, *others],
                ended=[broke.turned.row.id] if answered is None else [],
            )
        except Exception as problem:  # a loop top: which of them broke is found out by settling each alone
            if not turns:
                raise
            if not is_written:
                log.info("a transaction of %d flows is undone: %s", len(turns), type(problem).__name__)
                return Settled(alone=list(turns))
            # Whether it was kept is unknown: rows that are still ours are given back, and claimed anew.
            log.exception("the commit of %d flows failed", len(turns))
            for turned in turns:
                self._put_back(turned.row, problem)
            return Settled(ended=[turned.row.id for turned in turns])
        settled.going_on += claimed
        return settled

    def _settle_free(self, batch: Batch, turns: Sequence[Turned], settled: Settled) -> None:
        """Those whose rows nobody else has locked: waiting for one lock while holding another may be for ever."""
        rows = [copy(turned.row) for turned in turns]  # as they will be, should the transaction be kept
        held = flow_queue.hold_free(batch.session, rows) if rows else set()
        pairs = [(turned, row) for turned, row in zip(turns, rows, strict=True) if row.id in held]
        settled.alone += [turned for turned in turns if turned.row.id not in held]
        nodes = flow_queue.lock_free(batch.session, {row.node_id for turned, row in pairs if _wants_node(turned)})
        until = time.monotonic() + BATCH_S
        for turned, row in pairs:
            if _wants_node(turned) and row.node_id not in nodes:
                settled.alone.append(turned)
            elif time.monotonic() > until:
                settled.later.append(turned)
            elif self._apply(batch, turned, row, nodes.get(row.node_id)):
                settled.going_on.append(row)
            else:
                settled.ended.append(row.id)

    def _apply(self, batch: Batch, turned: Turned, row: Claimed, node: Node | None) -> bool:
        """Make the flow's next transition. True when it goes on under our lease."""
        transition = self._transition(batch, turned, row, node)
        if turned.answer is not None:
            if turned.changes:
                assert node is not None
                for column, value in turned.changes.items():
                    setattr(node, column, value)
                node.updated_at = transition.now
            transition.data = turned.data
            return transition.apply(turned.answer)
        assert node is not None
        step = self._find(row)
        reason = self._end_of(row, step)
        if reason is not None:
            transition.fail(reason, is_abort=row.abort_reason is not None)
            return False
        assert step is not None
        assert step.record is not None
        turn = Record(
            now=turned.started_at,
            claimed=row,
            resources=self._resources,
            data=deepcopy(row.data),
            session=batch.session,
            node=node,
        )
        try:
            answer = step.record(turn)
        except Exception as problem:
            raise Broke(turned, problem) from problem
        transition.data = turn.data
        return transition.apply(answer)

    def _transition(self, batch: Batch, turned: Turned, row: Claimed, node: Node | None) -> Transition:
        return Transition(
            batch=batch,
            row=row,
            node=node,
            procedure=self._flows.get(row.kind),
            now=self._clock(),
            started_at=turned.started_at,
            data=row.data,
        )

    # One alone --------------------------------------------------------------------------------------------------------

    def settle_alone(self, turned: Turned) -> Claimed | None:
        """Settle one flow, waiting for its locks. None when it is no longer ours: it waits, is over, or is lost."""
        try:
            try:
                return self._settle_one(turned)
            except Broke as broke:
                answered = self._after(broke)
            return None if answered is None else self._settle_one(answered)
        except Fenced:
            self._drop(turned.row)
        except Exception as problem:  # a loop top: a broken step must not end the worker; the third time the flow fails
            row = turned.row
            log.exception(BROKE, row.uuid, row.kind, row.step)
            self._put_back(row, problem)
        return None

    def _settle_one(self, turned: Turned) -> Claimed | None:
        row = copy(turned.row)
        with self._database.write() as session:
            batch = Batch(session, self._pools)
            node = lock_node(session, row.node_id) if _wants_node(turned) else None
            flow_queue.hold(session, row)
            goes_on = self._apply(batch, turned, row, node)
            batch.write()
        return row if goes_on else None

    # Misfortunes ------------------------------------------------------------------------------------------------------

    def _drop(self, row: Claimed) -> None:
        log.info("step result dropped: flow %s is no longer ours", row.uuid)

    def _after(self, broke: Broke) -> Turned | None:
        """What is written instead of what a record that raised would have written; None when the flow was put back."""
        row, problem = broke.turned.row, broke.problem
        step = self._find(row)
        if step is None or not isinstance(problem, BmcError | RackwrightError):
            log.error(BROKE, row.uuid, row.kind, row.step, exc_info=problem)
            self._put_back(row, problem)
            return None
        answer = self._after_fault(row, step, problem)
        return Turned(row=row, started_at=broke.turned.started_at, answer=answer, data=row.data)

    def _put_back(self, row: Claimed, problem: Exception) -> None:
        """Free the flow after an error that no step may raise; it is run again after a pause."""
        name, now = type(problem).__name__, self._clock()
        try:
            with self._database.write() as session:
                wake_at = now + timedelta(seconds=STUMBLE_PAUSE_S)
                if flow_queue.put_back(session, row, wake_at=wake_at, note=f"broke with {name}"):
                    said = f"{row.step}: broke with {name}; the log has the details."
                    event.record_all(session, [line(row, "step.retry", said, at=now, duration_s=None)])
        except Exception:  # a loop top: the row is taken over later
            # The database is away. The row stays ours until Lease.renew sees that we do not run it.
            log.exception("flow could not be put back flow=%s", row.uuid)


def _wants_node(turned: Turned) -> bool:
    return turned.answer is None or isinstance(turned.answer, Failed) or bool(turned.changes)
