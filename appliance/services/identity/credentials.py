"""Application credentials: what a user gives to a program, never more than the user has."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from appliance.domain.errors import Conflict, Forbidden, Invalid, NotFound
from appliance.models.database import announce
from appliance.models.grant import RoleRow
from appliance.models.identity import AccessRule, ApplicationCredential, User
from appliance.services.identity import fields, rights
from appliance.services.identity.bearers import Allowed, Caller

MOST = 1000
"""Credentials of one user."""


class NotDelegable(Forbidden):
    """An application credential may not be used to manage credentials."""

    code: ClassVar[str] = "not-delegable"

    def __init__(self) -> None:
        super().__init__(
            "Using method 'application_credential' is not allowed for managing additional application credentials."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleRef:
    """A role by id, or by name."""

    id: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """roles: None for all that the caller holds. rules: None for no limit; each by id or described."""

    name: str
    secret_hash: str = field(repr=False)
    is_own_secret: bool
    description: str | None = None
    roles: Sequence[RoleRef] | None = None
    expires_at: datetime | None = None
    is_unrestricted: bool = False
    rules: Sequence[str | Allowed] | None = None


def new_secret() -> str:
    return secrets.token_urlsafe(64)


def refuse_delegated(session: Session, caller: Caller) -> None:
    """A program may manage credentials only when its own says so. Raises NotDelegable."""
    if caller.claims.credential_id:
        mine = session.get(ApplicationCredential, caller.claims.credential_id)
        if mine is None or not mine.is_unrestricted:
            raise NotDelegable


def refuse_more(session: Session, caller: Caller, user: User) -> str:
    """The project of a further credential. Raises Invalid, Forbidden, NotDelegable for who can have none."""
    refuse_delegated(session, caller)
    if caller.rules is not None:
        raise Forbidden("A credential with access rules cannot make further credentials.")
    if caller.actor.project_id is None:
        raise Invalid("Could not find project: an application credential needs a token of a project.")
    mine = select(func.count()).select_from(ApplicationCredential).where(ApplicationCredential.user_id == user.id)
    if (session.scalar(mine) or 0) >= MOST:
        raise Forbidden(f"Unable to create additional application credentials, maximum of {MOST} already exceeded.")
    return caller.actor.project_id


def create(session: Session, caller: Caller, user: User, wish: Wish, *, now: datetime) -> ApplicationCredential:
    """For the project of the caller's token. Raises Invalid, Forbidden, Conflict, NotDelegable."""
    project_id = refuse_more(session, caller, user)
    if wish.expires_at is not None and wish.expires_at <= now:
        raise Invalid("The 'expires_at' must not be before now.")
    mine = ApplicationCredential.user_id == user.id
    if session.scalar(select(ApplicationCredential.id).where(mine, ApplicationCredential.name == wish.name)):
        raise Conflict(
            "Conflict occurred attempting to store application_credential - Duplicate entry found with name "
            f"{wish.name[:64]}."
        )
    row = ApplicationCredential(
        user_id=user.id, project_id=project_id, name=wish.name, description=wish.description,
        secret_hash=wish.secret_hash, is_own_secret=wish.is_own_secret, role_ids=_roles(session, caller, wish.roles),
        rule_ids=[_rule(session, user, one).id for one in wish.rules or ()], is_unrestricted=wish.is_unrestricted,
        expires_at=_end(session, caller, wish.expires_at), created_at=now,
    )  # fmt: skip
    session.add(row)
    session.flush()
    return row


def _roles(session: Session, caller: Caller, wanted: Sequence[RoleRef] | None) -> list[str]:
    """Only what the caller holds now: a program that makes credentials hands on no more than it has."""
    held = {role.id: role.name for role in caller.roles}
    if wanted is None:
        return sorted(held)
    chosen: list[str] = []
    for ref in wanted:
        fits = [role_id for role_id, name in held.items() if role_id == ref.id or (ref.name and name == ref.name)]
        if not fits:
            given = ref.id or ref.name
            by = (RoleRow.id == ref.id) if ref.id else (RoleRow.name == ref.name)
            if session.scalar(select(RoleRow.id).where(by)) is None:
                fields.missing("role", given)
            raise Invalid(
                f"Invalid application credential: Could not find role assignment with role: {given[:64]}, "
                f"user or group: {caller.actor.user_uuid}, project, domain, or system: {caller.actor.project_id}."
            )
        chosen.extend(fits)
    return sorted(set(chosen))


def _end(session: Session, caller: Caller, wanted: datetime | None) -> datetime | None:
    """A program's own end is the latest for what it makes, and the end where it names none."""
    mine = session.get(ApplicationCredential, caller.claims.credential_id) if caller.claims.credential_id else None
    if mine is None or mine.expires_at is None or (wanted is not None and wanted <= mine.expires_at):
        return wanted
    if wanted is not None:
        raise Forbidden("A credential cannot outlive the application credential that it is made with.")
    return mine.expires_at


def _rule(session: Session, user: User, wanted: str | Allowed) -> AccessRule:
    if isinstance(wanted, str):
        return rule(session, user, wanted)
    same = (AccessRule.service == wanted.service, AccessRule.method == wanted.method, AccessRule.path == wanted.path)
    row = session.scalar(select(AccessRule).where(AccessRule.user_id == user.id, *same))
    if row is None:
        row = AccessRule(user_id=user.id, service=wanted.service, method=wanted.method, path=wanted.path)
        session.add(row)
        session.flush()
    return row


def fetch(session: Session, user: User, credential_id: str) -> ApplicationCredential:
    """Raises NotFound, for somebody else's too."""
    row = session.get(ApplicationCredential, credential_id) if len(credential_id) <= 64 else None
    if row is None or row.user_id != user.id:
        fields.missing("Application Credential", credential_id)
    return row


def remove(session: Session, row: ApplicationCredential) -> None:
    """Its tokens end at once."""
    announce(session, rights.TOPIC)
    session.delete(row)


def rule(session: Session, user: User, rule_id: str) -> AccessRule:
    """Raises NotFound."""
    row = session.get(AccessRule, rule_id) if len(rule_id) <= 64 else None
    if row is None or row.user_id != user.id:
        raise NotFound(f"Could not find Access Rule: {rule_id[:64]}.")
    return row


def remove_rule(session: Session, user: User, row: AccessRule) -> None:
    """Raises Forbidden while a credential uses it."""
    uses = session.scalars(select(ApplicationCredential.rule_ids).where(ApplicationCredential.user_id == user.id))
    if any(row.id in used for used in uses):
        raise Forbidden("Forbidden to delete the access rule: it is used by an application credential.")
    session.delete(row)
