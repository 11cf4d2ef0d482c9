"""What an agent was asked to do, and how it answered. The key makes a repeated request the same request."""

from datetime import datetime

from sqlalchemy import ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from appliance.models.columns import UtcTime, new_uuid
from appliance.models.database import JsonObject, Model


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
