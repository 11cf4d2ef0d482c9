"""What lies in a namespace of metadata definitions: objects, properties, tags, and the kinds of things that it is for.

The caller has found the namespace, and locked it before a change (services.metadefs).
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar, cast

from sqlalchemy import ColumnElement, delete, exists, func, select
from sqlalchemy.orm import Session

from appliance.domain.errors import Conflict, NotFound, TooLarge
from appliance.models.metadef import (
    MetadefAssociation,
    MetadefNamespace,
    MetadefObject,
    MetadefProperty,
    MetadefResourceType,
    MetadefTag,
)
from appliance.models.paging import After, page
from appliance.services.metadefs import Page, refuse_protected

P = TypeVar("P", bound=MetadefObject | MetadefProperty | MetadefTag)
Kind = type[MetadefObject] | type[MetadefProperty] | type[MetadefTag]

MOST_PARTS = 250
"""Of one kind in one namespace."""
LARGEST_PART = 32 * 1024
"""Characters of JSON."""
MOST_RESOURCE_TYPES = 1000
_WORDS = {"metadef_object": "object", "metadef_property": "property", "metadef_tag": "tag"}


def listing(session: Session, row: MetadefNamespace, kind: type[P], asked: Page | None = None) -> Sequence[P]:
    """asked: None for all, the newest first. Raises NotFound for a marker that is none."""
    asked = asked or Page()
    marked = None if asked.marker is None else fetch(session, row, kind, asked.marker)
    query = page(
        select(kind).where(kind.namespace_id == row.id), getattr(kind, asked.sort),
        cast("ColumnElement[int]", kind.id),
        after=None if marked is None else After(value=getattr(marked, asked.sort), id=marked.id),
        descending=asked.is_descending, limit=MOST_PARTS if asked.limit is None else asked.limit,
    )  # fmt: skip
    return list(session.scalars(query))


def fetch(session: Session, row: MetadefNamespace, kind: type[P], name: str) -> P:
    found = _named(session, row, kind, name)
    if found is None:
        what = f"The metadata definition {_word(kind)} with name={name[:80]} was not found in"
        raise NotFound(f"{what} namespace={row.name}.")
    return found


def add(
    session: Session, row: MetadefNamespace, kind: type[P], many: Sequence[Mapping[str, Any]], *, now: datetime
) -> Sequence[P]:
    """many: columns of each, the name among them. Raises Conflict, TooLarge."""
    taken = set(session.scalars(select(kind.name).where(kind.namespace_id == row.id)))
    if len(taken) + len(many) > MOST_PARTS:
        raise TooLarge(f"a namespace has at most {MOST_PARTS} metadata definitions of the kind {_word(kind)}")
    made = []
    for wish in many:
        if wish["name"] in taken:
            _refuse_taken(row, kind, wish["name"])
        _refuse_large(wish)
        taken.add(wish["name"])
        made.append(kind(namespace_id=row.id, created_at=now, updated_at=now, **wish))
    session.add_all(made)
    session.flush()
    return made


def replace(session: Session, row: MetadefNamespace, part: P, wish: Mapping[str, Any], *, now: datetime) -> None:
    """wish: all columns, the name among them."""
    kind = type(part)
    if wish["name"] != part.name and _named(session, row, kind, wish["name"]) is not None:
        _refuse_taken(row, kind, wish["name"])
    _refuse_large(wish)
    for column, value in wish.items():
        setattr(part, column, value)
    part.updated_at = now
    session.flush()


def remove(session: Session, row: MetadefNamespace, kind: type[P], name: str) -> None:
    found = fetch(session, row, kind, name)
    refuse_protected(row, _word(kind), name)
    session.delete(found)
    session.flush()


def clear(session: Session, row: MetadefNamespace, kind: type[P]) -> None:
    refuse_protected(row, "namespace", row.name)
    drop(session, row, kind)


def drop(session: Session, row: MetadefNamespace, kind: type[P]) -> None:
    """Others follow in the same transaction."""
    session.execute(delete(kind).where(kind.namespace_id == row.id))


def resource_types(session: Session) -> Sequence[MetadefResourceType]:
    return list(session.scalars(select(MetadefResourceType).order_by(MetadefResourceType.name)))


Tie = tuple[MetadefAssociation, str]
"""With the name of the kind of thing."""


def associations(session: Session, rows: Sequence[MetadefNamespace]) -> Mapping[int, Sequence[Tie]]:
    """By the namespace's id, in the order of names."""
    query = select(MetadefAssociation, MetadefResourceType.name).join(
        MetadefResourceType, MetadefResourceType.id == MetadefAssociation.resource_type_id
    )
    query = query.where(MetadefAssociation.namespace_id.in_([row.id for row in rows]))
    found: dict[int, list[Tie]] = {row.id: [] for row in rows}
    for tie, name in session.execute(query.order_by(MetadefResourceType.name)):
        found[tie.namespace_id].append((tie, name))
    return found


def tie(session: Session, row: MetadefNamespace, wish: Mapping[str, Any], *, now: datetime) -> Tie:
    """wish: the name of a kind of thing, which is remembered, and columns of the association."""
    name = wish["name"]
    had = associations(session, [row])[row.id]
    if any(other == name for _, other in had):
        what = f"The metadata definition resource-type association of resource-type={name} to"
        raise Conflict(f"{what} namespace={row.name} already exists.")
    if len(had) >= MOST_PARTS:
        raise TooLarge(f"a namespace has at most {MOST_PARTS} resource-type associations")
    values = {key: value for key, value in wish.items() if key != "name"}
    kind = _resource_type(session, name, now=now)
    made = MetadefAssociation(namespace_id=row.id, resource_type_id=kind.id, created_at=now, updated_at=now, **values)
    session.add(made)
    session.flush()
    return made, name


def untie(session: Session, row: MetadefNamespace, name: str) -> None:
    """The kind of thing itself is remembered."""
    found = next((tie for tie, other in associations(session, [row])[row.id] if other == name), None)
    if found is None:
        raise NotFound(f"Failed to find resource type {name[:80]} to delete")
    refuse_protected(row, "resource-type-association", name)
    session.delete(found)
    session.flush()


def _resource_type(session: Session, name: str, *, now: datetime) -> MetadefResourceType:
    """Found or made. When there are too many, those that no namespace is for make way: nobody can delete them."""
    row = session.scalar(select(MetadefResourceType).where(MetadefResourceType.name == name))
    if row is not None:
        return row
    if _count_types(session) >= MOST_RESOURCE_TYPES:
        is_used = exists().where(MetadefAssociation.resource_type_id == MetadefResourceType.id)
        session.execute(delete(MetadefResourceType).where(~is_used), execution_options={"synchronize_session": False})
        if _count_types(session) >= MOST_RESOURCE_TYPES:
            raise TooLarge(f"there are {MOST_RESOURCE_TYPES} resource types, which is the most")
    row = MetadefResourceType(name=name, created_at=now, updated_at=now)
    session.add(row)
    session.flush()
    return row


def _count_types(session: Session) -> int:
    return session.scalar(select(func.count(MetadefResourceType.id))) or 0


def _named(session: Session, row: MetadefNamespace, kind: type[P], name: str) -> P | None:
    if "\0" in name or len(name) > 80:
        return None
    return session.scalar(select(kind).where(kind.namespace_id == row.id, kind.name == name))


def _word(kind: type[P]) -> str:
    return _WORDS[kind.__tablename__]


def _refuse_taken(row: MetadefNamespace, kind: type[P], name: str) -> None:
    what = f"A metadata definition {_word(kind)} with name={name} already exists in"
    raise Conflict(f"{what} namespace={row.name}.")


def _refuse_large(wish: Mapping[str, Any]) -> None:
    if len(json.dumps(dict(wish))) > LARGEST_PART:
        raise TooLarge(f"the definition of {wish['name']} is longer than {LARGEST_PART} characters of JSON")
