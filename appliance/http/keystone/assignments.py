"""/v3/role_assignments: who holds what, as it was given, or with `effective` as it works out."""

from collections.abc import Iterable
from typing import Any

from flask import Response, request
from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute, Session

from appliance.domain.access import Role, implies
from appliance.domain.errors import Invalid
from appliance.http.keystone.policy import demand, domain, site
from appliance.http.keystone.wire import Ask, Route, asked, collection, page_size
from appliance.models.grant import RoleRow
from appliance.models.identity import Domain, Group, Project, User
from appliance.services.identity import assignments
from appliance.services.identity.assignments import Line, Wanted

JsonObject = dict[str, Any]

_AT_ONCE = 500


def _read(home: str | None) -> Wanted:
    """The query string."""
    args = request.args
    inherited = args.get("scope.OS-INHERIT:inherited_to")
    found = Wanted(
        user=args.get("user.id", ""), group=args.get("group.id", ""), role=args.get("role.id", ""),
        project=args.get("scope.project.id", ""), domain=args.get("scope.domain.id", ""),
        is_system=bool(args.get("scope.system")), with_subtree=asked("include_subtree"),
        inherited=None if inherited is None else inherited == "projects", home=home,
    )  # fmt: skip
    if sum((bool(found.project), bool(found.domain), found.is_system)) > 1:
        raise Invalid("Specify a domain, a project or the system, not more than one")
    if found.user and found.group:
        raise Invalid("Specify a user or group, not both")
    if asked("effective") and found.group:
        raise Invalid("Combining effective and group filter will always result in an empty list.")
    if found.with_subtree and not found.project:
        raise Invalid("scope.project.id must be specified if include_subtree is also specified")
    return found


def _list(ask: Ask) -> Response:
    actor = ask.actor
    wanted = _read(actor.domain_id)
    is_allowed = site(actor, Role.READER) or domain(actor, actor.domain_id, Role.READER)
    if wanted.with_subtree and not is_allowed:
        is_allowed = actor.project_id == wanted.project and Role.ADMIN in implies(actor.role)
    demand(is_allowed, "list_role_assignments")
    more, is_cut = None, False
    if asked("effective"):
        lines, is_cut = assignments.effective(ask.session, wanted, most=page_size())
    else:
        lines, mark = assignments.given(ask.session, wanted, after=_marker(), most=page_size())
        more = None if mark is None else str(mark)
    names = _Names(ask.session, lines) if asked("include_names") else None
    shown = [_show(ask, line, names) for line in lines]
    return collection(ask, "role_assignments", shown, "role_assignments", more=more, is_cut=is_cut)


def _marker() -> int:
    text = request.args.get("marker", "0")
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise Invalid(f"Marker {text[:64]} could not be found.")
    return int(text)


class _Names:
    """The names of what the lines speak of, each looked up once and many at a time."""

    def __init__(self, session: Session, lines: list[Line]) -> None:
        def ids(kind: str) -> set[str]:
            actors = {line.actor_id for line in lines if line.actor_kind == kind}
            return actors | {line.target_id for line in lines if line.target_kind == kind}

        self._users = _rows(session, User.uuid, ids("user"))
        self._groups = _rows(session, Group.id, ids("group"))
        self._projects = _rows(session, Project.id, ids("project"))
        self._roles = _rows(session, RoleRow.id, {line.role_id for line in lines})
        homes = {row.domain_id for rows in (self._users, self._groups, self._projects) for row in rows.values()}
        homes |= {row.domain_id for row in self._roles.values() if row.domain_id}
        self._domains = _rows(session, Domain.id, ids("domain") | homes)

    def user(self, uuid: str) -> JsonObject:
        row = self._users.get(uuid)
        return {} if row is None else {"name": row.name, "domain": self.domain(row.domain_id)}

    def group(self, group_id: str) -> JsonObject:
        row = self._groups.get(group_id)
        return {} if row is None else {"name": row.name, "domain": self.domain(row.domain_id)}

    def domain(self, domain_id: str) -> JsonObject:
        row = self._domains.get(domain_id)
        return {"id": domain_id, "name": row.name if row else ""}

    def project(self, project_id: str) -> JsonObject:
        row = self._projects.get(project_id)
        return {} if row is None else {"name": row.name, "domain": self.domain(row.domain_id)}

    def role(self, role_id: str) -> JsonObject:
        row = self._roles.get(role_id)
        if row is None:
            return {}
        return {"name": row.name} | ({"domain": self.domain(row.domain_id)} if row.domain_id else {})


def _rows(session: Session, key: InstrumentedAttribute[str], ids: Iterable[str]) -> dict[str, Any]:
    """Rows by this column."""
    found: dict[str, Any] = {}
    ahead = sorted(ids)
    for start in range(0, len(ahead), _AT_ONCE):
        rows = session.scalars(select(key.class_).where(key.in_(ahead[start : start + _AT_ONCE])))
        found |= {getattr(row, key.key): row for row in rows}
    return found


def _show(ask: Ask, line: Line, names: _Names | None) -> JsonObject:
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


def _links(ask: Ask, line: Line) -> JsonObject:
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
