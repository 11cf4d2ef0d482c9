"""/v3/role_assignments: who holds what, as it was given, or with `effective` as it works out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from flask import Response, request
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from appliance.domain.access import Role, implies
from appliance.domain.errors import Invalid
from appliance.http.keystone.policy import demand, domain, maybe, site
from appliance.http.keystone.wire import MOST, Ask, Route, asked, collection
from appliance.models.grant import Assignment, RoleRow
from appliance.models.identity import Domain, Group, Membership, Project, User
from appliance.services.identity import projects, rights

JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
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
class _Asked:
    """The query string."""

    user: str
    group: str
    role: str
    project: str
    domain: str
    is_system: bool
    inherited: bool | None
    is_effective: bool
    with_subtree: bool


def _read() -> _Asked:
    args = request.args
    found = _Asked(
        user=args.get("user.id", ""), group=args.get("group.id", ""), role=args.get("role.id", ""),
        project=args.get("scope.project.id", ""), domain=args.get("scope.domain.id", ""),
        is_system=bool(args.get("scope.system")), is_effective=asked("effective"),
        with_subtree=asked("include_subtree"),
        inherited=args["scope.OS-INHERIT:inherited_to"] == "projects"
        if "scope.OS-INHERIT:inherited_to" in args
        else None,
    )  # fmt: skip
    if sum((bool(found.project), bool(found.domain), found.is_system)) > 1:
        raise Invalid("Specify a domain, a project or the system, not more than one")
    if found.user and found.group:
        raise Invalid("Specify a user or group, not both")
    if found.is_effective and found.group:
        raise Invalid("Combining effective and group filter will always result in an empty list.")
    if found.with_subtree and not found.project:
        raise Invalid("scope.project.id must be specified if include_subtree is also specified")
    return found


def _list(ask: Ask) -> Response:
    actor = ask.actor
    wanted = _read()
    own_domain = actor.domain_id
    is_allowed = site(actor, Role.READER) or domain(actor, own_domain, Role.READER)
    if wanted.with_subtree and not is_allowed:
        is_allowed = actor.project_id == wanted.project and Role.ADMIN in implies(actor.role)
    demand(is_allowed, "list_role_assignments")
    lines = list(_lines(ask.session, wanted))
    if own_domain is not None:
        lines = [line for line in lines if _home(ask.session, line) == own_domain]
    names = _Names(ask.session) if asked("include_names") else None
    shown = [_show(ask, line, names) for line in lines[:MOST]]
    return collection(ask, "role_assignments", shown, "role_assignments")


def _home(session: Session, line: _Line) -> str | None:
    if line.target_kind == "project":
        project = session.get(Project, line.target_id)
        return project.domain_id if project else None
    return line.target_id if line.target_kind == "domain" else None


def _lines(session: Session, wanted: _Asked) -> Iterator[_Line]:
    if wanted.is_effective:
        yield from _effective(session, wanted)
        return
    where = _targets(session, wanted)
    if wanted.user:
        where.append((Assignment.actor_kind == "user") & (Assignment.actor_id == wanted.user))
    if wanted.group:
        where.append((Assignment.actor_kind == "group") & (Assignment.actor_id == wanted.group))
    if wanted.role:
        where.append(Assignment.role_id == wanted.role)
    if wanted.inherited is not None:
        where.append(Assignment.is_inherited.is_(wanted.inherited))
    rows = session.scalars(select(Assignment).where(*where).order_by(Assignment.id).limit(MOST + 1))
    yield from (_line(row) for row in rows)


def _line(row: Assignment) -> _Line:
    return _Line(
        actor_kind=row.actor_kind, actor_id=row.actor_id, target_kind=row.target_kind, target_id=row.target_id,
        role_id=row.role_id, is_inherited=row.is_inherited,
    )  # fmt: skip


def _targets(session: Session, wanted: _Asked) -> list[ColumnElement[bool]]:
    if wanted.project:
        ids = {wanted.project}
        top = maybe(lambda: projects.fetch(session, wanted.project)) if wanted.with_subtree else None
        if top is not None:
            ids |= {row.id for row in rights.subtree(session, top)}
        return [(Assignment.target_kind == "project") & Assignment.target_id.in_(ids)]
    if wanted.domain:
        return [(Assignment.target_kind == "domain") & (Assignment.target_id == wanted.domain)]
    return [Assignment.target_kind == "system"] if wanted.is_system else []


def _effective(session: Session, wanted: _Asked) -> Iterator[_Line]:
    """Groups become their users, inherited ones arrive at the projects, roles bring what they imply."""
    seen: set[_Line] = set()
    people = _people(session, wanted)
    implied = _implied(session)
    places = _reached(session)
    for row in session.scalars(select(Assignment).order_by(Assignment.id)):
        for line in _spread(_line(row), people, places, implied):
            is_wanted = (not wanted.user or line.actor_id == wanted.user) and (
                not wanted.role or line.role_id == wanted.role
            )
            if is_wanted and line not in seen and _at(line, wanted, places):
                seen.add(line)
                yield line


def _people(session: Session, wanted: _Asked) -> dict[str, list[str]]:
    """User uuids by group id."""
    query = select(Membership.group_id, User.uuid).join(User, User.id == Membership.user_id)
    if wanted.user:
        query = query.where(User.uuid == wanted.user)
    found: dict[str, list[str]] = {}
    for group_id, uuid in session.execute(query):
        found.setdefault(group_id, []).append(uuid)
    return found


def _implied(session: Session) -> dict[str, set[str]]:
    return {role_id: rights.closure(session, [role_id]) - {role_id} for role_id in session.scalars(select(RoleRow.id))}


def _reached(session: Session) -> dict[str, tuple[str, list[str]]]:
    """Project ids to their domain and the projects above them."""
    rows = {row.id: row for row in session.scalars(select(Project))}
    return {row.id: (row.domain_id, _above(row, rows)) for row in rows.values()}


def _above(row: Project, rows: dict[str, Project]) -> list[str]:
    found: list[str] = []
    parent = row.parent_id
    while parent is not None and parent in rows and len(found) < projects.DEEPEST * 2:
        found.append(parent)
        parent = rows[parent].parent_id
    return found


def _spread(
    line: _Line, people: dict[str, list[str]], places: dict[str, tuple[str, list[str]]], implied: dict[str, set[str]]
) -> Iterator[_Line]:
    who = [line]
    if line.actor_kind == "group":
        who = [
            replace(line, actor_kind="user", actor_id=uuid, by_group=line.actor_id)
            for uuid in people.get(line.actor_id, ())
        ]
    for one in who:
        for there in _arrive(one, places):
            yield there
            for role_id in sorted(implied.get(there.role_id, ())):
                yield replace(there, role_id=role_id, prior=there.role_id)


def _arrive(line: _Line, places: dict[str, tuple[str, list[str]]]) -> Iterable[_Line]:
    if not line.is_inherited:
        return [line]
    origin = (line.target_kind, line.target_id)
    return [
        replace(line, target_kind="project", target_id=project_id, is_inherited=True, origin=origin)
        for project_id, (domain_id, above) in places.items()
        if line.target_id in ((domain_id,) if line.target_kind == "domain" else tuple(above))
    ]


def _at(line: _Line, wanted: _Asked, places: dict[str, tuple[str, list[str]]]) -> bool:
    if wanted.inherited is not None and wanted.inherited is not (line.origin is not None):
        return False
    if wanted.project:
        is_below = wanted.with_subtree and wanted.project in places.get(line.target_id, ("", []))[1]
        return line.target_kind == "project" and (line.target_id == wanted.project or is_below)
    if wanted.domain:
        return line.target_kind == "domain" and line.target_id == wanted.domain
    return line.target_kind == "system" if wanted.is_system else True


class _Names:
    """Looks names up, each thing once (the session remembers)."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._users = {row.uuid: row for row in session.scalars(select(User))}

    def user(self, uuid: str) -> JsonObject:
        row = self._users.get(uuid)
        return {} if row is None else {"name": row.name, "domain": self.domain(row.domain_id)}

    def group(self, group_id: str) -> JsonObject:
        row = self._session.get(Group, group_id)
        return {} if row is None else {"name": row.name, "domain": self.domain(row.domain_id)}

    def domain(self, domain_id: str) -> JsonObject:
        row = self._session.get(Domain, domain_id)
        return {"id": domain_id, "name": row.name if row else ""}

    def project(self, project_id: str) -> JsonObject:
        row = self._session.get(Project, project_id)
        return {} if row is None else {"name": row.name, "domain": self.domain(row.domain_id)}

    def role(self, role_id: str) -> JsonObject:
        row = self._session.get(RoleRow, role_id)
        if row is None:
            return {}
        return {"name": row.name} | ({"domain": self.domain(row.domain_id)} if row.domain_id else {})


def _show(ask: Ask, line: _Line, names: _Names | None) -> JsonObject:
    """Actor, target and role; and the links by which the assignment can be taken back."""
    scope: JsonObject
    if line.target_kind == "system":
        scope = {"system": {"all": True}}
    elif line.target_kind == "domain":
        scope = {"domain": names.domain(line.target_id) if names else {"id": line.target_id}}
    else:
        scope = {"project": {"id": line.target_id} | (names.project(line.target_id) if names else {})}
    if line.is_inherited:
        scope["OS-INHERIT:inherited_to"] = "projects"
    who = {"id": line.actor_id}
    if names:
        who |= names.user(line.actor_id) if line.actor_kind == "user" else names.group(line.actor_id)
    role = {"id": line.role_id} | (names.role(line.role_id) if names else {})
    return {"scope": scope, line.actor_kind: who, "role": role, "links": _links(ask, line)}


def _links(ask: Ask, line: _Line) -> JsonObject:
    kind, target = line.origin or (line.target_kind, line.target_id)
    place = "system" if kind == "system" else f"{kind}s/{target}"
    who = f"groups/{line.by_group}" if line.by_group else f"{line.actor_kind}s/{line.actor_id}"
    path = f"{place}/{who}/roles/{line.prior or line.role_id}"
    links = {"assignment": ask.url(f"OS-INHERIT/{path}/inherited_to_projects" if line.is_inherited else path)}
    if line.by_group:
        links["membership"] = ask.url(f"groups/{line.by_group}/users/{line.actor_id}")
    if line.prior:
        links["prior_role"] = ask.url(f"prior_role/{line.prior}/implies/{line.role_id}")
    return links


ROUTES = [Route(method="GET", rule="/role_assignments", view=_list)]
