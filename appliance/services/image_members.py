"""With whom an image is shared, and what they say about it."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from appliance.domain import images as rules
from appliance.domain.access import Actor
from appliance.domain.errors import Conflict, Forbidden, Invalid, NotFound, TooLarge
from appliance.domain.images import MemberStatus, Visibility
from appliance.models.image import Image, ImageMember
from appliance.services import image_catalog

MOST_MEMBERS = 128


def listing(session: Session, actor: Actor, uuid: str) -> tuple[Image, Sequence[ImageMember]]:
    """Its owner sees all members, a member itself alone."""
    row = _shared(session, actor, uuid)
    query = select(ImageMember).where(ImageMember.image_id == row.id)
    query = query.order_by(ImageMember.created_at, ImageMember.member)
    if not rules.sees_all(actor) and row.owner != actor.project_id:
        query = query.where(ImageMember.member == actor.project_id)
    return row, list(session.scalars(query))


def fetch(session: Session, actor: Actor, uuid: str, member: str) -> tuple[Image, ImageMember]:
    row, members = listing(session, actor, uuid)
    found = next((item for item in members if item.member == member), None)
    if found is None:
        raise NotFound(f"{member[:255]} not found in the member list of the image {row.uuid}.")
    return row, found


def add(session: Session, actor: Actor, uuid: str, member: str, *, now: datetime) -> tuple[Image, ImageMember]:
    row = _shared(session, actor, uuid, is_locked=True)
    _demand(actor, row, "create")
    if not 1 <= len(member) <= 255 or "\0" in member:
        raise Invalid("Member can't be empty")
    if session.get(ImageMember, (row.id, member)):
        raise Conflict(f"Member {member} is duplicated for image {row.uuid}")
    count = session.scalar(select(func.count()).where(ImageMember.image_id == row.id)) or 0
    if count >= MOST_MEMBERS:
        raise TooLarge(f"Image member limit exceeded for image {row.uuid}. Maximum: {MOST_MEMBERS}")
    made = ImageMember(image_id=row.id, member=member, status=MemberStatus.PENDING, created_at=now, updated_at=now)
    session.add(made)
    session.flush()
    return row, made


def answer(
    session: Session, actor: Actor, uuid: str, member: str, status: str, *, now: datetime
) -> tuple[Image, ImageMember]:
    """The member accepts or rejects the image, or leaves it open again."""
    row, found = fetch(session, actor, uuid, member)
    if not rules.may_answer(actor, member=member):
        raise Forbidden(f"Not allowed to update members for image {row.uuid}.")
    if status not in set(MemberStatus):
        raise Invalid('Incorrect request: Status must be "pending", "accepted" or "rejected".')
    found.status, found.updated_at = status, now
    return row, found


def remove(session: Session, actor: Actor, uuid: str, member: str) -> None:
    row, found = fetch(session, actor, uuid, member)
    _demand(actor, row, "delete")
    session.delete(found)


def _shared(session: Session, actor: Actor, uuid: str, *, is_locked: bool = False) -> Image:
    row = image_catalog.find(session, actor, uuid, is_locked=is_locked)
    if row.visibility != Visibility.SHARED:
        raise Forbidden("Only shared images have members.")
    return row


def _demand(actor: Actor, row: Image, what: str) -> None:
    if not rules.may_change(actor, owner=row.owner):
        raise Forbidden(f"Not allowed to {what} members for image {row.uuid}.")
