"""Who does the work: the hosts on which engines run, and how nodes are grouped among them."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from appliance.domain.errors import NotFound
from appliance.models.flow import Worker
from appliance.models.node import Node
from appliance.services import belonging


@dataclass(frozen=True, slots=True, kw_only=True)
class Conductor:
    """A host with at least one engine on it. is_alive: whether one of them still holds its lease.

    seen_at: the moment at which its lease was good at last, or now.
    """

    id: int
    host: str
    is_alive: bool
    started_at: datetime
    seen_at: datetime


def listing(session: Session, *, now: datetime) -> list[Conductor]:
    """All hosts, in the order in which they came."""
    rows = session.execute(
        select(Worker.host, func.min(Worker.started_at), func.max(Worker.expires_at))
        .group_by(Worker.host)
        .order_by(func.min(Worker.started_at), Worker.host)
        .limit(1000)
    )
    return [
        Conductor(id=place, host=host, is_alive=expires > now, started_at=started, seen_at=min(now, expires))
        for place, (host, started, expires) in enumerate(rows, 1)
    ]


def fetch(session: Session, host: str, *, now: datetime) -> Conductor:
    for found in listing(session, now=now):
        if found.host == host:
            return found
    raise NotFound(f"Conductor {host[:255]} could not be found.")


def of_worker(session: Session, worker: str) -> str | None:
    """The host on which the engine with this id runs."""
    return session.scalar(select(Worker.host).where(Worker.id == worker))


def shards(session: Session, project: str | None) -> list[tuple[str | None, int]]:
    """How many visible nodes are in each shard; None for those in none."""
    counted = select(Node.shard, func.count()).where(belonging.visible(project)).group_by(Node.shard)
    rows = session.execute(counted.order_by(Node.shard.is_not(None), Node.shard).limit(1000))
    return [(shard, count) for shard, count in rows]
