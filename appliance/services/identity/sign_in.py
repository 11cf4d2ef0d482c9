"""Receiving a token: which scope it is for, and what it is bounded by."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import ClassVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.domain.access import ADMIN_PROJECT, Actor, Role
from appliance.domain.errors import Invalid, Unauthenticated
from appliance.models.identity import DEFAULT_DOMAIN, ApplicationCredential, Project, User
from appliance.services.identity import rights
from appliance.services.identity.bearers import Caller, TokenRefused, Tokens, holder, is_open, seen_as
from appliance.services.identity.passwords import MAX_PASSWORD
from appliance.services.identity.proving import (
    Expired,
    LoginRefused,
    Proof,
    Proved,
    check_password,
    find_by_name,
    find_domain,
    prove,
)
from appliance.services.identity.token import METHODS, Claims, Scope


class ScopeRefused(Unauthenticated):
    """The user holds no role there, or there is no such place."""

    code: ClassVar[str] = "scope-refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The scope that is asked for. kind: as in token.SCOPES, or empty when nothing is said."""

    kind: str = ""
    id: str = ""
    name: str = ""
    domain_id: str = ""
    domain_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    text: str = field(repr=False)
    caller: Caller


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """What the native API, the CLI and the console receive."""

    token: str = field(repr=False)
    expires_at: datetime
    actor: Actor


def authenticate(tokens: Tokens, proofs: list[Proof], wanted: Wanted, *, source: str = "") -> Issued:
    """A token for somebody who proves the same identity in each way.

    Raises LoginRefused, ScopeRefused, TokenRefused, PasswordExpired.
    """
    proved = [prove(tokens, proof, source) for proof in proofs]
    if not proved or len({one.user_id for one in proved}) != 1:
        raise LoginRefused
    with tokens.database.read() as session:
        return _issue(tokens, session, proved, wanted)


def login(tokens: Tokens, *, name: str, password: str, source: str = "") -> Login:
    """The native log-in, as a user of domain Default, for the widest scope held there. Raises LoginRefused.

    A password that has expired opens nothing but its own change.
    """
    if len(password) > MAX_PASSWORD:
        raise Invalid(f"a password has at most {MAX_PASSWORD} characters")
    try:
        user_id, generation = check_password(tokens, lambda session: find_by_name(session, name), password, source)
        has_expired = False
    except Expired as expired:
        user_id, generation, has_expired = expired.user_id, expired.generation, True
    now = tokens.clock()
    with tokens.database.read() as session:
        user = session.get(User, user_id)
        if user is None:
            raise LoginRefused
        scope = Scope() if has_expired else _widest(session, user)
        expires_at = now + tokens.policy.session_lifetime
        claims = Claims(
            user_uuid=user.uuid, methods=("password",), scope=scope, issued_at=now, expires_at=expires_at,
            generation=generation,
        )  # fmt: skip
        actor, _held = seen_as(session, user, scope)
    actor = replace(actor, must_change=actor.must_change or has_expired)
    return Login(token=tokens.seal(claims), expires_at=expires_at, actor=actor)


def _issue(tokens: Tokens, session: Session, proved: list[Proved], wanted: Wanted) -> Issued:
    now = tokens.clock()
    user = session.get(User, proved[0].user_id)
    if user is None:
        raise LoginRefused
    parents = [one.parent for one in proved if one.parent is not None]
    credential_id = next((one.credential_id for one in proved if one.credential_id), "")
    expires_at = min([parent.expires_at for parent in parents] or [now + tokens.policy.token_lifetime])
    methods = {one.method for one in proved} | {method for parent in parents for method in parent.methods}
    scope = _resolve(session, user, wanted)
    if credential_id:
        credential = session.get(ApplicationCredential, credential_id)
        if credential is None:
            raise LoginRefused
        scope = _scope_of(credential, scope, wanted)
        expires_at = min(expires_at, credential.expires_at or expires_at)
    claims = Claims(
        user_uuid=user.uuid, methods=tuple(method for method in METHODS if method in methods), scope=scope,
        issued_at=now, expires_at=expires_at, generation=min(one.generation for one in proved),
        parent=(parents[0].parent or parents[0].audit) if parents else b"", credential_id=credential_id,
    )  # fmt: skip
    try:
        caller = holder(session, claims, now)
    except TokenRefused as cause:
        raise ScopeRefused from cause
    return Issued(text=tokens.seal(claims), caller=caller)


def _scope_of(credential: ApplicationCredential, asked: Scope, wanted: Wanted) -> Scope:
    """An application credential is good for its own project only."""
    own = Scope(kind="project", id=credential.project_id)
    if wanted.kind and asked != own:
        raise ScopeRefused("Application credentials cannot request a scope.")
    return own


def _resolve(session: Session, user: User, wanted: Wanted) -> Scope:
    if wanted.kind == "":
        return _default_scope(session, user)
    if wanted.kind in ("unscoped", "system"):
        return Scope(kind=wanted.kind)
    if wanted.kind == "domain":
        domain = find_domain(session, wanted.id, wanted.name)
        if domain is None:
            raise ScopeRefused
        return Scope(kind="domain", id=domain.id)
    project = session.get(Project, wanted.id) if wanted.id else _project_by_name(session, wanted)
    if project is None:
        raise ScopeRefused
    return Scope(kind="project", id=project.id)


def _project_by_name(session: Session, wanted: Wanted) -> Project | None:
    domain = find_domain(session, wanted.domain_id, wanted.domain_name)
    if domain is None:
        return None
    return session.scalar(select(Project).where(Project.domain_id == domain.id, Project.name == wanted.name))


def _default_scope(session: Session, user: User) -> Scope:
    """The user's default project, when there is one and the user holds a role on it."""
    project = session.get(Project, user.default_project_id) if user.default_project_id else None
    if project is None or not is_open(session, project) or not rights.on_project(session, user, project):
        return Scope()
    return Scope(kind="project", id=project.id)


def _widest(session: Session, user: User) -> Scope:
    """The system; else the project `admin` for its administrators; else the user's default project."""
    if rights.highest(held.name for held in rights.on_system(session, user)) is not Role.NONE:
        return Scope(kind="system")
    project = session.scalar(select(Project).where(Project.domain_id == DEFAULT_DOMAIN, Project.name == ADMIN_PROJECT))
    if project is not None and project.is_enabled:
        held = rights.on_project(session, user, project)
        if rights.highest(one.name for one in held) is Role.ADMIN:
            return Scope(kind="project", id=project.id)
    return _default_scope(session, user)
