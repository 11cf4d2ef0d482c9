"""A chassis: what holds several nodes, as people describe it."""

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from appliance.models.columns import Kept
from appliance.models.database import Model


class Chassis(Kept, Model):
    __tablename__ = "chassis"

    description: Mapped[str | None] = mapped_column(String(255))
