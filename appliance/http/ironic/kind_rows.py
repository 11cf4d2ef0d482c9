"""Lists of what there are many of, read as plain rows: no object is made of a row, and JSON is passed on unread.

A `Shape` is one wish of a client (which attributes of a kind) made ready: the columns to read, and what makes an answer
of a row. The answer is what `Kind.show` makes of the object.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import JSON, BigInteger, ColumnElement, Row, Select, Text, cast, type_coerce

from appliance.models.columns import UtcTime

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  (the serializer writes +00:00 behind it: Call.show)


def _seconds(microseconds: int) -> datetime:
    """As people are shown times: without what is below a second."""
    return EPOCH + timedelta(seconds=microseconds // 1_000_000)


class Shape:
    """names: attributes in their order. columns: what each is read from; those without one are links.

    path: below /v1, of the kind.
    """

    def __init__(self, names: Sequence[str], columns: Mapping[str, ColumnElement[Any]], *, path: str) -> None:
        self._names = [name for name in names if name in columns]
        self._path = path
        self._below = [(name, "" if name == "links" else f"/{name}") for name in names if name not in columns]
        self._steps: list[tuple[str, Callable[[Any], Any]]] = []
        self._columns = [self._read(name, columns[name]) for name in self._names]

    def _read(self, name: str, column: ColumnElement[Any]) -> ColumnElement[Any]:
        if isinstance(column.type, JSON):
            self._steps.append((name, orjson.Fragment))
            return cast(column, Text).label(name)
        if isinstance(column.type, UtcTime):
            self._steps.append((name, _seconds))
            return type_coerce(column, BigInteger).label(name)
        return column.label(name)

    def of(self, query: Select[Any], uuid: ColumnElement[str]) -> Select[Any]:
        """The query, for just these columns; uuid: that of the thing, which comes last in a row."""
        return query.with_only_columns(*self._columns, uuid.label("of_uuid"))

    def render(self, row: Row[Any], root: str) -> dict[str, Any]:
        """root: our address."""
        shown: dict[str, Any] = dict(zip(self._names, row, strict=False))
        for name, step in self._steps:
            value = shown[name]
            if value is not None:
                shown[name] = step(value)
        tail = f"{self._path}/{row[-1]}"
        for name, below in self._below:  # JSON already; root and tail need no quoting
            shown[name] = orjson.Fragment(
                f'[{{"href":"{root}/v1/{tail}{below}","rel":"self"}},{{"href":"{root}/{tail}{below}","rel":"bookmark"}}]'
            )
        return shown
