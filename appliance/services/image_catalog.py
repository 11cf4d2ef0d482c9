"""Images as projects see, make and change them. What somebody may not see is not found; what one sees and may not
change is forbidden (domain.images). Lists are services.image_search.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.domain import images as rules
from appliance.domain.access import Actor
from appliance.domain.errors import Conflict, Forbidden, Invalid, NotFound, TooLarge
from appliance.domain.images import Status, Visibility
from appliance.models import event
from appliance.models.columns import new_uuid
from appliance.models.image import Image, ImageMember, ImageTag, RetiredImage

MOST_PROPERTIES = MOST_TAGS = 128
LONGEST_VALUE = 65535
LARGEST_PROPERTIES = 1 << 20
_FORMATS = ("disk_format", "container_format")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A new image. uuid: None for a new one. values: of columns of Image, of the right types."""

    uuid: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    tags: Sequence[str] = ()


def find(session: Session, actor: Actor, uuid: str, *, is_locked: bool = False) -> Image:
    """Raises NotFound also for an image that the actor may not see."""
    query = select(Image).where(Image.uuid == uuid.lower()[:36])
    row = session.scalar(query.with_for_update() if is_locked else query) if len(uuid) == 36 else None
    if row is None or not sees(session, actor, row):
        raise NotFound(f"No image found with ID {uuid[:64]}")
    return row


def changeable(session: Session, actor: Actor, uuid: str) -> Image:
    """The image, locked. Raises NotFound, Forbidden."""
    row = find(session, actor, uuid, is_locked=True)
    if not rules.may_change(actor, owner=row.owner):
        raise Forbidden(f"You are not permitted to change image {row.uuid}.", why="it belongs to somebody else")
    return row


def downloadable(session: Session, actor: Actor, uuid: str) -> Image:
    row = find(session, actor, uuid)
    if not rules.may_download(actor, is_deactivated=row.status == Status.DEACTIVATED):
        why = "your role does not allow it"
        if row.status == Status.DEACTIVATED:
            why = "The requested image has been deactivated. Image data download is forbidden."
        raise Forbidden(why)
    return row


def sees(session: Session, actor: Actor, row: Image) -> bool:
    is_member = (
        row.visibility == Visibility.SHARED
        and actor.project_id is not None
        and session.get(ImageMember, (row.id, actor.project_id)) is not None
    )
    return rules.may_see(actor, owner=row.owner, visibility=row.visibility, is_member=is_member)


def add(session: Session, actor: Actor, wish: Wish, *, now: datetime) -> Image:
    """A record that waits for its bytes. Owner is the actor's project, unless an administrator says otherwise."""
    values = {"visibility": Visibility.SHARED.value, "owner": actor.project_id, **wish.values}
    if not rules.may_create(actor, owner=values["owner"]):
        if values["owner"] != actor.project_id:
            raise Forbidden(f"You are not permitted to create images owned by '{values['owner']}'")
        raise Forbidden("You are not authorized to complete add_image action.")
    _refuse_publishing(actor, values["visibility"])
    uuid = (wish.uuid or new_uuid()).lower()
    if session.scalar(select(Image.id).where(Image.uuid == uuid)) or session.get(RetiredImage, uuid):
        raise Conflict(f"Image ID {uuid} already exists!")
    row = Image(uuid=uuid, status=Status.QUEUED, properties={}, created_at=now, updated_at=now, **values)
    session.add(row)
    set_properties(row, wish.properties)
    set_tags(row, wish.tags)
    session.flush()
    event.record(session, at=now, kind="image.created", actor=actor.name, message=f"image {row.label} created")
    return row


def assign(actor: Actor, row: Image, column: str, value: Any) -> None:
    """Give a changeable image another value in one of its columns."""
    if column == "visibility":
        _refuse_publishing(actor, value)
    if column == "owner" and not rules.rules_all(actor):
        raise Forbidden("Owner can't be updated by non admin.")
    if column in _FORMATS and row.status != Status.QUEUED:
        raise Forbidden(f"Attribute {column} can be only replaced for a queued image.")
    setattr(row, column, value)


def _refuse_publishing(actor: Actor, visibility: str) -> None:
    if visibility == Visibility.PUBLIC and not rules.may_publish(actor):
        raise Forbidden("You are not authorized to complete publicize_image action.")


def set_properties(row: Image, properties: Mapping[str, str]) -> None:
    if len(properties) > MOST_PROPERTIES:
        raise TooLarge(_limit("properties", len(properties), MOST_PROPERTIES))
    for name, value in properties.items():
        if not 1 <= len(name) <= 255 or len(value) > LONGEST_VALUE or "\0" in name + value:
            raise Invalid("Custom property should not be greater than 255 characters.", why=f"property {name[:60]!r}")
    size = sum(len(text.encode()) for pair in properties.items() for text in pair)
    if size > LARGEST_PROPERTIES:
        raise TooLarge(f"the properties of an image have at most {LARGEST_PROPERTIES} octets together, these {size}")
    row.properties = dict(properties)


def set_tags(row: Image, tags: Sequence[str]) -> None:
    wanted = set(tags)
    if len(wanted) > MOST_TAGS:
        raise TooLarge(_limit("tags", len(wanted), MOST_TAGS))
    if any(not 1 <= len(tag) <= 255 or "\0" in tag for tag in wanted):
        raise Invalid("a tag has 1 to 255 characters")
    had = {tag.value for tag in row.tags}
    row.tags = [tag for tag in row.tags if tag.value in wanted]
    row.tags += [ImageTag(value=value) for value in sorted(wanted - had)]


def _limit(what: str, count: int, most: int) -> str:
    text = "The limit has been exceeded on the number of allowed image"
    return f"{text} {what}. Attempted: {count}, Maximum: {most}"


def change_state(session: Session, actor: Actor, uuid: str, to: Status, *, now: datetime) -> None:
    """Withdraw an image from use (`deactivated`), or give it back (`active`). Repeating it is harmless."""
    row = changeable(session, actor, uuid)
    if row.status == to:
        return
    other = Status.ACTIVE if to is Status.DEACTIVATED else Status.DEACTIVATED
    if row.status != other:
        what = "deactivate" if to is Status.DEACTIVATED else "reactivate"
        raise Forbidden(f"Not allowed to {what} image in status '{row.status}'")
    row.status, row.updated_at = to, now
    event.record(session, at=now, kind=f"image.{to}", actor=actor.name, message=f"image {row.label} is {to}")


def begin_import(row: Image, *, holder: str, is_staged: bool, now: datetime) -> None:
    """→ `importing`. Raises Conflict unless the bytes lie ready (is_staged), or are still to be fetched."""
    if row.status == Status.ACTIVE:
        raise Conflict("Image with status active cannot be target for import")
    if is_staged and row.status != Status.UPLOADING:
        raise Conflict("Image needs to be staged before 'glance-direct' method can be used")
    if not is_staged and row.status != Status.QUEUED:
        raise Conflict("Image needs to be in 'queued' state to use 'web-download' method")
    if is_staged and row.sha512 is None:
        raise Conflict("its bytes are still coming in")
    for column in reversed(_FORMATS):
        if getattr(row, column) is None:
            raise Conflict(f"'{column}' needs to be set before import")
    row.status, row.problem, row.holder, row.updated_at = Status.IMPORTING, None, holder, now
