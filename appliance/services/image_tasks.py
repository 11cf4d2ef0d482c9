"""Imports as tasks: begun by a request, ended by whatever ends the image's import. Kept for two days."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import literal, select, tuple_, update
from sqlalchemy.orm import Session

from appliance.domain.access import Actor
from appliance.domain.errors import Forbidden, Invalid, NotFound
from appliance.domain.images import sees_all
from appliance.models.image import Image, ImageTask

KEPT_FOR = timedelta(hours=48)


def begin(
    session: Session, image: Image, *, actor: Actor, asked: Mapping[str, Any], request_id: str, now: datetime
) -> ImageTask:
    row = ImageTask(
        image_uuid=image.uuid, owner=actor.project_id, user_uuid=actor.user_uuid, request_id=request_id,
        asked=dict(asked), created_at=now, updated_at=now,
    )  # fmt: skip
    session.add(row)
    session.flush()
    return row


def start(session: Session, image_uuid: str, *, now: datetime) -> None:
    """The turn of an import has come."""
    _move(session, image_uuid, "pending", "processing", now=now)


def wait(session: Session, image_uuid: str, *, now: datetime) -> None:
    """It waits again, for a restart cut it off."""
    _move(session, image_uuid, "processing", "pending", now=now)


def _move(session: Session, image_uuid: str, of: str, to: str, *, now: datetime) -> None:
    here = (ImageTask.image_uuid == image_uuid, ImageTask.status == of)
    session.execute(update(ImageTask).where(*here).values(status=to, updated_at=now))


def end(session: Session, image_uuid: str, *, problem: str, now: datetime) -> None:
    """The import of an image has ended. problem: empty when all went well."""
    session.execute(
        update(ImageTask)
        .where(ImageTask.image_uuid == image_uuid, ImageTask.status.in_(("pending", "processing")))
        .values(status="failure" if problem else "success", message=problem, updated_at=now, expires_at=now + KEPT_FOR)
    )


def of_image(session: Session, image: Image) -> Sequence[ImageTask]:
    query = select(ImageTask).where(ImageTask.image_uuid == image.uuid).order_by(ImageTask.id.desc()).limit(100)
    return list(session.scalars(query))


def fetch(session: Session, actor: Actor, uuid: str) -> ImageTask:
    _demand(actor)
    row = session.scalar(select(ImageTask).where(ImageTask.uuid == uuid.lower()[:36]))
    if row is None:
        raise NotFound(f"No task found with ID {uuid[:64]}")
    return row


SORTS = {"created_at": ImageTask.id, "type": ImageTask.id, "id": ImageTask.uuid, "status": ImageTask.status}
"""There is one type of task."""


def search(
    session: Session, actor: Actor, *, status: str | None, owner: str | None, is_descending: bool, marker: str | None,
    limit: int, sort: str = "created_at",
) -> Sequence[ImageTask]:  # fmt: skip
    """In the order of one of SORTS; of equals, and usually, in that in which they began."""
    _demand(actor)
    column = SORTS[sort]
    keys = (column, ImageTask.id)
    query = select(ImageTask).order_by(*(key.desc() if is_descending else key for key in keys))
    if status is not None:
        query = query.where(ImageTask.status == status)
    if owner is not None:
        query = query.where(ImageTask.owner == owner)
    if marker is not None:
        last = session.execute(select(*keys).where(ImageTask.uuid == marker.lower()[:36])).first()
        if last is None:
            raise Invalid(f"no task {marker[:64]!r}; a marker is the id of a task")
        here, there = tuple_(*keys), tuple_(*(literal(value) for value in last))
        query = query.where(here < there if is_descending else here > there)
    return list(session.scalars(query.limit(limit)))


def _demand(actor: Actor) -> None:
    if not sees_all(actor):
        raise Forbidden("You are not authorized to complete tasks_api_access action.")
