"""What one transaction writes of several flows: collected flow by flow, written with a few statements at its end.

A commit that is durable costs milliseconds, a row of it some tens of microseconds: so flows that moved on at the same
time share the commit. None of them goes on before it is durable, and it is kept or undone for all of them.
"""

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy.orm import Session

from appliance.models import event, flow_queue
from appliance.models.database import JsonObject, announce
from appliance.models.flow import DUE_NOW, TOPIC
from appliance.models.flow_queue import Claimed
from appliance.services import events


class Batch:
    """room: places in pools and slots, for all flows of this transaction."""

    def __init__(self, session: Session, pools: Collection[str]) -> None:
        self.session = session
        self.room = flow_queue.Room(session, pools)
        self._moves: dict[int, JsonObject] = {}
        self._waits: dict[int, str] = {}
        self._ended: list[int] = []
        self._notes: list[JsonObject] = []

    def move(self, row: Claimed, *, now: datetime, values: Mapping[str, object]) -> None:
        """A transition of a row that this transaction holds; one for each row."""
        self._moves[row.id] = flow_queue.moved(row, now=now, values=values)

    def wait(self, row: Claimed, name: str) -> None:
        """The flow begins or goes on to wait. The signal may have come already: then the wait is over as it begins."""
        self._waits[row.id] = name

    def wake(self, row: Claimed) -> None:
        self._wake(row.id)

    def _wake(self, flow_id: int) -> None:
        self._moves[flow_id]["wake_at"] = DUE_NOW
        announce(self.session, TOPIC)

    def end(self, row: Claimed) -> None:
        """The flow is over: signals that it never answered go with it."""
        self._ended.append(row.id)

    def note(self, line: JsonObject) -> None:
        """An event, for event.record_all; after those that steps recorded themselves."""
        self._notes.append(line)

    def write(self) -> None:
        """Everything but the commit."""
        for flow_id in flow_queue.signalled(self.session, self._waits):
            self._wake(flow_id)
        flow_queue.move_all(self.session, self._moves.values())
        flow_queue.drop_signals(self.session, self._ended)
        self.session.flush()
        event.record_all(self.session, self._notes)
        if self._moves or self._notes:
            announce(self.session, events.TOPIC)
