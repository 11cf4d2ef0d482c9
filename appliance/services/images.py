"""Images as operators handle them: rows only. Their bytes are services.image_store."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from appliance.domain.errors import Conflict, Invalid, NotFound
from appliance.models import event
from appliance.models.image import Image
from appliance.models.node import Node

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,119}\Z")


def create(
    session: Session, *, name: str, sha256: str | None, properties: Mapping[str, Any], actor: str, now: datetime,
    is_coming: bool = False,
) -> Image:  # fmt: skip
    """An empty image. sha256: what the bytes must have, when somebody said so.

    is_coming: `saving` from the first moment, since we fetch the bytes ourselves; a restart then knows that it broke
    off. Else `queued`: it waits for an upload.
    """
    if len(name) > 120 or not _NAME.match(name):
        raise Invalid(f"{name[:60]!r} is not an image name", why="letters, digits and . _ + - are allowed, up to 120")
    if session.scalar(select(Image.id).where(Image.name == name)):
        raise Conflict(f"an image named {name!r} exists already", next_step=f"rackwright image delete {name}")
    status = "saving" if is_coming else "queued"
    row = Image(name=name, status=status, sha256=sha256, properties=dict(properties), created_at=now, updated_at=now)
    session.add(row)
    session.flush()
    event.record(session, at=now, kind="image.created", actor=actor, message=f"image {name} created")
    return row


def fetch(session: Session, ref: str) -> Image:
    row = session.scalar(select(Image).where(or_(Image.name == ref[:120], Image.uuid == ref.lower()[:36])))
    if row is None:
        raise NotFound(f"no image {ref[:120]!r}", next_step="rackwright image list")
    return row


def listing(session: Session) -> Sequence[Image]:
    return list(session.scalars(select(Image).order_by(Image.id).limit(1000)))


def delete(session: Session, row: Image, *, actor: str, now: datetime) -> None:
    """Forget an image, unless a node is being written from it right now."""
    for node in session.scalars(select(Node).where(Node.provision_state.in_(("deploying", "wait call-back")))):
        if (node.instance or {}).get("image_uuid") == row.uuid:
            raise Conflict(
                f"image {row.name} is being deployed to {node.label}", next_step=f"rackwright node why {node.label}"
            )
    session.delete(row)
    event.record(session, at=now, kind="image.deleted", actor=actor, message=f"image {row.name} deleted")
