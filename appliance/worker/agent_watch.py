"""Notices agents that fell silent in the middle of a command, and says how far they had come."""

import logging
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.models import agent_command, event
from appliance.models.agent_command import AgentCommand
from appliance.models.database import Database
from appliance.models.node import Node

log = logging.getLogger(__name__)


def sweep(database: Database, *, lost_after_s: float, now: datetime) -> int:
    """End every command whose agent was not heard for `lost_after_s` seconds. Returns how many."""
    limit = now - timedelta(seconds=lost_after_s)
    silent = (
        select(AgentCommand.id)
        .join(Node, Node.id == AgentCommand.node_id)
        .where(AgentCommand.status == "running", Node.agent_seen_at < limit)
    )
    with database.read() as session:
        found = list(session.scalars(silent))
    for command_id in found:
        with database.write() as session:
            _end(session, command_id, limit, now)
    return len(found)


def _end(session: Session, command_id: int, limit: datetime, now: datetime) -> None:
    row = session.get(AgentCommand, command_id)
    node = session.get(Node, row.node_id) if row is not None else None
    if (
        row is None
        or node is None
        or row.status != "running"
        or node.agent_seen_at is None
        or node.agent_seen_at >= limit
    ):
        return  # it spoke meanwhile
    text = f"agent lost during {row.name}{_how_far(row)}; last heard {node.agent_seen_at:%H:%M:%S} UTC"
    log.warning("agent lost node=%s command=%s", node.label, row.name)
    event.record(session, at=now, kind="agent.lost", actor="reconciler", node_id=node.id, message=text)
    node.agent_session_hash = None
    agent_command.finish(session, command=row, status="failed", result=None, error=text, now=now)


def _how_far(row: AgentCommand) -> str:
    progress = row.progress or {}
    total = progress.get("total") or 0
    return f" at {100 * progress.get('done', 0) // total}%" if total else ""
