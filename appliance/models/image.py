"""Images: records of disk images and of other files that machines boot. The bytes lie below STATE/images."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from appliance.models.columns import UtcTime, new_uuid
from appliance.models.database import JsonObject, Model


class Image(Model):
    """status, visibility: appliance.domain.images. problem: why its bytes were refused, the last time.

    name: need not be unique (Decision 160). disk_format, container_format: what the uploader called it, checked
    against the bytes; of an image that was imported natively, what they were found to be.
    size_bytes: of the file as imported; virtual_size_bytes: of the disk it unfolds to.
    md5, sha256, sha512: of the file as imported; before that, sha256 is what somebody says that it must be.
    stream: how the agent fetches it (images.stream.Stream as JSON); None: it cannot be deployed, and not_deployable
    says why. owner: id of a project; None: it belongs to the appliance. min_disk: GiB. min_ram: MiB.
    holder: the appliance that has its bytes in hand while they come in.
    """

    __tablename__ = "image"

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str] = mapped_column(String(36), unique=True, default=new_uuid)
    name: Mapped[str | None] = mapped_column(String(255), index=True)
    status: Mapped[str] = mapped_column(String(16), default="queued")
    problem: Mapped[str | None] = mapped_column(Text)
    owner: Mapped[str | None] = mapped_column(String(255), index=True)
    visibility: Mapped[str] = mapped_column(String(16), default="public")
    is_protected: Mapped[bool] = mapped_column(default=False)
    is_hidden: Mapped[bool] = mapped_column(default=False)
    min_disk: Mapped[int] = mapped_column(default=0)
    min_ram: Mapped[int] = mapped_column(default=0)
    disk_format: Mapped[str | None] = mapped_column(String(16))
    container_format: Mapped[str | None] = mapped_column(String(16))
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    virtual_size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    md5: Mapped[str | None] = mapped_column(String(32))
    sha256: Mapped[str | None] = mapped_column(String(64))
    sha512: Mapped[str | None] = mapped_column(String(128))
    stream: Mapped[JsonObject | None]
    not_deployable: Mapped[str | None] = mapped_column(Text)
    holder: Mapped[str | None] = mapped_column(String(255))
    properties: Mapped[JsonObject] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    updated_at: Mapped[datetime] = mapped_column(UtcTime)

    tags: Mapped[list["ImageTag"]] = relationship(
        cascade="all, delete-orphan", order_by="ImageTag.value", lazy="selectin"
    )

    @property
    def label(self) -> str:
        """What people call it: its name, else its UUID."""
        return self.name or self.uuid


Index("ix_image_created_at_uuid", Image.created_at, Image.uuid)


class RetiredImage(Model):
    """The id of an image that was deleted: it is given to no other one (Decision 245)."""

    __tablename__ = "image_retired"

    uuid: Mapped[str] = mapped_column(String(36), primary_key=True)


class ImageTag(Model):
    __tablename__ = "image_tag"

    image_id: Mapped[int] = mapped_column(ForeignKey("image.id", ondelete="CASCADE"), primary_key=True)
    value: Mapped[str] = mapped_column(String(255), primary_key=True)


class ImageMember(Model):
    """A project with which an image is shared. member: its id."""

    __tablename__ = "image_member"

    image_id: Mapped[int] = mapped_column(ForeignKey("image.id", ondelete="CASCADE"), primary_key=True)
    member: Mapped[str] = mapped_column(String(255), primary_key=True, index=True)
    status: Mapped[str] = mapped_column(String(16), default="pending")
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    updated_at: Mapped[datetime] = mapped_column(UtcTime)


class ImageFetch(Model):
    """An address from which an image is still to be fetched. sealed: with what its bytes must be. begun_at: its first
    turn; the limit of time counts from it.
    """

    __tablename__ = "image_fetch"

    image_id: Mapped[int] = mapped_column(ForeignKey("image.id", ondelete="CASCADE"), primary_key=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    begun_at: Mapped[datetime | None] = mapped_column(UtcTime)


class ImageTask(Model):
    """An import that somebody asked for, and how it went. status: `pending` (it waits for its turn), `processing`,
    `success` or `failure`.

    image_uuid: no foreign key, since a task outlives its image. asked: the request, without a password.
    """

    __tablename__ = "image_task"

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str] = mapped_column(String(36), unique=True, default=new_uuid)
    image_uuid: Mapped[str] = mapped_column(String(36), index=True)
    owner: Mapped[str | None] = mapped_column(String(255))
    user_uuid: Mapped[str] = mapped_column(String(64), default="")
    request_id: Mapped[str] = mapped_column(String(64), default="")
    status: Mapped[str] = mapped_column(String(16), default="pending")
    asked: Mapped[JsonObject]
    message: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column(UtcTime)
    updated_at: Mapped[datetime] = mapped_column(UtcTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcTime, index=True)
