"""Who may do what on this face: the default rules of the field, as data.

A rule names the lowest role that is enough on each kind of scope: the whole system, the project that owns a thing, the
project that it is lent to (its lessee). What an actor cannot see is not there for them (404); what they see and may not
do is forbidden (403).
"""

from dataclasses import dataclass

from appliance.domain.access import Actor, Role, implies
from appliance.domain.errors import Forbidden


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """system, owner, lessee: the lowest role that is enough there; None: no role is."""

    system: Role
    owner: Role | None = None
    lessee: Role | None = None


SYSTEM_ADMIN = Rule(system=Role.ADMIN)
SYSTEM_MEMBER = Rule(system=Role.MEMBER)
SYSTEM_READER = Rule(system=Role.READER)
PROJECT_READER = Rule(system=Role.READER, owner=Role.READER, lessee=Role.READER)
PROJECT_MEMBER = Rule(system=Role.MEMBER, owner=Role.MEMBER, lessee=Role.MEMBER)
OWNER_READER = Rule(system=Role.READER, owner=Role.READER)
OWNER_MEMBER = Rule(system=Role.MEMBER, owner=Role.MEMBER)
OWNER_MANAGER = Rule(system=Role.MEMBER, owner=Role.MANAGER)
OWNER_ADMIN = Rule(system=Role.ADMIN, owner=Role.ADMIN)
OWNER_MANAGER_SYSTEM_ADMIN = Rule(system=Role.ADMIN, owner=Role.MANAGER)
OWNER_MEMBER_LESSEE_MANAGER = Rule(system=Role.MEMBER, owner=Role.MEMBER, lessee=Role.MANAGER)
OWNER_MANAGER_LESSEE_MANAGER = Rule(system=Role.MEMBER, owner=Role.MANAGER, lessee=Role.MANAGER)


def has(actor: Actor, role: Role | None) -> bool:
    """Whether the actor's role, wherever it is held, reaches this one."""
    return role is not None and role in implies(actor.role)


def is_site_wide(actor: Actor) -> bool:
    """Whether the actor sees all that there is, whoever owns it."""
    return actor.is_site_wide


def project_of(actor: Actor) -> str | None:
    """The project to which the actor's sight is limited; None for no limit, "" for an actor of no project."""
    return None if actor.is_site_wide else actor.project_id or ""


def allows(actor: Actor, rule: Rule, *, owner: str | None = None, lessee: str | None = None) -> bool:
    """Whether the actor may do what the rule guards, on a thing of this owner and this lessee."""
    if actor.is_site_wide:
        return has(actor, rule.system)
    project = actor.project_id
    if not project:
        return False
    return (project == owner and has(actor, rule.owner)) or (project == lessee and has(actor, rule.lessee))


def demand(actor: Actor, rule: Rule, name: str, *, owner: str | None = None, lessee: str | None = None) -> None:
    """Raises Forbidden. name: of the policy, such as `baremetal:node:delete`. The thing must be visible already."""
    if not allows(actor, rule, owner=owner, lessee=lessee):
        raise denied(name)


def denied(name: str) -> Forbidden:
    return Forbidden(f"Access was denied to the following resource: {name}")
