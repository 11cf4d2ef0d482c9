"""Roles, what they imply, and who holds them where."""

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from appliance.models.columns import new_hex
from appliance.models.database import JsonObject, Model


class RoleRow(Model):
    """domain_id: empty for a role of all domains. A domain's own role only stands for the roles that it implies."""

    __tablename__ = "role"
    __table_args__ = (UniqueConstraint("domain_id", "name"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True, default=new_hex)
    domain_id: Mapped[str] = mapped_column(String(64), default="")
    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str | None] = mapped_column(Text)
    options: Mapped[JsonObject] = mapped_column(default=dict)
    extra: Mapped[JsonObject] = mapped_column(default=dict)


class Implication(Model):
    __tablename__ = "role_implication"

    prior_id: Mapped[str] = mapped_column(ForeignKey("role.id", ondelete="CASCADE"), primary_key=True)
    implied_id: Mapped[str] = mapped_column(ForeignKey("role.id", ondelete="CASCADE"), primary_key=True, index=True)


class Assignment(Model):
    """actor_kind: `user` (actor_id is the user's uuid) or `group`. target_kind: `project`, `domain` or `system`.

    is_inherited: holds on the projects below the target, not on the target itself.
    """

    __tablename__ = "role_assignment"
    __table_args__ = (
        UniqueConstraint("actor_kind", "actor_id", "target_kind", "target_id", "role_id", "is_inherited"),
        Index("ix_role_assignment_target", "target_kind", "target_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    actor_kind: Mapped[str] = mapped_column(String(8))
    actor_id: Mapped[str] = mapped_column(String(64))
    target_kind: Mapped[str] = mapped_column(String(8))
    target_id: Mapped[str] = mapped_column(String(64))
    role_id: Mapped[str] = mapped_column(ForeignKey("role.id", ondelete="CASCADE"), index=True)
    is_inherited: Mapped[bool] = mapped_column(default=False)
