"""Kinds of resources, each as one table of its attributes: since when, how read, how shown, what may change."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.orm import InstrumentedAttribute

from appliance.http.ironic import kind_rows, patch, versions
from appliance.http.ironic.call import Body, Call
from appliance.http.ironic.errors import BadRequest
from appliance.http.ironic.fields import Fields
from appliance.http.ironic.pages import DETAIL_SINCE
from appliance.http.ironic.patch import Operation
from appliance.http.ironic.readers import Reader
from appliance.models import paging

_GONE = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """column: of the row, when it has another name there. read: None for what is only shown.

    get: how it is shown, when it is not the column as it stands. is_masked: a patch works on the column all the same,
    so that no mask comes back as a value. is_fixed: given at creation and never changed.
    """

    since: int = 1
    column: str = ""
    read: Reader | None = None
    get: Callable[[Any], Any] | None = None
    is_masked: bool = False
    is_fixed: bool = False


def moment(column: str) -> Callable[[Any], str | None]:
    """A time in ISO 8601 as the field writes it."""

    def get(row: Any) -> str | None:
        at: datetime | None = getattr(row, column)
        return None if at is None else at.isoformat(timespec="seconds")

    return get


COMMON: Mapping[str, Attribute] = {
    "created_at": Attribute(get=moment("created_at")),
    "updated_at": Attribute(get=moment("updated_at")),
    "links": Attribute(),
}


class Kind:
    """word: for sentences. path: below /v1, such as `volume/connectors`. key: of the list in an answer."""

    def __init__(
        self,
        *,
        word: str,
        path: str,
        key: str,
        model: type[Any],
        attributes: Mapping[str, Attribute],
        brief: Sequence[str],
        required: Sequence[str] = (),
        sortable: Mapping[str, InstrumentedAttribute[Any]],
        links: Sequence[str] = (),
        detail_since: int = DETAIL_SINCE,
        elsewhere: Mapping[str, ColumnElement[Any]] | None = None,
    ) -> None:
        """links: attributes that lead to lists below the thing, by the names of the lists.

        detail_since: from which version on a list may be asked for with `detail`. elsewhere: given for a kind whose
        lists are read as rows (kind_rows): attributes that are columns of another table.
        """
        self.detail_since = detail_since
        self.word, self.path, self.key, self.model, self.sortable = word, path, key, model, sortable
        self.attributes = {**attributes, **COMMON}
        self.fields = Fields({name: one.since for name, one in self.attributes.items()}, brief=[*brief, "links"])
        self._required, self._links = tuple(required), frozenset(links)
        self._getters = {name: one.get or _plain(one.column or name) for name, one in self.attributes.items()}
        self._columns = None if elsewhere is None else self._columns_of(elsewhere)

    def _columns_of(self, elsewhere: Mapping[str, ColumnElement[Any]]) -> Mapping[str, ColumnElement[Any]]:
        table = self.model.__table__.c
        mine = {name: table[one.column or name] for name, one in self.attributes.items()
                if name not in elsewhere and name != "links" and name not in self._links}  # fmt: skip
        return {**mine, **elsewhere}

    def row_shape(self, names: Sequence[str]) -> kind_rows.Shape | None:
        """For a list of these attributes; None for a kind whose lists are made of objects."""
        return None if self._columns is None else kind_rows.Shape(names, self._columns, path=self.path)

    def weight(self, names: Sequence[str]) -> ColumnElement[int] | None:
        """What may be large in a list of these attributes."""
        table = self.model.__table__.c
        columns = [self.attributes[name].column or name for name in names]
        return paging.weight(table[column] for column in columns if column in table)

    def show(self, call: Call, row: Any, names: Sequence[str]) -> Body:
        shown: Body = {}
        for name in names:
            if name == "links":
                shown[name] = call.links(self.path, row.uuid)
            elif name in self._links:
                shown[name] = call.links(self.path, row.uuid, name)
            else:
                shown[name] = self._getters[name](row)
        return shown

    def wish(self, body: Mapping[str, Any], minor: int) -> dict[str, Any]:
        """Columns of a thing to make, by the names of the columns. Raises BadRequest or NotAcceptable."""
        for name in self._required:
            if name not in body:
                raise BadRequest(f"Schema error for {self.word}: '{name}' is a required property")
        wish = {}
        for name, value in body.items():
            one = self.attributes.get(name)
            if one is None or one.read is None:
                raise BadRequest(
                    f"Schema error for {self.word}: Additional properties are not allowed "
                    f"('{name[:64]}' was unexpected)"
                )
            versions.require(minor, one.since)
            wish[one.column or name] = one.read(name, value)
        if wish.get("uuid", _GONE) is None:
            del wish["uuid"]
        return wish

    def changes(
        self, row: Any, operations: list[Operation], minor: int, *, opened: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """What a patch changes, by the names of the columns. What it removes is read as None.

        opened: attributes whose column is not what they are.
        """
        may_change = [name for name, one in self.attributes.items() if one.read is not None and not one.is_fixed]
        for operation in operations:
            if operation.field not in may_change:
                raise BadRequest(
                    f"Cannot patch {operation.path[:80]}. Only the following can be updated: {', '.join(may_change)}"
                )
            versions.require(minor, self.attributes[operation.field].since)
        touched = {operation.field for operation in operations}
        before = {name: self._editable(name)(row) for name in may_change} | dict(opened or {})
        after = patch.apply(before, operations)
        changes = {}
        for name in may_change:
            value = after.get(name)
            read = self.attributes[name].read
            if name in touched and read is not None and value != before[name]:
                changes[self.attributes[name].column or name] = read(name, value)
        return changes

    def _editable(self, name: str) -> Callable[[Any], Any]:
        one = self.attributes[name]
        return _plain(one.column or name) if one.is_masked else self._getters[name]


def _plain(column: str) -> Callable[[Any], Any]:
    return lambda row: getattr(row, column)
