"""An inspection rule: what to do to a node whose inventory fulfils conditions (appliance.domain.inspection_rules)."""

from typing import Any

from sqlalchemy import LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from appliance.models.columns import Kept
from appliance.models.database import Model


class InspectionRule(Kept, Model):
    """priority: higher runs first. sensitive: conditions and actions are shown to nobody, and may read secrets.

    Of a sensitive rule they are sealed in `secret`, and their own columns are empty.
    """

    __tablename__ = "inspection_rule"

    description: Mapped[str | None] = mapped_column(String(255))
    phase: Mapped[str] = mapped_column(String(16), default="main")
    priority: Mapped[int] = mapped_column(default=0)
    sensitive: Mapped[bool] = mapped_column(default=False)
    conditions: Mapped[list[Any]] = mapped_column(default=list)
    actions: Mapped[list[Any]] = mapped_column(default=list)
    secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    scope: Mapped[str | None] = mapped_column(String(255))
