"""Proving who one is, and receiving a token: by password, by a token that one has, by an application credential.

An unknown name, a wrong password, a resting and a disabled account give the same text after the same work. Hashing
happens outside any transaction; an account is written to only when a failure is counted or forgotten.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import ClassVar

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from appliance.domain.access import ADMIN_PROJECT, Actor, Role
from appliance.domain.errors import Invalid, Unauthenticated
from appliance.models.event import record
from appliance.models.identity import DEFAULT_DOMAIN, ApplicationCredential, Domain, Project, User
from appliance.services.identity import rights
from appliance.services.identity.bearers import Caller, TokenRefused, Tokens, holder, seen_as
from appliance.services.identity.passwords import MAX_PASSWORD, one_login, verify
from appliance.services.identity.policy import Policy
from appliance.services.identity.token import METHODS, Claims, Scope

log = logging.getLogger(__name__)

Finder = Callable[[Session], User | None]


class LoginRefused(Unauthenticated):
    """The name or the password is wrong, or the account rests after too many failures."""

    code: ClassVar[str] = "login-refused"

    def __init__(self) -> None:
        super().__init__(next_step="check name and password; after five failures an account rests for 30 minutes")


class ScopeRefused(Unauthenticated):
    """The user holds no role there, or there is no such place."""

    code: ClassVar[str] = "scope-refused"


class PasswordExpired(Unauthenticated):
    """The password has expired and needs to be changed."""

    code: ClassVar[str] = "password-expired"

    def __init__(self, user_uuid: str) -> None:
        super().__init__(
            f"The password is expired and needs to be changed for user: {user_uuid}.",
            next_step="rackwright login, which asks for a new one",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """A user by id, or by name and the domain's id or name."""

    id: str = ""
    name: str = ""
    domain_id: str = ""
    domain_name: str = ""

    def find(self, session: Session) -> User | None:
        if self.id:
            return session.scalar(select(User).where(User.uuid == self.id))
        domain = find_domain(session, self.domain_id, self.domain_name)
        if domain is None:
            return None
        return session.scalar(select(User).where(User.name == self.name, User.domain_id == domain.id))


@dataclass(frozen=True, slots=True, kw_only=True)
class ByPassword:
    who: Who
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ByToken:
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ByCredential:
    """An application credential by id, or by its name and its owner."""

    secret: str = field(repr=False)
    id: str = ""
    name: str = ""
    who: Who | None = None


Proof = ByPassword | ByToken | ByCredential


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Proved:
    user_id: int
    generation: int
    method: str
    parent: Claims | None = None
    credential_id: str = ""


def authenticate(tokens: Tokens, proofs: list[Proof], wanted: Wanted, *, source: str = "") -> Issued:
    """A token for somebody who proves the same identity in each way.

    Raises LoginRefused, ScopeRefused, TokenRefused, PasswordExpired.
    """
    proved = [_prove(tokens, proof, source) for proof in proofs]
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
    except _Expired as expired:
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


def whose_password(tokens: Tokens, user_uuid: str, password: str, source: str) -> int:
    """The id of the user whose password this is, though it may have expired. Refuses and counts as a log-in does."""
    try:
        return check_password(tokens, Who(id=user_uuid).find, password, source)[0]
    except _Expired as expired:
        return expired.user_id


def find_by_name(session: Session, name: str) -> User | None:
    """A user of domain Default, whatever the case in which the name is typed; an exact match comes first."""
    name = name.strip()
    if not name or len(name) > 255:
        return None
    query = select(User).where(User.domain_id == DEFAULT_DOMAIN)
    exact = session.scalar(query.where(User.name == name))
    return exact or session.scalar(query.where(func.lower(User.name) == name.lower()).order_by(User.id).limit(1))


def find_domain(session: Session, domain_id: str, name: str) -> Domain | None:
    if domain_id:
        return session.get(Domain, domain_id)
    return session.scalar(select(Domain).where(Domain.name == name)) if name else None


class _Expired(PasswordExpired):
    def __init__(self, user: User) -> None:
        super().__init__(user.uuid)
        self.user_id, self.generation = user.id, user.generation


def check_password(tokens: Tokens, find: Finder, password: str, source: str) -> tuple[int, int]:
    """The id and the generation of the user whose password this is. Raises LoginRefused, PasswordExpired."""
    now, policy = tokens.clock(), tokens.policy
    with one_login():
        with tokens.database.read() as session:
            user = find(session)
            seen_hash = user.password_hash if user else None
            is_plain = user is not None and _may_enter(session, user, now)
        is_right = verify(seen_hash, password)
    if is_right and is_plain and user is not None and not user.failed_logins and user.locked_until is None:
        return _in_time(user, now, policy)
    with tokens.database.write() as session:
        user = find(session)
        refused = user is None or not _may_enter(session, user, now)
        if user is not None and not refused and is_right and user.password_hash == seen_hash:
            user.failed_logins, user.locked_until = 0, None
            admitted = user
        else:
            if user is not None and not refused:
                _count_failure(session, user, now, policy)
            log.info("login refused source=%s", source)
            admitted = None
    if admitted is None:
        raise LoginRefused
    return _in_time(admitted, now, policy)


def _may_enter(session: Session, user: User, now: datetime) -> bool:
    domain = session.get(Domain, user.domain_id)
    is_resting = user.locked_until is not None and now < user.locked_until
    return user.is_enabled and not is_resting and domain is not None and domain.is_enabled


def _in_time(user: User, now: datetime, policy: Policy) -> tuple[int, int]:
    expires_at = policy.passwords.expires_at(user.password_set_at)
    if expires_at is not None and now >= expires_at and not user.options.get("ignore_password_expiry"):
        raise _Expired(user)
    return user.id, user.generation


def _count_failure(session: Session, user: User, now: datetime, policy: Policy) -> None:
    if user.options.get("ignore_lockout_failure_attempts"):
        return
    user.failed_logins += 1
    if user.failed_logins >= policy.lockout_failures:
        user.failed_logins, user.locked_until = 0, now + policy.lockout
        message = f"the account {user.name} rests until {user.locked_until:%Y-%m-%d %H:%M:%S} UTC after failed logins"
        record(session, at=now, kind="identity.locked", message=message, actor="identity")


def _prove(tokens: Tokens, proof: Proof, source: str) -> _Proved:
    if isinstance(proof, ByPassword):
        user_id, generation = check_password(tokens, proof.who.find, proof.password, source)
        return _Proved(user_id=user_id, generation=generation, method="password")
    if isinstance(proof, ByToken):
        caller = tokens.find(proof.text)
        if not caller.claims.credential_id:
            _refuse_expired(tokens, caller.actor.user_id)
        return _Proved(
            user_id=caller.actor.user_id, generation=caller.claims.generation, method="token", parent=caller.claims,
            credential_id=caller.claims.credential_id,
        )  # fmt: skip
    return _prove_credential(tokens, proof)


def _refuse_expired(tokens: Tokens, user_id: int) -> None:
    """A token that an expired password opened is for the change of that password, not for another scope."""
    with tokens.database.read() as session:
        user = session.get(User, user_id)
        if user is not None:
            _in_time(user, tokens.clock(), tokens.policy)


def _prove_credential(tokens: Tokens, proof: ByCredential) -> _Proved:
    with one_login():
        with tokens.database.read() as session:
            credential = _find_credential(session, proof)
            user = session.get(User, credential.user_id) if credential is not None else None
        is_right = verify(credential.secret_hash if credential else None, proof.secret)
    if credential is None or user is None or not is_right:
        raise LoginRefused
    return _Proved(
        user_id=user.id, generation=user.generation, method="application_credential", credential_id=credential.id
    )


def _find_credential(session: Session, proof: ByCredential) -> ApplicationCredential | None:
    if proof.id:
        return session.get(ApplicationCredential, proof.id)
    owner = proof.who.find(session) if proof.who is not None else None
    if owner is None:
        return None
    return session.scalar(
        select(ApplicationCredential).where(
            ApplicationCredential.user_id == owner.id, ApplicationCredential.name == proof.name
        )
    )


def _issue(tokens: Tokens, session: Session, proved: list[_Proved], wanted: Wanted) -> Issued:
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
    if project is None or not project.is_enabled or not rights.on_project(session, user, project):
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
