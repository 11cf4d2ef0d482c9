"""What a step answered, as rows: the flow's, its events and, at a bad end, the node. One object for each answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from sqlalchemy.orm import Session

from appliance.domain.steps import Again, Done, Failed, Go, KeepWaiting, Next, Wait
from appliance.flows.batch import Batch
from appliance.flows.endings import Ending, leave_failed
from appliance.flows.procedure import Procedure
from appliance.models.database import JsonObject, announce
from appliance.models.flow import DUE_NOW, TOPIC
from appliance.models.flow_queue import Claimed, Fenced
from appliance.models.node import Node, lock

_NO_WAIT: Mapping[str, object] = dict.fromkeys(
    ("payload", "wait_for", "wait_then", "wait_else", "waiting_since", "deadline")
)
_NO_OWNER: Mapping[str, object] = {"owner": None, "pool": None, "slot_needed": None}
_ENDED: Mapping[str, object] = {**_NO_WAIT, **_NO_OWNER, "slot": None}


def lock_node(session: Session, node_id: int) -> Node:
    """The live row of a flow's node. Raises Fenced when there is none."""
    node = lock(session, node_id)
    if node is None:  # deleted meanwhile, and its work with it
        raise Fenced
    return node


@dataclass(slots=True, kw_only=True)
class Transition:
    """row: becomes what is written. data: the flow's memory as the step left it. started_at: when the step began.

    node: the flow's node, live and locked; a bad end needs it.
    """

    batch: Batch
    row: Claimed
    node: Node | None
    procedure: Procedure | None
    now: datetime
    started_at: datetime
    data: JsonObject

    def apply(self, answer: Next) -> bool:
        """True when the next step may run once this is durable, under the same lease."""
        match answer:
            case Go():
                return self._go(answer)
            case Wait():
                self._wait(answer)
            case KeepWaiting():
                self._keep_waiting(answer)
            case Again():
                self._again(answer)
            case Failed():
                self.fail(answer.reason, is_abort=False)
            case Done():
                self._done(answer)
            case _:
                assert_never(answer)
        if self.row.abort_reason is not None and not isinstance(answer, Failed | Done):
            self.batch.wake(self.row)  # asked while the step ran: the pause just noted must not hide it
        return False

    def _move(self, **values: object) -> None:
        """The row is written so; without an owner it leaves its pool, and with another slot its old one."""
        row, room = self.row, self.batch.room
        self.batch.move(row, now=self.now, values=values)
        if values.get("owner", row.owner) is None:
            room.leave(pool=row.pool)
        if values.get("slot", row.slot) != row.slot:
            room.leave(slot=row.slot)

    def _go(self, answer: Go) -> bool:
        row = self.row
        assert self.procedure is not None
        following = self.procedure.steps[answer.step]
        wanted = following.needs
        has_room = self.batch.room.take(wanted, held_pool=row.pool, held_slot=row.slot)
        kept_slot = wanted.slot if has_room or wanted.slot == row.slot else None
        self._move(
            **_NO_WAIT,
            step=following.name,
            entered_at=self.now,
            visit=row.visit + 1,
            attempt=0,
            losses=0,
            pool=wanted.pool,
            slot_needed=wanted.slot,
            slot=kept_slot,
            data=self.data,
            note=None,
            wake_at=DUE_NOW,
            owner=row.owner if has_room else None,
        )
        if has_room and wanted.pool != row.pool:
            self.batch.room.leave(pool=row.pool)
        self.note("step.done", f"{row.step} done", is_end=True)
        row.begin(following.name, now=self.now, needs=wanted, data=self.data)
        if has_room:
            self.note("step.start", f"{row.kind}: {row.step}")
        else:
            announce(self.batch.session, TOPIC)
        return has_room

    def _wait(self, answer: Wait) -> None:
        row = self.row
        wake_at = self.now + timedelta(seconds=answer.within_s)
        deadline = answer.deadline or wake_at
        self._move(
            **_NO_OWNER,
            step=row.step,
            visit=row.visit + 1,
            attempt=0,
            losses=0,
            payload=None,
            data=self.data,
            note=answer.says,
            wake_at=wake_at,
            wait_for=answer.for_,
            wait_then=answer.then,
            wait_else=answer.otherwise,
            waiting_since=self.now,
            deadline=deadline,
        )
        limit_s = (deadline - self.now).total_seconds()
        message = f"{row.step}: waits for {answer.for_}, at most {limit_s:.0f} s; then {answer.says}"
        self.note("step.wait", message, is_end=True, more={"for": answer.for_, "limit_s": limit_s})
        self.batch.wait(row, answer.for_)
        self._ring_if_soon(answer.within_s)

    def _keep_waiting(self, answer: KeepWaiting) -> None:
        self._move(**_NO_OWNER, data=self.data, losses=0, wake_at=self.now + timedelta(seconds=answer.within_s))
        if self.row.wait_for is not None:
            self.batch.wait(self.row, self.row.wait_for)

    def _again(self, answer: Again) -> None:
        row = self.row
        kept = {**_NO_WAIT, "payload": row.payload}
        self._move(
            **kept,
            step=row.step,
            entered_at=row.entered_at,
            owner=None,
            attempt=row.attempt + (not answer.is_poll),
            losses=0,
            data=self.data,
            note=answer.why[:500],
            wake_at=self.now + timedelta(seconds=answer.in_s),
        )
        if not answer.is_poll:
            self.note("step.retry", f"{row.step}: {answer.why} Next try in {answer.in_s:.1f} s.", is_end=True)
        self._ring_if_soon(answer.in_s)

    def _ring_if_soon(self, in_s: float) -> None:
        """The dispatcher sleeps a second at most; what is due before that must be said."""
        if in_s < 1:
            announce(self.batch.session, TOPIC)

    def _done(self, answer: Done) -> None:
        self._move(**_ENDED, status="done", finished_at=self.now, data=self.data, note=None)
        self.batch.end(self.row)
        self.note("step.done", f"{self.row.step} done", is_end=True)
        self.note("flow.done", answer.says or f"{self.row.kind} done")

    def fail(self, reason: str, *, is_abort: bool) -> None:
        """The flow ends here, and the node goes where the lifecycle table says."""
        row = self.row
        assert self.node is not None
        status = "aborted" if is_abort else "failed"
        self._move(**_ENDED, status=status, finished_at=self.now, note=reason[:500])
        self.batch.end(row)
        if not is_abort:
            self.note("step.failed", f"{row.row_step}: {reason}", is_end=True)
        self.note(f"flow.{status}", reason)
        step = self.procedure.steps.get(row.row_step) if self.procedure else None
        ending = Ending(
            kind=row.kind,
            step=row.row_step,
            reason=reason,
            at=self.now,
            is_abort=is_abort,
            has_spoilt_disk=step is not None and step.spoils_disk,
        )
        leave_failed(self.batch.session, self.node, ending)

    def note(self, kind: str, message: str, *, is_end: bool = False, more: JsonObject | None = None) -> None:
        """One line of the timeline. is_end: it ends what began at started_at, and says how long that took."""
        duration_s = (self.now - self.started_at).total_seconds() if is_end else None
        self.batch.note(line(self.row, kind, message, at=self.now, duration_s=duration_s, more=more))


def line(
    row: Claimed, kind: str, message: str, *, at: datetime, duration_s: float | None, more: JsonObject | None = None
) -> JsonObject:
    """An event of a flow, for event.record_all."""
    return {
        "at": at,
        "node_id": row.node_id,
        "mac": None,
        "kind": kind,
        "actor": "engine",
        "message": message[:2000],
        "data": {"flow": row.uuid, "kind": row.kind, "step": row.step, **(more or {})},
        "duration_s": duration_s,
    }
