"""Who may do what: roles, permissions and the one table between them. Pure; the faces ask `may` or `demand`.

A role holds everything that the role below it holds: admin > manager > member > reader (the words of the field:
Keystone's default roles imply each other in the same order). The scope on which it is held decides its reach: Actor.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from appliance.domain.errors import Forbidden


class Role(enum.StrEnum):
    """NONE: known, but without any of our roles on the scope: an unscoped token, or roles that others understand."""

    NONE = "none"
    READER = "reader"
    MEMBER = "member"
    MANAGER = "manager"
    ADMIN = "admin"


class Permission(enum.StrEnum):
    """READ: see nodes, images, subnets, events, never a secret. OPERATE: verbs, power, console on enrolled nodes.

    CONFIGURE: what changes the site (enrol and delete nodes, BMC passwords, subnets, images). IDENTITY: users.
    """

    READ = "read"
    OPERATE = "operate"
    CONFIGURE = "configure"
    IDENTITY = "identity"


LOWEST: Mapping[Permission, Role] = {
    Permission.READ: Role.READER,
    Permission.OPERATE: Role.MEMBER,
    Permission.CONFIGURE: Role.ADMIN,
    Permission.IDENTITY: Role.ADMIN,
}
"""The lowest role that has each permission."""

ADMIN_PROJECT = "admin"
"""The project in domain Default whose administrators reach as far as the system's do."""

_ORDER = tuple(Role)


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Somebody who has proved who they are. must_change: the password was made by `init` and asks to be replaced.

    role: the highest one held on the scope of the token. The scope is one of: the whole system (is_system), one project
    (project_id), one domain (domain_id), or nothing (all empty), which allows no more than to be known.
    roles: the names of all roles held there, implied ones and foreign ones too.
    user_uuid, user_domain_id, project_id, domain_id: the ids that the OpenStack faces show.
    is_admin_project: the project is the one named `admin` in domain Default.
    """

    name: str
    role: Role
    user_id: int
    must_change: bool = False
    user_uuid: str = ""
    user_domain_id: str = "default"
    roles: frozenset[str] = frozenset()
    is_system: bool = True
    project_id: str | None = None
    domain_id: str | None = None
    is_admin_project: bool = False

    @property
    def is_site_wide(self) -> bool:
        """Does the role reach over the whole site, whoever owns what is there?"""
        return self.is_system or (self.is_admin_project and self.role is Role.ADMIN)


def implies(role: Role) -> frozenset[Role]:
    """The role and every role below it."""
    return frozenset(_ORDER[: _ORDER.index(role) + 1])


def may(role: Role, permission: Permission) -> bool:
    """Does the role hold the permission?"""
    return LOWEST[permission] in implies(role)


def demand(actor: Actor, permission: Permission) -> None:
    """Refuse the actor who lacks the permission on the whole site."""
    if not actor.is_site_wide:
        raise Forbidden(
            "this needs a role on the whole system",
            why=f"{actor.name} asks in the name of {_scope(actor)}",
            next_step="ask with system scope, or as admin of the project `admin`",
        )
    if not may(actor.role, permission):
        raise Forbidden(
            f"this needs the role {LOWEST[permission]}",
            why=f"{actor.name} is {actor.role}",
            next_step=f"ask an administrator, or log in as somebody who is {LOWEST[permission]}",
        )


def _scope(actor: Actor) -> str:
    if actor.project_id is not None:
        return f"project {actor.project_id}"
    return f"domain {actor.domain_id}" if actor.domain_id is not None else "nobody but themselves"
