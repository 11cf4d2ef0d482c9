"""Tokens at work: giving one, finding out who brings one, ending one.

Whether claims still hold is read from the database and remembered for KNOWN_FOR, so most requests cost a hash and a
look into memory. What this process itself changes (log-out, password, role) counts at once, since it rings a bell;
what another process or a hand changes, within KNOWN_FOR.
"""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from appliance.domain.access import Actor
from appliance.domain.clock import Clock
from appliance.domain.errors import Unauthenticated
from appliance.models.database import Database, announce
from appliance.models.identity import AccessRule, ApplicationCredential, Domain, Project, Revocation, User
from appliance.services.identity import keys, rights, token
from appliance.services.identity.keys import Ring
from appliance.services.identity.policy import Policy
from appliance.services.identity.rights import TOPIC, Held
from appliance.services.identity.token import Claims
from appliance.services.vault import Vault

KNOWN_FOR = timedelta(seconds=5)
_KNOWN_MOST = 1000
_BACKWARD_CLOCK = timedelta(minutes=5)


class TokenRefused(Unauthenticated):
    """The token is unknown, has expired or was revoked."""

    def __init__(self) -> None:
        super().__init__(next_step="run `rackwright login`")


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """A request that an application credential may make."""

    service: str
    method: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who brings a token. rules: the only requests that it is good for; None when it is good for all."""

    actor: Actor
    claims: Claims
    roles: tuple[Held, ...]
    rules: tuple[Allowed, ...] | None = None


class Tokens:
    """One for each process: the keys, the policy, and who was seen a moment ago. Safe in threads.

    state: where a clouds.yaml is kept right when a password changes.
    """

    def __init__(
        self, database: Database, vault: Vault, clock: Clock, policy: Policy, *, state: Path | None = None
    ) -> None:
        self.database, self.vault, self.clock, self.policy, self.state = database, vault, clock, policy, state
        self._ring = Ring(database, vault)
        self._known: dict[bytes, tuple[Caller, datetime, int]] = {}

    def seal(self, claims: Claims) -> str:
        return token.seal(claims, self._ring.opening(self.clock()))

    def read(self, text: str) -> Claims:
        """What the token says, whether or not it still holds. Raises TokenRefused."""
        now = self.clock()
        try:
            return token.unseal(text, self._ring.opening(now))
        except token.Malformed as cause:
            is_perhaps_ours = text.startswith(token.PREFIX) and len(text) <= token.MAX_TEXT
            if not is_perhaps_ours or not self._ring.look(now):
                raise TokenRefused from cause
        try:
            return token.unseal(text, self._ring.opening(now))
        except token.Malformed as cause:
            raise TokenRefused from cause

    def find(self, text: str) -> Caller:
        """Who brings this token? Raises TokenRefused, the same for every reason."""
        now = self.clock()
        changes = self.database.bells.count(TOPIC)  # before the look, so that a change during it is not missed
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        known = self._known.get(digest)
        # A clock that was set back makes an entry look younger than it is: then we look again too.
        if known is not None and known[2] == changes and timedelta(0) <= now - known[1] < KNOWN_FOR:
            if now >= known[0].claims.expires_at:
                raise TokenRefused
            return known[0]
        claims = self.read(text)
        with self.database.read() as session:
            caller = holder(session, claims, now)
        if len(self._known) >= _KNOWN_MOST:
            self._known.clear()
        self._known[digest] = (caller, now, changes)
        return caller

    def revoke(self, session: Session, claims: Claims) -> None:
        """End one token; those made from it live on."""
        revoke(session, f"audit:{claims.audit_ids[0]}", at=self.clock(), until=claims.expires_at)

    def end_session(self, session: Session, claims: Claims) -> None:
        """Somebody logs out: what was made from the token ends with it."""
        revoke(session, f"chain:{claims.chain_id}", at=self.clock(), until=claims.expires_at)

    def rotate_when_old(self, session: Session, age: timedelta) -> bool:
        """As `rotate`, when the sealing key is of that age."""
        return keys.rotate_when_old(session, self.vault, self.clock(), age=age, longest=self.policy.longest)

    def rotate(self, session: Session) -> int:
        """Seal with the next key from now on; how many keys open tokens now."""
        return keys.rotate(session, self.vault, self.clock(), longest=self.policy.longest)


def revoke(session: Session, subject: str, *, at: datetime, until: datetime) -> None:
    """Tokens of the subject that were issued until `at` count no longer."""
    announce(session, TOPIC)
    session.merge(Revocation(subject=subject, at=at, until=until))


def sweep_revocations(session: Session, now: datetime) -> int:
    """Forget what concerns tokens that have expired by now; how many there were."""
    gone = session.scalars(delete(Revocation).where(Revocation.until <= now).returning(Revocation.subject)).all()
    return len(gone)


def holder(session: Session, claims: Claims, now: datetime) -> Caller:
    """Who holds these claims now, and with which rights? Raises TokenRefused."""
    # A token from the future means that the clock was set back: it must not live longer for that.
    if now >= claims.expires_at or now < claims.issued_at - _BACKWARD_CLOCK:
        raise TokenRefused
    user = session.scalar(select(User).where(User.uuid == claims.user_uuid))
    if user is None or not user.is_enabled or user.generation != claims.generation:
        raise TokenRefused
    home = session.get(Domain, user.domain_id)
    if home is None or not home.is_enabled or _is_revoked(session, claims):
        raise TokenRefused
    actor, held = seen_as(session, user, claims.scope)
    if claims.scope.kind != "unscoped" and not held:
        raise TokenRefused
    caller = Caller(actor=actor, claims=claims, roles=tuple(held))
    return _delegate(session, caller, now) if claims.credential_id else caller


def _delegate(session: Session, caller: Caller, now: datetime) -> Caller:
    """The rights of an application credential: what it was given of what its owner still has."""
    actor, claims = caller.actor, caller.claims
    credential = session.get(ApplicationCredential, claims.credential_id)
    if credential is None or credential.user_id != actor.user_id or actor.project_id != credential.project_id:
        raise TokenRefused
    if credential.expires_at is not None and now >= credential.expires_at:
        raise TokenRefused
    given = rights.closure(session, credential.role_ids)
    kept = tuple(role for role in caller.roles if role.id in given)
    if not kept:
        raise TokenRefused
    names = frozenset(role.name for role in kept)
    return Caller(
        actor=replace(actor, role=rights.highest(names), roles=names), claims=claims, roles=kept,
        rules=_rules(session, credential),
    )  # fmt: skip


def _rules(session: Session, credential: ApplicationCredential) -> tuple[Allowed, ...] | None:
    if not credential.rule_ids:
        return None
    rows = session.scalars(select(AccessRule).where(AccessRule.id.in_(credential.rule_ids)))
    return tuple(Allowed(service=row.service, method=row.method, path=row.path) for row in rows)


def seen_as(session: Session, user: User, scope: token.Scope) -> tuple[Actor, list[Held]]:
    """The user with the roles held on the scope. Raises TokenRefused when the scope is gone or disabled."""
    held: list[Held] = []
    is_admin_project = False
    if scope.kind == "system":
        held = rights.on_system(session, user)
    elif scope.kind == "domain":
        domain = session.get(Domain, scope.id)
        if domain is None or not domain.is_enabled:
            raise TokenRefused
        held = rights.on_domain(session, user, scope.id)
    elif scope.kind == "project":
        project = session.get(Project, scope.id)
        if project is None or not is_open(session, project):
            raise TokenRefused
        held = rights.on_project(session, user, project)
        is_admin_project = rights.is_admin_project(project)
    names = frozenset(role.name for role in held)
    actor = Actor(
        name=user.name, role=rights.highest(names), user_id=user.id, must_change=user.must_change,
        user_uuid=user.uuid, user_domain_id=user.domain_id, roles=names, is_system=scope.kind == "system",
        project_id=scope.id if scope.kind == "project" else None,
        domain_id=scope.id if scope.kind == "domain" else None, is_admin_project=is_admin_project,
    )  # fmt: skip
    return actor, held


def is_open(session: Session, project: Project) -> bool:
    """Neither the project nor its domain is disabled."""
    domain = session.get(Domain, project.domain_id)
    return project.is_enabled and domain is not None and domain.is_enabled


def _is_revoked(session: Session, claims: Claims) -> bool:
    subjects = [f"audit:{claims.audit_ids[0]}", f"chain:{claims.chain_id}"]
    if claims.scope.kind in ("project", "domain"):
        subjects.append(f"{claims.scope.kind}:{claims.scope.id}")
    query = select(Revocation.subject).where(Revocation.subject.in_(subjects), Revocation.at >= claims.issued_at)
    return session.scalar(query.limit(1)) is not None
