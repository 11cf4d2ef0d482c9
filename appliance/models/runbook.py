"""A runbook: steps that an administrator has approved, to be run on a node by name."""

from typing import Any

from sqlalchemy import LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from appliance.models.columns import Kept
from appliance.models.database import Model


class Runbook(Kept, Model):
    """steps: [{interface, step, args, order}]. traits: a node needs one of them to be given the runbook (for clients
    that know runbooks without traits: the trait that the name is).

    Secrets among args are masks there; secret: the steps without masks, sealed, if there are any.
    owner: the project it belongs to; None with is_public: everybody's.
    """

    __tablename__ = "runbook"

    name: Mapped[str] = mapped_column(String(255), unique=True)
    description: Mapped[str | None] = mapped_column(String(255))
    steps: Mapped[list[Any]] = mapped_column(default=list)
    traits: Mapped[list[Any]] = mapped_column(default=list)
    secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    disable_ramdisk: Mapped[bool] = mapped_column(default=False)
    is_public: Mapped[bool] = mapped_column(default=False)
    owner: Mapped[str | None] = mapped_column(String(255), index=True)
