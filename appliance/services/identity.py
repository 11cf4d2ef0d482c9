"""Who somebody is: users, passwords, tokens. What they may do is appliance.domain.access.

Passwords are Argon2id hashes. A token is 256 random bits; the database keeps its SHA-256 only, so a stolen database
opens no door. After some failures in a row an account rests; an unknown name, a wrong password, a resting and a
disabled account give the same text after the same work. Each function is handed its session and the time; only
`login` takes the database, since hashing must not happen while a write transaction holds everybody else up.
"""

import hashlib
import logging
import secrets
import threading
import unicodedata
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import ClassVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from appliance.domain.access import Actor, Role, implies
from appliance.domain.errors import Conflict, Invalid, NotFound, RackwrightError, Unauthenticated
from appliance.domain.names import hostname
from appliance.models.database import Database, announce
from appliance.models.event import record
from appliance.models.identity import Token, User

log = logging.getLogger(__name__)

TOPIC = "identity"
"""The bell that rings when somebody's tokens or rights have changed."""

MIN_PASSWORD = 8
MAX_PASSWORD = 4096
TOKEN_PREFIX = "rwt_"  # noqa: S105  (a mark for secret scanners, not a secret)
_MAX_TOKEN = 128
_BACKWARD_CLOCK = timedelta(minutes=5)

# OWASP's second choice (19 MiB, 2 passes) instead of RFC 9106's 64 MiB: logins must not cost an idle appliance its
# memory. Two at a time, so that a thousand bad logins cost 38 MiB and leave a processor to the rest.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_AT_ONCE = threading.BoundedSemaphore(2)


class LoginRefused(Unauthenticated):
    """The name or the password is wrong, or the account rests after too many failures."""

    code: ClassVar[str] = "login-refused"

    def __init__(self) -> None:
        super().__init__(next_step="check name and password; after five failures an account rests for 30 minutes")


class TokenRefused(Unauthenticated):
    """The token is unknown, has expired or was revoked."""

    def __init__(self) -> None:
        super().__init__(next_step="run `rackwright login`")


class LastAdmin(Conflict):
    """The account is the last enabled administrator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    token_lifetime: timedelta = timedelta(hours=12)
    lockout_failures: int = 5
    lockout: timedelta = timedelta(minutes=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    token: str = field(repr=False)
    expires_at: datetime
    actor: Actor


def create_user(
    session: Session, *, name: str, password: str, role: Role, now: datetime, must_change: bool = False
) -> User:
    """name: as a host name label, lower-cased. Raises Invalid or Conflict."""
    name = hostname(name)
    if _find(session, name) is not None:
        raise Conflict(f"there is a user {name!r} already")
    user = User(name=name, role=role.value, password_hash=_hash(password), must_change=must_change, created_at=now)
    session.add(user)
    session.flush()
    return user


def list_users(session: Session) -> list[User]:
    return list(session.scalars(select(User).order_by(User.name)))


def disable_user(session: Session, *, name: str) -> User:
    """Shut an account: its tokens die in the same transaction."""
    user = _existing(session, name)
    others = select(User.id).where(User.role == Role.ADMIN.value, User.is_enabled, User.id != user.id)
    if user.role == Role.ADMIN.value and session.scalar(others) is None:
        raise LastAdmin(next_step="create another administrator first")
    user.is_enabled = False
    revoke_all(session, user)
    return user


def enable_user(session: Session, *, name: str) -> User:
    """Open an account again, and end its rest."""
    user = _existing(session, name)
    announce(session, TOPIC)
    user.is_enabled, user.failed_logins, user.locked_until = True, 0, None
    return user


def set_role(session: Session, *, name: str, role: Role) -> User:
    """A changed role counts at once, in other processes within seconds (appliance.http.auth)."""
    user = _existing(session, name)
    announce(session, TOPIC)
    others = select(User.id).where(User.role == Role.ADMIN.value, User.is_enabled, User.id != user.id)
    if user.role == Role.ADMIN.value and role is not Role.ADMIN and session.scalar(others) is None:
        raise LastAdmin(next_step="create another administrator first")
    user.role = role.value
    return user


def set_password(session: Session, *, user: User, password: str, must_change: bool) -> None:
    """Replace a password without knowing the old one; all tokens of the user die."""
    user.password_hash, user.must_change = _hash(password), must_change
    user.failed_logins, user.locked_until = 0, None
    revoke_all(session, user)


def login(database: Database, *, name: str, password: str, now: datetime, policy: Policy, source: str = "") -> Login:
    """Prove who you are and receive a token. source: the peer's address, for the record. Raises LoginRefused.

    A password above 4,096 characters is refused before any work (Invalid).
    """
    if len(password) > MAX_PASSWORD:
        raise Invalid(f"a password has at most {MAX_PASSWORD} characters")
    with database.read() as session:
        user = _find(session, name)
        seen_hash = user.password_hash if user else None
    is_right = _verify(seen_hash or _nobody(), password)
    with database.write() as session:
        user = _find(session, name)
        refused = user is None or not user.is_enabled or (user.locked_until is not None and now < user.locked_until)
        if user is not None and not refused and is_right and user.password_hash == seen_hash:
            return _admit(session, user, now, policy)
        if user is not None and not refused:
            _count_failure(session, user, now, policy)
        log.info("login refused name=%r source=%s", name[:64], source)
    raise LoginRefused


def authenticate(session: Session, token: str, now: datetime) -> Actor:
    """Who holds this token? Raises TokenRefused; the same for every reason."""
    if not token.isascii() or not token.startswith(TOKEN_PREFIX) or len(token) > _MAX_TOKEN:
        raise TokenRefused
    row = session.scalar(select(Token).where(Token.secret_hash == _digest(token)))
    # A token from the future means that the clock was set back: it must not live longer for that.
    if row is None or now >= row.expires_at or now < row.created_at - _BACKWARD_CLOCK or not row.user.is_enabled:
        raise TokenRefused
    return _actor(row.user)


def logout(session: Session, token: str) -> None:
    """Revoke one token; an unknown one is no error."""
    announce(session, TOPIC)
    session.execute(delete(Token).where(Token.secret_hash == _digest(token[:_MAX_TOKEN])))


def change_password(session: Session, *, actor: Actor, old: str, new: str) -> None:
    """One's own password. Every token of the user dies, the present one too: log in again."""
    user = session.get(User, actor.user_id)
    if user is None or len(old) > MAX_PASSWORD or not _verify(user.password_hash, old):
        raise Invalid("the present password is not right")
    if old == new:
        raise Invalid("the new password is the old one", next_step="choose another")
    set_password(session, user=user, password=new, must_change=False)


def change_own_password(database: Database, *, actor: Actor, old: str, new: str) -> None:
    """As `change_password`, with the hashing outside any transaction: nobody's write waits for it."""
    with database.read() as session:
        user = session.get(User, actor.user_id)
        seen_hash = user.password_hash if user else None
    if len(old) > MAX_PASSWORD or not _verify(seen_hash or _nobody(), old):
        raise Invalid("the present password is not right")
    if old == new:
        raise Invalid("the new password is the old one", next_step="choose another")
    hashed = _hash(new)
    with database.write() as session:
        user = session.get(User, actor.user_id)
        if user is None or user.password_hash != seen_hash:
            raise Invalid("the present password is not right")
        user.password_hash, user.must_change = hashed, False
        user.failed_logins, user.locked_until = 0, None
        revoke_all(session, user)


def revoke_all(session: Session, user: User) -> None:
    announce(session, TOPIC)
    session.execute(delete(Token).where(Token.user_id == user.id))


def sweep_tokens(session: Session, now: datetime) -> int:
    """Delete expired tokens; how many there were."""
    gone = session.scalars(delete(Token).where(Token.expires_at <= now).returning(Token.id)).all()
    return len(gone)


def new_password() -> str:
    """A random password of 20 letters and digits without look-alikes, in groups (about 98 bits)."""
    letters = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(letters) for _ in range(5)) for _ in range(4))


def _admit(session: Session, user: User, now: datetime, policy: Policy) -> Login:
    user.failed_logins, user.locked_until = 0, None
    if _HASHER.check_needs_rehash(user.password_hash):
        log.info("password hash is of an older strength user=%s", user.name)
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    expires_at = now + policy.token_lifetime
    session.add(Token(secret_hash=_digest(token), user_id=user.id, created_at=now, expires_at=expires_at))
    return Login(token=token, expires_at=expires_at, actor=_actor(user))


def _count_failure(session: Session, user: User, now: datetime, policy: Policy) -> None:
    user.failed_logins += 1
    if user.failed_logins >= policy.lockout_failures:
        user.failed_logins, user.locked_until = 0, now + policy.lockout
        message = f"the account {user.name} rests until {user.locked_until:%Y-%m-%d %H:%M:%S} UTC after failed logins"
        record(session, at=now, kind="identity.locked", message=message, actor="identity")


def _actor(user: User) -> Actor:
    role = Role(user.role)
    return Actor(
        name=user.name, role=role, user_id=user.id, must_change=user.must_change, user_uuid=user.uuid,
        roles=frozenset(implies(role)) - {Role.NONE},
    )  # fmt: skip


def _find(session: Session, name: str) -> User | None:
    return session.scalar(select(User).where(User.name == name.strip().lower())) if len(name) <= 64 else None


def _existing(session: Session, name: str) -> User:
    user = _find(session, name)
    if user is None:
        raise NotFound(f"there is no user {name[:64]!r}")
    return user


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _normal(password: str) -> str:
    """One text for the same characters however a keyboard composes them (RFC 8265 §4.2.2: NFC)."""
    return unicodedata.normalize("NFC", password)


def _hash(password: str) -> str:
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise Invalid(f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters")
    with _AT_ONCE:
        return _HASHER.hash(_normal(password))


def _verify(hashed: str, password: str) -> bool:
    try:
        with _AT_ONCE:
            return _HASHER.verify(hashed, _normal(password))
    except VerificationError:
        return False
    except InvalidHashError as cause:
        raise RackwrightError("a stored password hash is damaged", next_step="set the password anew") from cause


@lru_cache(maxsize=1)
def _nobody() -> str:
    """The hash that an unknown name is tried against, so that it takes as long as a known one."""
    return _hash(secrets.token_hex())
