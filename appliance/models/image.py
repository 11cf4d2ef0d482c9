"""A disk image that can be deployed. The bytes are files below STATE/images; the row is the truth about them."""

from datetime import datetime

from sqlalchemy import BigInteger, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from appliance.models.columns import UtcTime, new_uuid
from appliance.models.database import JsonObject, Model


class Image(Model):
    """status: `queued`, `saving`, `active` or `killed` (with `problem` saying why).

    disk_format: what the bytes were found to be (`raw`, `qcow2`), never what somebody claimed.
    size_bytes: of the file as imported; virtual_size_bytes: of the disk it unfolds to.
    sha256: of the file as imported. stream: how the agent fetches it (images.stream.Stream as JSON).
    """

    __tablename__ = "image"

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str] = mapped_column(String(36), unique=True, default=new_uuid)
    name: Mapped[str] = mapped_column(String(120), unique=True)
    status: Mapped[str] = mapped_column(String(16), default="queued")
    problem: Mapped[str | None] = mapped_column(Text)
    disk_format: Mapped[str | None] = mapped_column(String(16))
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    virtual_size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    sha256: Mapped[str | None] = mapped_column(String(64))
    stream: Mapped[JsonObject | None]
    properties: Mapped[JsonObject] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    updated_at: Mapped[datetime] = mapped_column(UtcTime)
