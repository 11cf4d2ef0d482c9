"""Facts about this appliance that belong to the database and not to a file."""

from sqlalchemy import LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from appliance.models.database import Model


class Setting(Model):
    """name: `canary` (sealed with the master key; proves that key and database belong together)."""

    __tablename__ = "setting"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[bytes] = mapped_column(LargeBinary)
