"""An allocation: somebody's claim on one node that fits."""

from typing import Any

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from appliance.models.columns import Kept
from appliance.models.database import Model
from appliance.models.node import Node


class Allocation(Kept, Model):
    """state: `allocating`, `active` (node_id is set) or `error` (with last_error). A node is claimed at most once.

    candidate_nodes: UUIDs, in the order of preference; empty means any. owner: the project that asked.
    """

    __tablename__ = "allocation"

    name: Mapped[str | None] = mapped_column(String(255), unique=True)
    node_id: Mapped[int | None] = mapped_column(ForeignKey("node.id", ondelete="CASCADE"), unique=True)
    state: Mapped[str] = mapped_column(String(16), default="allocating")
    last_error: Mapped[str | None] = mapped_column(Text)
    resource_class: Mapped[str | None] = mapped_column(String(80))
    traits: Mapped[list[Any]] = mapped_column(default=list)
    candidate_nodes: Mapped[list[Any]] = mapped_column(default=list)
    owner: Mapped[str | None] = mapped_column(String(255), index=True)

    node: Mapped[Node | None] = relationship()
