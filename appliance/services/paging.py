"""A part of a list, in an order, after a marker. The same for everything that is listed by UUID."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Row as PlainRow
from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute, Session

from appliance.domain.errors import NotFound
from appliance.models import paging

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
    """The things of `query` that the window shows. Raises NotFound for a marker that is not among them."""
    return list(session.scalars(_windowed(session, query, query, model, window)).unique())


def rows(
    session: Session, among: Select[Any], query: Select[Any], model: type[Any], window: Window
) -> Sequence[PlainRow[Any]]:
    """As `page`, of the columns that `query` names. among: the same query as `page` takes it, for the marker."""
    return session.execute(_windowed(session, among, query, model, window)).all()


def _windowed(
    session: Session, among: Select[Any], query: Select[Any], model: type[Any], window: Window
) -> Select[Any]:
    after = None
    if window.marker is not None:
        last = session.scalars(among.where(model.uuid == window.marker)).unique().first()
        if last is None:
            raise NotFound(f"nothing has the UUID {window.marker[:64]!r} to continue after")
        after = paging.After(value=None if window.key is None else getattr(last, window.key.key), id=last.id)
    limit = max(1, min(window.limit, MOST))
    column = None if window.key is None else window.key.expression
    return paging.page(query, column, model.id.expression, after=after, descending=window.descending, limit=limit)
