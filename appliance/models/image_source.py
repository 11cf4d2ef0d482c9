"""Images that were fetched because a deploy named their address: from where, by whose work, and how far that is."""

from datetime import datetime

from sqlalchemy import BigInteger, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from appliance.models.columns import UtcTime
from appliance.models.database import Model


class ImageSource(Model):
    """key: a digest of the address, of what the bytes must be and of their format: whoever names the same shares it.

    image_uuid: of its Image; no foreign key, since somebody may delete the image. address: for people, without what
    opens it. flow_uuid: the work that fetches it, or did. begun_at: of the first try; the limit of time counts from it.
    used_at: when a deploy took it, or a node was seen to have it.
    """

    __tablename__ = "image_source"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    image_uuid: Mapped[str] = mapped_column(String(36), unique=True)
    address: Mapped[str] = mapped_column(Text)
    flow_uuid: Mapped[str] = mapped_column(String(36), index=True)
    done_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    total_bytes: Mapped[int | None] = mapped_column(BigInteger)
    begun_at: Mapped[datetime | None] = mapped_column(UtcTime)
    used_at: Mapped[datetime] = mapped_column(UtcTime)
