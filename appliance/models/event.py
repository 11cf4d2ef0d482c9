"""The one event log: append-only; timeline, audit, `why` and the live stream are readings of it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ForeignKey, Index, String, Table, Text, insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from appliance.models.columns import UtcTime
from appliance.models.database import JsonObject, Model


class Event(Model):
    """One thing that happened.

    kind: dotted words from the general to the exact: `dhcp.ack`, `boot.script`, `state`, `step.done`, `agent.log`.
    actor: user name, `netboot`, `agent`, `engine` or `reconciler`. duration_s: seconds, when the event ends something.
    """

    __tablename__ = "event"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcTime)
    node_id: Mapped[int | None] = mapped_column(ForeignKey("node.id", ondelete="CASCADE"))
    mac: Mapped[str | None] = mapped_column(String(17), index=True)
    kind: Mapped[str] = mapped_column(String(48))
    actor: Mapped[str] = mapped_column(String(64))
    message: Mapped[str] = mapped_column(Text)
    data: Mapped[JsonObject] = mapped_column(default=dict)
    duration_s: Mapped[float | None]


Index("ix_event_node_id_id", Event.node_id, Event.id)


_TABLE = cast("Table", Event.__table__)
_INSERT = insert(_TABLE)


def record_all(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Append events at once and cheaply: keys as the arguments of `record`, all of them given."""
    if rows:
        session.connection().execute(_INSERT, rows)


def record(
    session: Session,
    *,
    at: datetime,
    kind: str,
    message: str,
    actor: str,
    node_id: int | None = None,
    mac: str | None = None,
    data: JsonObject | None = None,
    duration_s: float | None = None,
) -> Event:
    """Append an event inside the caller's transaction."""
    row = Event(
        at=at,
        kind=kind,
        message=message[:2000],
        actor=actor,
        node_id=node_id,
        mac=mac,
        data=data or {},
        duration_s=duration_s,
    )
    session.add(row)
    return row
