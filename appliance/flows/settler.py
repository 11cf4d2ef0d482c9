"""Settles flows: their answers, and the records that are ready, as many as there are in one transaction.

That transaction waits for no lock: what it cannot have, or what it breaks on, is settled alone (`settle_alone`), where
a step that raises harms only itself. No threads here; who calls is the engine.
"""

import logging
import time
from collections.abc import Callable, Collection, Sequence
from copy import copy, deepcopy
from dataclasses import dataclass, field

from appliance.domain.errors import RackwrightError
from appliance.domain.steps import Failed
from appliance.flows.batch import Batch
from appliance.flows.procedure import Record
from appliance.flows.runner import BROKE, Runner, Turned
from appliance.flows.transition import Transition, lock_node
from appliance.models import flow_queue
from appliance.models.database import Database
from appliance.models.flow_queue import Claimed, Fenced
from appliance.models.node import Node
from bmc.errors import BmcError

log = logging.getLogger(__name__)

BATCH_S = 0.01
"""A transaction over several flows begins no further step after this time: others want to write too."""


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


class Settler:
    """pools: names of all pools and slots that steps ask for."""

    def __init__(self, database: Database, runner: Runner, pools: Collection[str]) -> None:
        self._database = database
        self._runner = runner
        self._pools = pools

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
                self._runner.put_back(turned.row, problem)
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
        for number, (turned, row) in enumerate(pairs):
            if _wants_node(turned) and row.node_id not in nodes:
                settled.alone.append(turned)
            elif number and time.monotonic() > until:
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
        step = self._runner.find(row)
        reason = self._runner.end_of(row, step)
        if reason is not None:
            transition.fail(reason, is_abort=row.abort_reason is not None)
            return False
        assert step is not None
        assert step.record is not None
        turn = Record(
            now=turned.started_at,
            claimed=row,
            resources=self._runner.resources,
            data=deepcopy(row.data),
            session=batch.session,
            node=node,
        )
        try:
            answer = step.record(turn)
        except Exception as problem:  # on its way to the loop top, with the flow whose step it was
            raise Broke(turned, problem) from problem
        transition.data = turn.data
        return transition.apply(answer)

    def _transition(self, batch: Batch, turned: Turned, row: Claimed, node: Node | None) -> Transition:
        return Transition(
            batch=batch,
            row=row,
            node=node,
            procedure=self._runner.flows.get(row.kind),
            now=self._runner.clock(),
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
            self._runner.drop(turned.row)
        except Exception as problem:  # a loop top: a broken step must not end the worker; the third time the flow fails
            row = turned.row
            log.exception(BROKE, row.uuid, row.kind, row.step)
            self._runner.put_back(row, problem)
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

    def _after(self, broke: Broke) -> Turned | None:
        """What is written instead of what a record that raised would have written; None when the flow was put back."""
        row, problem = broke.turned.row, broke.problem
        step = self._runner.find(row)
        if step is None or not isinstance(problem, BmcError | RackwrightError):
            log.error(BROKE, row.uuid, row.kind, row.step, exc_info=problem)
            self._runner.put_back(row, problem)
            return None
        answer = self._runner.after_fault(row, step, problem)
        return Turned(row=row, started_at=broke.turned.started_at, answer=answer, data=row.data)


def _wants_node(turned: Turned) -> bool:
    return turned.answer is None or isinstance(turned.answer, Failed) or bool(turned.changes)
