"""One page of a list, in the order of one column and then of age: after a marker, whatever changes meanwhile.

What has no value in the column comes first when the order ascends and last when it descends, on both databases. A page
ends early where its rows would grow too large together: a thousand things of a mebibyte each are no answer.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import accumulate
from operator import add
from typing import Any, Generic, TypeVar

from sqlalchemy import JSON, ColumnElement, Select, Text, and_, cast, func, or_, select
from sqlalchemy.orm import Session

LARGEST = 16 << 20
"""Characters of JSON in a page; a thousand usual nodes have a sixth of it."""
FEW = 4
"""So many rows are a page however large they are, for one of them is bounded where it is written."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part(Generic[T]):
    """What a page shows. is_full: there may be more behind it."""

    rows: Sequence[T]
    is_full: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class After:
    """The last row of the page before: its value in the column, and its id."""

    value: Any
    id: int


def page(
    query: Select[Any],
    column: ColumnElement[Any] | None,
    identity: ColumnElement[int],
    *,
    after: After | None,
    descending: bool,
    limit: int,
) -> Select[Any]:
    """The query with its order, its start and its limit. column: None for the order of age alone."""
    if after is not None:
        query = query.where(_beyond(column, identity, after, descending=descending))
    by_age = identity.desc() if descending else identity
    if column is None:
        return query.order_by(by_age).limit(limit)
    if descending:
        return query.order_by(column.is_(None), column.desc(), by_age).limit(limit)
    return query.order_by(column.is_not(None), column, by_age).limit(limit)


def _beyond(
    column: ColumnElement[Any] | None, identity: ColumnElement[int], after: After, *, descending: bool
) -> ColumnElement[bool]:
    later = identity < after.id if descending else identity > after.id
    if column is None:
        return later
    if after.value is None:
        same = and_(column.is_(None), later)
        return same if descending else or_(column.is_not(None), same)
    same = and_(column == after.value, later)
    if descending:
        return or_(column < after.value, same, column.is_(None))
    return or_(column > after.value, same)


def weight(columns: Iterable[ColumnElement[Any]]) -> ColumnElement[int] | None:
    """Characters in the JSON of a row; None when none of its columns is JSON. columns: those that are read."""
    lengths = [func.coalesce(func.length(cast(one, Text)), 0) for one in columns if isinstance(one.type, JSON)]
    return reduce(add, lengths) if lengths else None


def part(
    session: Session, query: Select[Any], read: Callable[[Select[Any]], Iterable[T]], *,
    limit: int, weighed: ColumnElement[int] | None,
) -> Part[T]:  # fmt: skip
    """The first rows of the query: `limit`, or fewer if they would be too large together.

    query: in its order, from its start. read: what makes rows of it, such as `session.scalars`. weighed: what is large
    in a row (`weight`); None when nothing of it is asked for.
    """
    limit = _fitting(session, query.limit(limit), weighed, limit)
    rows = list(read(query.limit(limit)))
    return Part(rows=rows, is_full=len(rows) == limit)


def _fitting(session: Session, query: Select[Any], weighed: ColumnElement[int] | None, limit: int) -> int:
    if weighed is None or limit <= FEW:
        return limit
    weights = query.with_only_columns(weighed.label("weight"))
    if (session.scalar(select(func.sum(weights.subquery().c.weight))) or 0) <= LARGEST:
        return limit
    for count, together in enumerate(accumulate(session.scalars(weights))):
        if together > LARGEST and count >= FEW:
            return count
    return limit
