"""Metadata definitions: namespaces. What lies in them is services.metadef_parts.

Administrators make and change them; everybody else reads those that are public or belong to their project. What
somebody may not see is not found.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, exists, func, or_, select
from sqlalchemy.orm import Session

from appliance.domain import images as rules
from appliance.domain.access import Actor
from appliance.domain.errors import Conflict, Forbidden, NotFound, TooLarge
from appliance.domain.images import Visibility
from appliance.models.metadef import MetadefAssociation, MetadefNamespace, MetadefResourceType
from appliance.models.paging import After, page

MOST_NAMESPACES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """sort: a column. marker: the name of the last row of the page before. limit: None for all."""

    sort: str = "created_at"
    is_descending: bool = True
    marker: str | None = None
    limit: int | None = None


def find(session: Session, actor: Actor, name: str) -> MetadefNamespace:
    """Raises NotFound also for a namespace that the actor may not see."""
    row = _named(session, name)
    if row is None or not rules.may_see(actor, owner=row.owner, visibility=row.visibility, is_member=False):
        raise NotFound(f"Metadata definition namespace={name[:80]} was not found.")
    return row


def changeable(session: Session, actor: Actor, name: str, action: str) -> MetadefNamespace:
    """The namespace, locked. action: what the actor wants, in the words of policies. Raises NotFound, Forbidden."""
    row = find(session, actor, name)
    demand(actor, action)
    session.refresh(row, with_for_update=True)
    return row


def demand(actor: Actor, action: str) -> None:
    if not rules.rules_all(actor):
        raise Forbidden(f"You are not authorized to complete {action} action.")


def demand_reading(actor: Actor, action: str) -> None:
    if not rules.may_list(actor):
        raise Forbidden(f"You are not authorized to complete {action} action.")


def search(
    session: Session, actor: Actor, asked: Page, *, visibility: str | None, resource_types: Sequence[str]
) -> Sequence[MetadefNamespace]:
    """resource_types: namespaces that are for one of these; empty: for whatever."""
    demand_reading(actor, "get_metadef_namespaces")
    conditions = [] if rules.sees_all(actor) else [_visible(actor)]
    if visibility is not None:
        conditions.append(MetadefNamespace.visibility == visibility)
    if resource_types:
        tied = MetadefAssociation.namespace_id == MetadefNamespace.id
        its_type = MetadefAssociation.resource_type_id == MetadefResourceType.id
        conditions.append(exists().where(tied, its_type, MetadefResourceType.name.in_(resource_types)))
    marked = None if asked.marker is None else find(session, actor, asked.marker)
    query = page(
        select(MetadefNamespace).where(*conditions), getattr(MetadefNamespace, asked.sort),
        cast("ColumnElement[int]", MetadefNamespace.id),
        after=None if marked is None else After(value=getattr(marked, asked.sort), id=marked.id),
        descending=asked.is_descending, limit=MOST_NAMESPACES if asked.limit is None else asked.limit,
    )  # fmt: skip
    return list(session.scalars(query))


def create(session: Session, actor: Actor, wish: Mapping[str, Any], *, now: datetime) -> MetadefNamespace:
    """wish: columns. The owner is the actor's project, unless the wish says otherwise."""
    demand(actor, "add_metadef_namespace")
    _refuse_taken(session, wish["name"])
    if (session.scalar(select(func.count(MetadefNamespace.id))) or 0) >= MOST_NAMESPACES:
        raise TooLarge(f"there are {MOST_NAMESPACES} metadata definition namespaces, which is the most")
    row = MetadefNamespace(created_at=now, updated_at=now, **({"owner": actor.project_id} | dict(wish)))
    session.add(row)
    session.flush()
    return row


def replace(session: Session, actor: Actor, row: MetadefNamespace, wish: Mapping[str, Any], *, now: datetime) -> None:
    """wish: columns; those that it does not name are as in a new namespace."""
    if wish["name"] != row.name:
        _refuse_taken(session, wish["name"])
    usual = {"display_name": None, "description": None, "visibility": Visibility.PRIVATE.value, "is_protected": False,
             "owner": actor.project_id}  # fmt: skip
    for column, value in (usual | dict(wish)).items():
        setattr(row, column, value)
    row.updated_at = now
    session.flush()


def delete(session: Session, row: MetadefNamespace) -> None:
    """With all that lies in it."""
    refuse_protected(row, "namespace", row.name)
    session.delete(row)
    session.flush()


def refuse_protected(row: MetadefNamespace, what: str, name: str) -> None:
    if row.is_protected:
        raise Forbidden(f"Metadata definition {what} {name} is protected and cannot be deleted.")


def _named(session: Session, name: str) -> MetadefNamespace | None:
    if "\0" in name or len(name) > 80:
        return None
    return session.scalar(select(MetadefNamespace).where(MetadefNamespace.name == name))


def _refuse_taken(session: Session, name: str) -> None:
    if _named(session, name) is not None:
        raise Conflict(f"The metadata definition namespace={name} already exists.")


def _visible(actor: Actor) -> ColumnElement[bool]:
    is_public = MetadefNamespace.visibility == Visibility.PUBLIC
    return or_(is_public, MetadefNamespace.owner == actor.project_id)
