"""What belongs to nodes, and to whom nodes belong: a project sees the nodes it owns or is lent, and what hangs on them.

project: None sees everything; a text is a project's id; "" is nobody's project and sees nothing.
"""

import uuid as uuid_module
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, false, or_, select, true
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, contains_eager, lazyload, load_only

from appliance.domain.errors import Conflict, Invalid, NotFound
from appliance.models.node import Node, lock

Row = TypeVar("Row", bound=Any)


def visible(project: str | None) -> ColumnElement[bool]:
    """Which nodes a project sees."""
    if project is None:
        return true()
    return or_(Node.owner == project, Node.lessee == project) if project else false()


def of_nodes(model: type[Row], project: str | None) -> Select[Row]:
    """The things of this kind whose nodes are visible; of each node only what names it and its owners is loaded."""
    brief = contains_eager(model.node).options(
        load_only(Node.uuid, Node.name, Node.owner, Node.lessee, Node.provision_state, Node.power_state, Node.version),
        lazyload(Node.ports),
    )
    query = select(model).join(model.node).options(brief)
    return query if project is None else query.where(visible(project))


def is_uuid(text: str) -> bool:
    """Is it a UUID in text form, with or without hyphens?"""
    try:
        return len(text) <= 36 and bool(uuid_module.UUID(text))
    except ValueError:
        return False


def node(session: Session, ident: str, *, project: str | None) -> Node:
    """The visible node with this UUID or name. Raises NotFound."""
    wanted = Node.uuid == ident.lower() if is_uuid(ident) else Node.name == ident[:255]
    query = select(Node).where(wanted, visible(project)).options(lazyload(Node.ports))
    found = session.scalars(query).first()
    if found is None:
        raise NotFound(f"Node {ident[:255]} could not be found.")
    return found


def node_to_write(session: Session, ident: str, *, project: str | None) -> Node:
    """The node that a thing is to hang on, locked. Raises Invalid: that it is missing is the request's fault."""
    try:
        found = lock(session, node(session, ident, project=project).id)
    except NotFound as cause:
        raise Invalid(cause.message) from cause
    if found is None:
        raise Invalid(f"Node {ident[:255]} could not be found.")
    return found


def first(session: Session, query: Select[Row], *, otherwise: str) -> Row:
    """The one row of the query. Raises NotFound with this sentence."""
    found: Row | None = session.scalars(query).unique().first()
    if found is None:
        raise NotFound(otherwise)
    return found


def keep(session: Session, taken: str) -> None:
    """Write what is pending. taken: the sentence for a name that somebody else took at the same moment."""
    try:
        session.flush()
    except IntegrityError as cause:
        raise Conflict(taken) from cause


def apply(row: Any, changes: dict[str, Any]) -> None:
    """Set the columns that are to change."""
    for column, value in changes.items():
        setattr(row, column, value)
