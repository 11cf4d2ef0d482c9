"""The config-drive that somebody gave for a node's instance, beside the node so that no listing reads it."""

from sqlalchemy import ForeignKey, LargeBinary, String, delete
from sqlalchemy.orm import Mapped, Session, mapped_column

from appliance.models.database import Model

IMAGE, URL, PARTS = "image", "url", "parts"
"""kind: a file system as given, gzipped; where it is to be fetched; the documents that one is built of."""


class ConfigDrive(Model):
    """content: sealed for the node, in the form that its kind says."""

    __tablename__ = "config_drive"

    node_id: Mapped[int] = mapped_column(ForeignKey("node.id", ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(8))
    content: Mapped[bytes] = mapped_column(LargeBinary)


def keep(session: Session, *, node_id: int, kind: str, content: bytes) -> None:
    """In place of what was there."""
    session.merge(ConfigDrive(node_id=node_id, kind=kind, content=content))


def of(session: Session, *, node_id: int) -> ConfigDrive | None:
    return session.get(ConfigDrive, node_id)


def drop(session: Session, *, node_id: int) -> None:
    session.execute(delete(ConfigDrive).where(ConfigDrive.node_id == node_id))
