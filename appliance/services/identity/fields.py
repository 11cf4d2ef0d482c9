"""What everything of Identity shares: looking a thing up, names taken, things that may not be changed."""

from collections.abc import Mapping
from typing import Any, NoReturn, TypeVar

import orjson
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from appliance.domain.errors import Conflict, Forbidden, Invalid, NotFound
from appliance.models.database import Model

Row = TypeVar("Row", bound=Model)

_MOST_EXTRA = 64
_LARGEST_EXTRA = 64 * 1024

Columns = Mapping[str, Any]
"""New values by column name, already read and checked."""


def missing(word: str, ref: str) -> NoReturn:
    raise NotFound(f"Could not find {word}: {ref[:64]}.")


def fetch(session: Session, kind: type[Row], ref: str, word: str) -> Row:
    """The row of this id. Raises NotFound."""
    row = session.get(kind, ref) if len(ref) <= 255 else None
    if row is None:
        missing(word, ref)
    return row


def refuse_taken(session: Session, where: ColumnElement[bool], word: str, name: str, *, domain_id: str = "") -> None:
    """Raises Conflict when a row fits `where`."""
    if session.scalar(select(1).where(where)) is not None:
        at = f" at domain ID {domain_id}" if domain_id else ""
        raise Conflict(
            f"Conflict occurred attempting to store {word} - Duplicate entry found with name {name[:64]}{at}.",
            next_step="choose another name",
        )


def apply(row: Any, columns: Columns) -> None:
    """Set the columns; `extra` is added to, and what is given as None is taken out of it."""
    for name, value in columns.items():
        if name == "extra":
            merged = {**row.extra, **value}
            row.extra = {key: one for key, one in merged.items() if one is not None}
            if len(row.extra) > _MOST_EXTRA or len(orjson.dumps(row.extra)) > _LARGEST_EXTRA:
                raise Invalid("too many further attributes", why=f"at most {_MOST_EXTRA} in {_LARGEST_EXTRA} bytes")
        else:
            setattr(row, name, value)


def refuse_immutable(row: Any, word: str, columns: Columns | None = None) -> None:
    """Raises Forbidden for a thing with the option `immutable`, save for a change that takes the option away."""
    is_opened = columns is not None and set(columns) == {"options"} and not columns["options"].get("immutable")
    if row.options.get("immutable") and not is_opened:
        raise Forbidden(
            f"The {word} {row.id} is immutable and cannot be changed.",
            next_step="set its option immutable to false first",
        )
