"""A part of a list, in an order, after a marker. The same for everything that is listed by UUID."""

from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, and_, false, or_, true
from sqlalchemy.orm import InstrumentedAttribute, Session

from appliance.domain.errors import NotFound

MOST = 1000
Row = TypeVar("Row", bound=Any)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """marker: the UUID of the last thing of the page before. key: the column to sort by; rows alike go by their id."""

    limit: int = MOST
    marker: str | None = None
    key: InstrumentedAttribute[Any] | None = None
    descending: bool = False


def page(session: Session, query: Select[Row], model: type[Row], window: Window) -> list[Row]:
    """The rows of `query` that the window shows. Raises NotFound for a marker that is not among them."""
    after = _after(session, query, model, window) if window.marker is not None else true()
    order = [model.id.desc() if window.descending else model.id.asc()]
    if window.key is not None:
        # Nothing comes before something, on every database.
        order = [*(o.desc() if window.descending else o.asc() for o in (window.key.is_not(None), window.key)), *order]
    limit = max(1, min(window.limit, MOST))
    return list(session.scalars(query.where(after).order_by(*order).limit(limit)).unique())


def _after(session: Session, query: Select[Row], model: type[Row], window: Window) -> ColumnElement[bool]:
    last = session.scalars(query.where(model.uuid == window.marker)).unique().first()
    if last is None:
        raise NotFound(f"nothing has the UUID {str(window.marker)[:64]!r} to continue after")
    further: ColumnElement[bool] = model.id < last.id if window.descending else model.id > last.id
    key = window.key
    if key is None:
        return further
    value = getattr(last, key.key)
    if value is None:
        rest = false() if window.descending else key.is_not(None)
        return or_(and_(key.is_(None), further), rest)
    beyond = key < value if window.descending else key > value
    return or_(beyond, and_(key == value, further), key.is_(None) if window.descending else false())
