"""A deploy template: steps of a deployment that asks for the trait that the template is named by."""

from typing import Any

from sqlalchemy import LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from appliance.models.columns import Kept
from appliance.models.database import Model


class DeployTemplate(Kept, Model):
    """steps: [{interface, step, args, priority}] with masks. secret: without them, sealed, if there are any."""

    __tablename__ = "deploy_template"

    name: Mapped[str] = mapped_column(String(255), unique=True)
    description: Mapped[str | None] = mapped_column(String(255))
    steps: Mapped[list[Any]] = mapped_column(default=list)
    secret: Mapped[bytes | None] = mapped_column(LargeBinary)
