"""Lists of images: what a project may see of them, by any of their facts, in pages that stay stable while rows come."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, false, func, or_, select
from sqlalchemy.orm import Session

from appliance.domain import images as rules
from appliance.domain.access import Actor
from appliance.domain.errors import Forbidden, Invalid
from appliance.domain.images import Visibility
from appliance.models.image import Image, ImageMember, ImageTag
from appliance.models.paging import Part, part, weight

COMPARE: Mapping[str, Callable[[Any, Any], ColumnElement[bool]]] = {
    "eq": lambda column, value: column == value,
    "neq": lambda column, value: column != value,
    "gt": lambda column, value: column > value,
    "gte": lambda column, value: column >= value,
    "lt": lambda column, value: column < value,
    "lte": lambda column, value: column <= value,
    "in": lambda column, value: column.in_(value),
}
_EMPTY: Mapping[str, Any] = {"name": "", "disk_format": "", "container_format": "", "size_bytes": -1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """column: of Image. how: a key of COMPARE. value: of the column's type; for `in` a list of such."""

    column: str
    how: str
    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """visibility: None: all but the community's; `all`: those too. member_status: of images shared with the actor;
    `all`: whatever they answered. sort: (column, is_descending), the first counts most. marker: the last of the page
    before.
    """

    filters: Sequence[Filter] = ()
    properties: Mapping[str, str] = field(default_factory=dict)
    tags: Sequence[str] = ()
    visibility: str | None = None
    member_status: str = "accepted"
    sort: Sequence[tuple[str, bool]] = (("created_at", True),)
    marker: str | None = None
    limit: int = 25


def search(session: Session, actor: Actor, query: Query) -> Part[Image]:
    if not rules.may_list(actor):
        raise Forbidden("You are not authorized to complete get_images action.")
    conditions = [_visible(actor, query.member_status), _of_visibility(actor, query.visibility)]
    conditions += [COMPARE[item.how](getattr(Image, item.column), item.value) for item in query.filters]
    conditions += [_has_property(name, value) for name, value in query.properties.items()]
    conditions += [exists().where(ImageTag.image_id == Image.id, ImageTag.value == tag) for tag in query.tags]
    order = _order(query.sort)
    if query.marker is not None:
        conditions.append(_after(_marked(session, actor, query.marker), order))
    statement = select(Image).where(*conditions).order_by(*(_place(name, down=down) for name, down in order))
    return part(session, statement, session.scalars, limit=query.limit, weighed=weight(Image.__table__.c))


def usage(session: Session, actor: Actor) -> Mapping[str, int]:
    """How many images the actor's project has, how many come in, and how many MiB they and the staged ones hold."""
    mine = Image.owner == actor.project_id if actor.project_id is not None else Image.owner.is_(None)
    size = func.coalesce(func.sum(Image.size_bytes), 0)
    staged = (rules.Status.UPLOADING, rules.Status.IMPORTING)

    def one(what: Any, *where: ColumnElement[bool]) -> int:
        return int(session.scalar(select(what).select_from(Image).where(mine, *where)) or 0)

    return {
        "image_count_total": one(func.count()),
        "image_count_uploading": one(func.count(), Image.status.in_(rules.COMING)),
        "image_size_total": one(size, Image.status.in_(rules.HAS_BYTES)) >> 20,
        "image_stage_total": one(size, Image.status.in_(staged)) >> 20,
    }


def _visible(actor: Actor, member_status: str) -> ColumnElement[bool]:
    if rules.sees_all(actor):
        return and_(True)
    shared = and_(
        Image.visibility == Visibility.SHARED,
        exists().where(
            ImageMember.image_id == Image.id,
            ImageMember.member == actor.project_id,
            *([] if member_status == "all" else [ImageMember.status == member_status]),
        ),
    )
    is_open = Image.visibility.in_((Visibility.PUBLIC, Visibility.COMMUNITY))
    return or_(is_open, Image.owner == actor.project_id, shared)


def _of_visibility(actor: Actor, visibility: str | None) -> ColumnElement[bool]:
    if visibility == "all":
        return and_(True)
    if visibility is not None:
        return Image.visibility == visibility
    mine = Image.owner == actor.project_id if actor.project_id is not None else false()
    return or_(Image.visibility != Visibility.COMMUNITY, mine)


def _has_property(name: str, value: str) -> ColumnElement[bool]:
    # SQLite names a member of an object by a path in which these two cannot be written.
    if not name or '"' in name or "\\" in name:
        return false()
    found: ColumnElement[bool] = Image.properties[name].as_string() == value
    return found


def _order(sort: Sequence[tuple[str, bool]]) -> Sequence[tuple[str, bool]]:
    named = {name for name, _ in sort}
    last = sort[-1][1] if len(sort) == 1 else True
    return [*sort, *((name, last) for name in ("created_at", "uuid") if name not in named)]


def _column(name: str) -> ColumnElement[Any]:
    column: ColumnElement[Any] = getattr(Image, name)
    return func.coalesce(column, _EMPTY[name]) if name in _EMPTY else column


def _place(name: str, *, down: bool) -> ColumnElement[Any]:
    return _column(name).desc() if down else _column(name).asc()


def _marked(session: Session, actor: Actor, marker: str) -> Image:
    row = session.scalar(select(Image).where(Image.uuid == marker.lower()[:36], _visible(actor, "all")))
    if row is None:
        raise Invalid(f"No image found with ID {marker[:64]}", why="a marker is the id of an image of the page before")
    return row


def _after(row: Image, order: Sequence[tuple[str, bool]]) -> ColumnElement[bool]:
    """Rows that come later in the order than `row`: as it in the first keys, beyond it in the next."""
    ways: list[ColumnElement[bool]] = []
    same: list[ColumnElement[bool]] = []
    for name, down in order:
        value = getattr(row, name)
        value = _EMPTY[name] if value is None and name in _EMPTY else value
        column = _column(name)
        ways.append(and_(*same, column < value if down else column > value))
        same.append(column == value)
    return or_(*ways)
