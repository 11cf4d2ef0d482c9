"""One page of a list, in the order of one column and then of age: after a marker, whatever changes meanwhile.

What has no value in the column comes first when the order ascends and last when it descends, on both databases.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, or_


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
