"""Proving who one is: by password, by a token that one has, by an application credential; and what failures cost.

An unknown name, a wrong password, a resting and a disabled account give the same text after the same work. Hashing
happens outside any transaction; an account is written to only when a failure is counted or forgotten.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import ClassVar

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from appliance.domain.errors import Unauthenticated
from appliance.models.event import record
from appliance.models.identity import DEFAULT_DOMAIN, ApplicationCredential, Domain, User
from appliance.services.identity.bearers import Tokens
from appliance.services.identity.passwords import Rules, one_login, verify
from appliance.services.identity.policy import Policy
from appliance.services.identity.token import Claims

log = logging.getLogger(__name__)

Finder = Callable[[Session], User | None]


class LoginRefused(Unauthenticated):
    """The name or the password is wrong, or the account rests after too many failures."""

    code: ClassVar[str] = "login-refused"

    def __init__(self) -> None:
        super().__init__(next_step="check name and password; after five failures an account rests for 30 minutes")


class PasswordExpired(Unauthenticated):
    """The password has expired and needs to be changed."""

    code: ClassVar[str] = "password-expired"

    def __init__(self, user_uuid: str) -> None:
        super().__init__(
            f"The password is expired and needs to be changed for user: {user_uuid}.",
            next_step="rackwright login, which asks for a new one",
        )


class Expired(PasswordExpired):
    """The same, of somebody who did prove it."""

    def __init__(self, user: User) -> None:
        super().__init__(user.uuid)
        self.user_id, self.generation = user.id, user.generation


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
class Proved:
    user_id: int
    generation: int
    method: str
    parent: Claims | None = None
    credential_id: str = ""


def good_until(session: Session, name: str, password: str, rules: Rules) -> datetime | None:
    """When this log-in of domain Default stops to work; long ago when it does not now, None for never."""
    user = session.scalar(select(User).where(User.domain_id == DEFAULT_DOMAIN, User.name == name))
    if user is None or not user.is_enabled or not verify(user.password_hash, password):
        return datetime.min.replace(tzinfo=UTC)
    return None if user.options.get("ignore_password_expiry") else rules.expires_at(user.password_set_at)


def whose_password(tokens: Tokens, user_uuid: str, password: str, source: str) -> tuple[int, int]:
    """Id and generation of the user whose password this is, though it may have expired. Refuses and counts as a log-in
    does.
    """
    try:
        return check_password(tokens, Who(id=user_uuid).find, password, source)
    except Expired as expired:
        return expired.user_id, expired.generation


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
        if user is not None:  # guesses at the same time are counted one by one
            user = session.get(User, user.id, with_for_update=True, populate_existing=True)
        refused = user is None or not _may_enter(session, user, now)
        if user is not None and not refused and is_right and user.password_hash == seen_hash:
            user.failed_logins, user.locked_until = 0, None
            admitted = user
        else:
            if user is not None and not refused:
                _count_failure(session, user, user, now, policy)
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
        raise Expired(user)
    return user.id, user.generation


def _count_failure(
    session: Session, row: User | ApplicationCredential, owner: User, now: datetime, policy: Policy
) -> None:
    if owner.options.get("ignore_lockout_failure_attempts"):
        return
    row.failed_logins += 1
    if row.failed_logins >= policy.lockout_failures:
        row.failed_logins, row.locked_until = 0, now + policy.lockout
        which = f"the account {owner.name}" if row is owner else f"an application credential of {owner.name} ({row.id})"
        message = f"{which} rests until {row.locked_until:%Y-%m-%d %H:%M:%S} UTC after failed logins"
        record(session, at=now, kind="identity.locked", message=message, actor="identity")


def prove(tokens: Tokens, proof: Proof, source: str) -> Proved:
    if isinstance(proof, ByPassword):
        user_id, generation = check_password(tokens, proof.who.find, proof.password, source)
        return Proved(user_id=user_id, generation=generation, method="password")
    if isinstance(proof, ByToken):
        caller = tokens.find(proof.text)
        if not caller.claims.credential_id:
            _refuse_expired(tokens, caller.actor.user_id)
        return Proved(
            user_id=caller.actor.user_id, generation=caller.claims.generation, method="token", parent=caller.claims,
            credential_id=caller.claims.credential_id,
        )  # fmt: skip
    return _prove_credential(tokens, proof, source)


def _refuse_expired(tokens: Tokens, user_id: int) -> None:
    """A token that an expired password opened is for the change of that password, not for another scope."""
    with tokens.database.read() as session:
        user = session.get(User, user_id)
        if user is not None:
            _in_time(user, tokens.clock(), tokens.policy)


def _prove_credential(tokens: Tokens, proof: ByCredential, source: str) -> Proved:
    """Failures rest the credential, never its owner, and only one whose secret somebody thought up: what is made here
    cannot be guessed, and whoever knows its id must not be able to stop the programs that use it.
    """
    now = tokens.clock()
    with one_login():
        with tokens.database.read() as session:
            credential = _find_credential(session, proof)
            user = session.get(User, credential.user_id) if credential is not None else None
        is_right = verify(credential.secret_hash if credential else None, proof.secret)
    known_id = credential.id if credential is not None else ""
    is_plain = credential is not None and not credential.failed_logins and credential.locked_until is None
    if not (is_right and is_plain):
        is_right = _admitted(tokens, known_id, now, is_right=is_right)
    if credential is None or user is None or not is_right:
        log.info("login refused source=%s credential=%s", source, known_id or "unknown")
        raise LoginRefused
    return Proved(
        user_id=user.id, generation=user.generation, method="application_credential", credential_id=credential.id
    )


def _admitted(tokens: Tokens, credential_id: str, now: datetime, *, is_right: bool) -> bool:
    """Count the failure of a credential, or forget those before."""
    with tokens.database.write() as session:
        row = session.get(ApplicationCredential, credential_id, with_for_update=True)
        user = session.get(User, row.user_id) if row is not None else None
        if row is None or user is None or (row.locked_until is not None and now < row.locked_until):
            return False
        if is_right:
            row.failed_logins, row.locked_until = 0, None
        elif row.is_own_secret:
            _count_failure(session, row, user, now, tokens.policy)
    return is_right


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
