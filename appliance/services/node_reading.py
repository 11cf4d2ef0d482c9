"""Reading nodes in bulk: only the columns that somebody asks for, as plain rows, in one query however many there are.

JSON comes as its text and times as microseconds since 1970, so that a list that is only shown is never unpacked. Who
changes a node takes the node itself (services.nodes). Names here are ours; what clients call them is the faces' matter.
"""

from collections import namedtuple
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cache
from typing import Any

import orjson
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Row,
    Select,
    Text,
    and_,
    bindparam,
    cast,
    not_,
    or_,
    select,
    type_coerce,
)  # fmt: skip
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.orm import Session

from appliance.domain.errors import NotFound
from appliance.models import paging
from appliance.models.allocation import Allocation
from appliance.models.chassis import Chassis
from appliance.models.columns import UtcTime
from appliance.models.flow import IS_ACTIVE, Flow, Worker
from appliance.models.node import Node

JSON_COLUMNS = frozenset(
    {"driver_options", "failure", "instance", "interfaces", "extra", "properties", "wishes", "traits", "vifs",
     "network_data", "target_raid"}
)  # fmt: skip

# The tables and not the classes: a statement that names a class is run as one that makes objects, at twice the price.
_NODE, _ALLOCATION, _CHASSIS = Node.__table__, Allocation.__table__, Chassis.__table__
_FLOW, _WORKER = Flow.__table__, Worker.__table__
_ITS_FLOW = (_FLOW, and_(_FLOW.c.node_id == _NODE.c.id, IS_ACTIVE))
_JOINS: Mapping[str, tuple[tuple[FromClause, ColumnElement[bool]], ...]] = {
    "allocation": ((_ALLOCATION, _ALLOCATION.c.node_id == _NODE.c.id),),
    "chassis": ((_CHASSIS, _CHASSIS.c.id == _NODE.c.chassis_id),),
    "flow": (_ITS_FLOW,),
    "worker": (_ITS_FLOW, (_WORKER, _WORKER.c.id == _FLOW.c.owner)),
}

_ELSEWHERE: Mapping[str, tuple[str, ColumnElement[Any]]] = {
    "allocation_uuid": ("allocation", _ALLOCATION.c.uuid),
    "chassis_uuid": ("chassis", _CHASSIS.c.uuid),
    "work_kind": ("flow", _FLOW.c.kind),
    "work_step": ("flow", _FLOW.c.step),
    "held_by": ("worker", _WORKER.c.host),
}
"""Columns of other tables that are read with a node. held_by: the host that works on it right now."""


def _column(name: str) -> ColumnElement[Any]:
    if name in _ELSEWHERE:
        return _ELSEWHERE[name][1].label(name)
    if name == "has_bmc_secret":
        return _NODE.c.bmc_secret.is_not(None).label(name)
    column = _NODE.c[name]
    if name in JSON_COLUMNS:
        return cast(column, Text).label(name)
    if isinstance(column.type, UtcTime):
        return type_coerce(column, BigInteger).label(name)
    return column.label(name)


def statement(columns: Sequence[str]) -> Select[Any]:
    """`SELECT` of these columns of all nodes; build it once and keep it."""
    query = select(*(_column(name) for name in columns)).select_from(_NODE)
    joined: list[Any] = []
    for name in columns:
        for table, condition in _JOINS.get(_ELSEWHERE[name][0], ()) if name in _ELSEWHERE else ():
            if table not in joined:
                joined.append(table)
                query = query.outerjoin(table, condition)
    return query


def weight(columns: Sequence[str]) -> ColumnElement[int] | None:
    """What may be large in the rows of `statement(columns)`; None when nothing is."""
    return paging.weight(_NODE.c[name] for name in columns if name in JSON_COLUMNS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What to list. Each given field must match; of `shards` any one. project: that owns it or has it on loan.

    conductor: the host that works on it; usual_conductor stands for those that nobody works on now.
    """

    provision_state: str | None = None
    driver: str | None = None
    resource_class: str | None = None
    fault: str | None = None
    owner: str | None = None
    lessee: str | None = None
    conductor_group: str | None = None
    instance_uuid: str | None = None
    instance_name: str | None = None
    parent: str | None = None  # name or UUID
    maintenance: bool | None = None
    is_retired: bool | None = None
    is_associated: bool | None = None
    is_sharded: bool | None = None
    chassis_uuid: str | None = None
    description_contains: str | None = None
    shards: tuple[str, ...] = ()
    project: str | None = None
    visible_to: str | None = None
    has_children: bool = True
    conductor: str | None = None
    usual_conductor: str = ""


_EQUAL = (
    "provision_state", "driver", "resource_class", "fault", "owner", "lessee", "conductor_group", "instance_uuid",
    "instance_name", "maintenance", "is_retired",
)  # fmt: skip
assert set(_EQUAL) <= {one.name for one in fields(Filter)}


def _of_project(project: str) -> ColumnElement[bool]:
    return or_(_NODE.c.owner == project, _NODE.c.lessee == project)


def _narrowed(query: Select[Any], wanted: Filter) -> Select[Any]:
    for name in _EQUAL:
        value = getattr(wanted, name)
        if value is not None:
            query = query.where(_NODE.c[name] == value)
    for project in (wanted.project, wanted.visible_to):
        if project is not None:
            query = query.where(_of_project(project))
    if wanted.shards:
        query = query.where(_NODE.c.shard.in_(wanted.shards))
    if wanted.is_associated is not None:
        query = query.where(
            _NODE.c.instance_uuid.is_not(None) if wanted.is_associated else _NODE.c.instance_uuid.is_(None)
        )
    if wanted.is_sharded is not None:
        query = query.where(_NODE.c.shard.is_not(None) if wanted.is_sharded else _NODE.c.shard.is_(None))
    return _narrowed_further(query, wanted)


def _narrowed_further(query: Select[Any], wanted: Filter) -> Select[Any]:
    if wanted.chassis_uuid is not None:
        known = select(_CHASSIS.c.id).where(_CHASSIS.c.uuid == wanted.chassis_uuid).scalar_subquery()
        query = query.where(_NODE.c.chassis_id == known)
    if wanted.description_contains is not None:
        query = query.where(_NODE.c.description.icontains(wanted.description_contains, autoescape=True))
    if wanted.parent is not None:
        other = _NODE.alias()
        parents = select(other.c.uuid).where(or_(other.c.uuid == wanted.parent.lower(), other.c.name == wanted.parent))
        query = query.where(_NODE.c.parent_uuid.in_(parents))
    elif not wanted.has_children:
        query = query.where(_NODE.c.parent_uuid.is_(None))
    if wanted.conductor is not None:
        of_host = _WORKER.c.host == wanted.conductor
        is_usual = wanted.conductor == wanted.usual_conductor
        at_work = select(1).select_from(_FLOW.join(_WORKER, _WORKER.c.id == _FLOW.c.owner))
        found = at_work.where(_ITS_FLOW[1], not_(of_host) if is_usual else of_host).correlate(_NODE).exists()
        query = query.where(not_(found) if is_usual else found)
    return query


def listing(
    session: Session, base: Select[Any], wanted: Filter, *, sort: str | None, descending: bool, limit: int,
    marker: str | None, weighed: ColumnElement[int] | None = None,
) -> paging.Part[Row[Any]]:  # fmt: skip
    """A page of rows of `statement(…)`. sort: a column of ours, or None for age; marker: UUID of the last one before.

    weighed: what may be large in them (`weight`). Raises NotFound for a marker that is not there, or not visible.
    """
    column = _sorted_by(sort)
    after = None
    if marker is not None:
        after = _after(session, marker, column, wanted.visible_to)
    query = paging.page(_narrowed(base, wanted), column, _NODE.c.id, after=after, descending=descending, limit=limit)
    return paging.part(session, query, session.execute, limit=limit, weighed=weighed)


def _sorted_by(sort: str | None) -> ColumnElement[Any] | None:
    if sort is None:
        return None
    column: ColumnElement[Any] = _NODE.c[sort]
    return column


def _after(session: Session, marker: str, column: ColumnElement[Any] | None, visible_to: str | None) -> paging.After:
    query = select(_NODE.c.id, *([] if column is None else [column])).where(_NODE.c.uuid == marker.lower()[:64])
    if visible_to is not None:
        query = query.where(_of_project(visible_to))
    found = session.execute(query).first()
    if found is None:
        raise NotFound(f"Node {marker[:64]} could not be found.")
    return paging.After(id=found[0], value=found[1] if column is not None else None)


@cache
def _made_of(columns: tuple[str, ...]) -> Any:
    return namedtuple("Made", columns)  # noqa: PYI024  (its fields are not known before)


def made(columns: tuple[str, ...], values: Mapping[str, Any]) -> Any:
    """What `statement(columns)` would read of a node that was just made of these values; nobody works on it yet."""
    return _made_of(columns)(*(_as_read(name, values) for name in columns))


def _as_read(name: str, values: Mapping[str, Any]) -> Any:
    if name == "has_bmc_secret":
        return values["bmc_secret"] is not None
    value = values.get(name)
    if name in JSON_COLUMNS:
        return orjson.dumps(value).decode()
    return value if not isinstance(value, datetime) else _UTC.process_bind_param(value, _ANY)


_UTC, _ANY = UtcTime(), DefaultDialect()


def by_uuid(base: Select[Any]) -> Select[Any]:
    """The statement for one node by UUID: `execute(it, {"ident": uuid})`. Build it once and keep it."""
    return base.where(_NODE.c.uuid == bindparam("ident"))


def by_name(base: Select[Any]) -> Select[Any]:
    return base.where(_NODE.c.name == bindparam("ident"))
