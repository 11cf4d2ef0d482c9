"""The one event log: append-only; timeline, audit, `why` and the live stream are readings of it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, TextClause, bindparam, text
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


@cache
def _insert_statement(rows: int) -> TextClause:
    """One statement for so many events, built once."""
    names = ("at", "node_id", "mac", "kind", "actor", "message", "data", "duration_s")
    one = "(" + ", ".join(f":{name}_{{0}}" for name in names) + ")"
    values = ", ".join(one.format(number) for number in range(rows))
    typed = [
        bindparam(f"{name}_{number}", type_=Event.__table__.c[name].type) for number in range(rows) for name in names
    ]
    return text(f"INSERT INTO event ({', '.join(names)}) VALUES {values}").bindparams(*typed)  # noqa: S608  (our names)


def record_all(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Append events at once and cheaply: keys as the arguments of `record`, all of them given."""
    if rows:
        values = {f"{name}_{number}": value for number, row in enumerate(rows) for name, value in row.items()}
        session.connection().execute(_insert_statement(len(rows)), values)


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
