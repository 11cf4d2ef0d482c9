"""A part of a list, in an order, after a marker. The same for everything that is listed by UUID."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select
from sqlalchemy import Row as PlainRow
from sqlalchemy.orm import InstrumentedAttribute, Session

from appliance.domain.errors import NotFound
from appliance.models import paging
from appliance.models.paging import Part

MOST = 1000
Row = TypeVar("Row", bound=Any)
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """marker: the UUID of the last thing of the page before. key: the column to sort by; rows alike go by their id.

    weighed: what may be large in a row (`models.paging.weight`).
    """

    limit: int = MOST
    marker: str | None = None
    key: InstrumentedAttribute[Any] | None = None
    descending: bool = False
    weighed: ColumnElement[int] | None = None


def page(session: Session, query: Select[Row], model: type[Row], window: Window) -> Part[Row]:
    """The things of `query` that the window shows. Raises NotFound for a marker that is not among them."""
    return _part(session, query, query, model, window, read=lambda chosen: session.scalars(chosen).unique())


def rows(
    session: Session, among: Select[Any], query: Select[Any], model: type[Any], window: Window
) -> Part[PlainRow[Any]]:
    """As `page`, of the columns that `query` names. among: the same query as `page` takes it, for the marker."""
    return _part(session, among, query, model, window, read=session.execute)


def _part(
    session: Session, among: Select[Any], query: Select[Any], model: type[Any], window: Window, *,
    read: Callable[[Select[Any]], Iterable[T]],
) -> Part[T]:  # fmt: skip
    after = None
    if window.marker is not None:
        last = session.scalars(among.where(model.uuid == window.marker)).unique().first()
        if last is None:
            raise NotFound(f"nothing has the UUID {window.marker[:64]!r} to continue after")
        after = paging.After(value=None if window.key is None else getattr(last, window.key.key), id=last.id)
    limit = max(1, min(window.limit, MOST))
    column = None if window.key is None else window.key.expression
    whole = paging.page(query, column, model.id.expression, after=after, descending=window.descending, limit=limit)
    return paging.part(session, whole, read, limit=limit, weighed=window.weighed)
