"""Who holds what, as it was given and as it works out. The database finds it, so that no list costs more than its page.

As it works out: a group's assignment is its users', an inherited one arrives at the projects below, a role brings what
it implies.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from sqlalchemy import CTE, ColumnElement, Select, String, literal_column, select, union_all
from sqlalchemy.orm import Session, aliased

from appliance.models.grant import Assignment
from appliance.models.identity import Membership, Project, User
from appliance.services.identity import rights

Where = list[ColumnElement[bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One assignment. by_group: the group through which a user has it.

    origin: kind and id of where it is inherited from. prior: the role that implies it.
    """

    actor_kind: str
    actor_id: str
    target_kind: str
    target_id: str
    role_id: str
    is_inherited: bool
    by_group: str = ""
    origin: tuple[str, str] | None = None
    prior: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which ones; empty for any. with_subtree: on the projects below the project too. home: only in this domain."""

    user: str = ""
    group: str = ""
    role: str = ""
    project: str = ""
    domain: str = ""
    is_system: bool = False
    inherited: bool | None = None
    with_subtree: bool = False
    home: str | None = None


def given(session: Session, wanted: Wanted, *, after: int, most: int) -> tuple[list[Line], int | None]:
    """As they were given; and the mark after which the next page begins, when there is one."""
    where = [Assignment.id > after, *_at(Assignment.target_kind, Assignment.target_id, wanted)]
    for kind, actor in (("user", wanted.user), ("group", wanted.group)):
        if actor:
            where.append((Assignment.actor_kind == kind) & (Assignment.actor_id == actor))
    if wanted.role:
        where.append(Assignment.role_id == wanted.role)
    if wanted.inherited is not None:
        where.append(Assignment.is_inherited.is_(wanted.inherited))
    rows = list(session.scalars(select(Assignment).where(*where).order_by(Assignment.id).limit(most + 1)))
    lines = [
        Line(
            actor_kind=row.actor_kind, actor_id=row.actor_id, target_kind=row.target_kind, target_id=row.target_id,
            role_id=row.role_id, is_inherited=row.is_inherited,
        )
        for row in rows[:most]
    ]  # fmt: skip
    return lines, rows[most - 1].id if len(rows) > most else None


def effective(session: Session, wanted: Wanted, *, most: int) -> tuple[list[Line], bool]:
    """As they work out; and whether there are more than that."""
    # Not sorted by the database: where everybody inherits everything, that would be the work of sorting all of it.
    rows = sorted(session.execute(_worked_out(session, wanted).limit(most + 1)).all())
    found = list(islice(_with_implied(session, rows, wanted.role), most + 1))
    return found[:most], len(found) > most


def _at(kind: ColumnElement[str] | Any, target: ColumnElement[str] | Any, wanted: Wanted) -> Where:
    where: Where = []
    if wanted.project:
        here = target == wanted.project
        where += [kind == "project", here | target.in_(_below(wanted.project)) if wanted.with_subtree else here]
    elif wanted.domain:
        where += [kind == "domain", target == wanted.domain]
    elif wanted.is_system:
        where.append(kind == rights.SYSTEM)
    if wanted.home is not None:
        other = aliased(Project)  # the question may be about projects too
        inside = select(other.id).where(other.domain_id == wanted.home)
        where.append(((kind == "domain") & (target == wanted.home)) | ((kind == "project") & target.in_(inside)))
    return where


def _below(top: str) -> Select[tuple[str]]:
    tree = select(Project.id).where(Project.parent_id == top).cte(recursive=True)
    tree = tree.union(select(Project.id).join(tree, Project.parent_id == tree.c.id))
    return select(tree.c.id)


_NONE = literal_column("''", String)
_PROJECT = literal_column("'project'", String)


def _worked_out(session: Session, wanted: Wanted) -> Select[Any]:
    """Assignment, user, group, role, kind of target, target; then kind and id of the origin, or nothing."""
    who = _people(session, wanted)
    origin = (who.c.target_kind, who.c.target_id)
    held = (who.c.id, who.c.user_id, who.c.by_group, who.c.role_id)
    legs: list[Select[Any]] = []
    if wanted.inherited is not True:
        direct = select(*held, *_labelled(*origin, _NONE, _NONE))
        legs.append(direct.where(who.c.is_inherited.is_(False), *_at(*origin, wanted)))
    if wanted.inherited is not False:
        tree = _trees(who)
        for kind, project, join in (
            ("domain", Project.id, (Project, Project.domain_id == who.c.target_id)),
            ("project", tree.c.id, (tree, tree.c.top == who.c.target_id)),
        ):
            arrived: Select[Any] = select(*held, *_labelled(_PROJECT, project, *origin)).join(*join)
            is_so = who.c.is_inherited.is_(True) & (who.c.target_kind == kind)
            legs.append(arrived.where(is_so, *_at(_PROJECT, project, wanted)))
    return select(union_all(*legs).subquery())


def _labelled(*columns: Any) -> list[Any]:
    """Kind and id of the target, then of the origin: the same names in every part of the union."""
    names = ("kind", "target", "from_kind", "from_id")
    return [column.label(name) for column, name in zip(columns, names, strict=True)]


def _people(session: Session, wanted: Wanted) -> CTE:
    """Assignments of users, and those of groups once for each member."""
    common = (Assignment.id, Assignment.role_id, Assignment.target_kind, Assignment.target_id, Assignment.is_inherited)
    own = select(*common, Assignment.actor_id.label("user_id"), _NONE.label("by_group"))
    own = own.where(Assignment.actor_kind == "user")
    by_group = (
        select(*common, User.uuid, Assignment.actor_id)
        .join(Membership, Membership.group_id == Assignment.actor_id)
        .join(User, User.id == Membership.user_id)
        .where(Assignment.actor_kind == "group")
    )
    if wanted.user:
        own, by_group = own.where(Assignment.actor_id == wanted.user), by_group.where(User.uuid == wanted.user)
    if wanted.role:
        brings = Assignment.role_id.in_(rights.implying(session, wanted.role))
        own, by_group = own.where(brings), by_group.where(brings)
    return union_all(own, by_group).cte()


def _trees(who: CTE) -> CTE:
    """Projects that hand something on, each with every project below it."""
    tops = select(who.c.target_id).where(who.c.is_inherited.is_(True), who.c.target_kind == "project")
    tree = select(Project.parent_id.label("top"), Project.id.label("id")).where(Project.parent_id.in_(tops))
    found = tree.cte(recursive=True)
    return found.union(select(found.c.top, Project.id).join(found, Project.parent_id == found.c.id))


def _with_implied(session: Session, rows: list[Any], role: str) -> Iterator[Line]:
    implied: dict[str, list[str]] = {}
    for _id, user, by_group, role_id, kind, target, from_kind, from_id in rows:
        line = Line(
            actor_kind="user", actor_id=user, target_kind=kind, target_id=target, role_id=role_id, by_group=by_group,
            is_inherited=bool(from_kind), origin=(from_kind, from_id) if from_kind else None,
        )  # fmt: skip
        if role in ("", role_id):
            yield line
        if role_id not in implied:
            implied[role_id] = sorted(rights.closure(session, [role_id]) - {role_id})
        for one in implied[role_id]:
            if role in ("", one):
                yield replace(line, role_id=one, prior=role_id)
