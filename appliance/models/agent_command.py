"""What an agent was asked to do, and how it answered. The key makes a repeated request the same request."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from sqlalchemy import ForeignKey, String, Text, UniqueConstraint, bindparam, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from appliance.models import flow
from appliance.models.columns import UtcTime, new_uuid
from appliance.models.database import JsonObject, Model, announce


class AgentCommand(Model):
    """status: `queued`, `running`, `done`, `failed` or `cancelled`.

    key: chosen by the asking step (`flow:step:visit`); asking twice with one key yields one row.
    secret_params: sealed parameters (user-data, BMC passwords), opened only when the agent fetches the command.
    progress: {phase, done, total, unit, message} as last reported.
    """

    __tablename__ = "agent_command"
    __table_args__ = (UniqueConstraint("node_id", "key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str] = mapped_column(String(36), unique=True, default=new_uuid)
    node_id: Mapped[int] = mapped_column(ForeignKey("node.id", ondelete="CASCADE"), index=True)
    key: Mapped[str] = mapped_column(String(120))
    name: Mapped[str] = mapped_column(String(48))
    params: Mapped[JsonObject] = mapped_column(default=dict)
    secret_params: Mapped[bytes | None]
    status: Mapped[str] = mapped_column(String(16), default="queued")
    progress: Mapped[JsonObject | None]
    result: Mapped[JsonObject | None]
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcTime)


FINISHED = ("done", "failed", "cancelled")


def topic(node_id: int) -> str:
    """The bell that rings when there is something for this node's agent."""
    return f"agent:{node_id}"


def ask(
    session: Session,
    *,
    node_id: int,
    key: str,
    name: str,
    params: JsonObject,
    secret_params: bytes | None,
    now: datetime,
) -> AgentCommand:
    """Queue a command for the agent of a node. The same key gives the same row, whatever the other arguments."""
    known = session.scalar(select(AgentCommand).where(AgentCommand.node_id == node_id, AgentCommand.key == key))
    if known is not None:
        return known
    row = AgentCommand(
        uuid=new_uuid(),
        node_id=node_id,
        key=key,
        name=name,
        params=params,
        secret_params=secret_params,
        status="queued",
        created_at=now,
    )
    session.add(row)
    session.flush()
    announce(session, topic(node_id))
    return row


_RUNNING = select(AgentCommand.node_id, AgentCommand.progress).where(
    AgentCommand.status == "running", AgentCommand.node_id.in_(bindparam("nodes", expanding=True))
)


def progress_of(session: Session, node_ids: Sequence[int]) -> dict[int, JsonObject]:
    """How far the running commands of these nodes are, as last reported; only those that said something."""
    rows = session.execute(_RUNNING, {"nodes": node_ids}) if node_ids else ()
    return {row.node_id: row.progress for row in rows if row.progress}


def waited_for(command: AgentCommand) -> str:
    """Name of the signal that tells the end of a command."""
    return f"agent.command:{command.uuid}"


def finish(
    session: Session,
    *,
    command: AgentCommand,
    status: Literal["done", "failed"],
    result: JsonObject | None,
    error: str | None,
    now: datetime,
) -> bool:
    """Keep the answer and tell the node's work, in one transaction. False when it had ended before: nothing changes."""
    if command.status in FINISHED:
        return False
    command.status = status
    command.result = result
    command.error = error
    command.finished_at = now
    command.secret_params = None
    session.flush()
    flow.signal(
        session,
        node_id=command.node_id,
        name=waited_for(command),
        payload={"status": status, "result": result, "error": error},
        now=now,
    )
    return True


def sweep(session: Session, *, before: datetime) -> int:
    """Forget commands that ended before this time. Returns how many."""
    ended = delete(AgentCommand).where(AgentCommand.status.in_(FINISHED), AgentCommand.finished_at < before)
    return len(session.execute(ended.returning(AgentCommand.id)).all())


def cancel_all(session: Session, *, node_id: int, now: datetime) -> int:
    """Cancel what the node's agent has not finished; the agent learns it at its next update. Returns how many."""
    open_ones = session.scalars(
        select(AgentCommand).where(AgentCommand.node_id == node_id, AgentCommand.status.not_in(FINISHED))
    ).all()
    for command in open_ones:
        command.status = "cancelled"
        command.finished_at = now
        command.secret_params = None
    session.flush()
    return len(open_ones)
