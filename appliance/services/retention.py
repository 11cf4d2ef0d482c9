"""What is forgotten, and when: so that years of work, and floods, leave a database of bounded size.

Each transaction deletes at most BATCH rows: on SQLite every other writer waits for it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.orm import Session

from appliance.models.agent_command import FINISHED, AgentCommand
from appliance.models.database import Database
from appliance.models.event import Event
from appliance.models.flow import IS_ACTIVE, Flow
from appliance.models.image import ImageTask
from appliance.models.network import Lease
from appliance.models.node import Sighting

BATCH = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """events_of_node: the newest kept of each node; events_of_none: of machines that are no node, and of the site."""

    events_of_node: int = 10_000
    events_of_none: int = 100_000
    flows: timedelta = timedelta(days=90)
    commands: timedelta = timedelta(days=7)
    sightings: timedelta = timedelta(days=7)
    leases: timedelta = timedelta(days=1)


def sweep(database: Database, policy: Policy, *, now: datetime) -> int:
    """Forget what is old. Returns how many rows. Repeating it is harmless."""
    ended = ~IS_ACTIVE & (Flow.finished_at < now - policy.flows)
    answered = AgentCommand.status.in_(FINISHED) & (AgentCommand.finished_at < now - policy.commands)
    gone = _in_batches(database, lambda session: _delete(session, Flow, ended))
    gone += _in_batches(database, lambda session: _delete(session, AgentCommand, answered))
    gone += _in_batches(
        database, lambda session: _delete(session, Sighting, Sighting.last_seen_at < now - policy.sightings)
    )
    gone += _in_batches(database, lambda session: _delete(session, ImageTask, ImageTask.expires_at < now))
    with database.write() as session:
        over = delete(Lease).where(Lease.expires_at < now - policy.leases).returning(Lease.address)
        gone += len(session.execute(over).all())
    return gone + _sweep_events(database, policy)


def _sweep_events(database: Database, policy: Policy) -> int:
    with database.read() as session:
        counted = session.execute(select(Event.node_id, func.count()).group_by(Event.node_id)).all()
    gone = 0
    for node_id, count in counted:
        most = policy.events_of_none if node_id is None else policy.events_of_node
        if count > most:
            mine = Event.node_id.is_(None) if node_id is None else Event.node_id == node_id
            gone += _in_batches(database, partial(_oldest, mine=mine, most=most))
    return gone


def _oldest(session: Session, *, mine: ColumnElement[bool], most: int) -> int:
    """All but the newest `most`."""
    newest_gone = session.scalar(select(Event.id).where(mine).order_by(Event.id.desc()).offset(most).limit(1))
    return 0 if newest_gone is None else _delete(session, Event, mine & (Event.id <= newest_gone))


def _delete(
    session: Session, table: type[Event | Flow | AgentCommand | ImageTask | Sighting], which: ColumnElement[bool]
) -> int:
    some = select(table.id).where(which).order_by(table.id).limit(BATCH)
    return len(session.execute(delete(table).where(table.id.in_(some)).returning(table.id)).all())


def _in_batches(database: Database, some: Callable[[Session], int]) -> int:
    gone = 0
    while True:
        with database.write() as session:
            batch = some(session)
        gone += batch
        if batch < BATCH:
            return gone
