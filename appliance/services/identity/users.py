"""Users: making, changing and removing them. Passwords arrive here as hashes (services.identity.passwords).

Every change that takes something away ends the tokens that were given before, in the same transaction.
"""

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from appliance.domain.access import Role
from appliance.domain.errors import Invalid, NotFound
from appliance.domain.names import hostname
from appliance.models.database import announce
from appliance.models.grant import Assignment
from appliance.models.identity import DEFAULT_DOMAIN, PasswordBefore, Project, User
from appliance.services import clouds
from appliance.services.identity import bootstrap, fields, grants, passwords, rights
from appliance.services.identity.bearers import Tokens
from appliance.services.identity.fields import Columns
from appliance.services.identity.passwords import BadPassword, Rules
from appliance.services.identity.proving import LoginRefused, find_by_name, whose_password


def fetch(session: Session, uuid: str) -> User:
    """Raises NotFound."""
    user = session.scalar(select(User).where(User.uuid == uuid)) if len(uuid) <= 64 else None
    if user is None:
        fields.missing("user", uuid)
    return user


def create(session: Session, *, domain_id: str, name: str, now: datetime, columns: Columns) -> User:
    """columns: further ones; `password_hash` None or absent for somebody without a password."""
    fields.refuse_taken(session, (User.domain_id == domain_id) & (User.name == name), "user", name, domain_id=domain_id)
    _check_project(session, columns)
    user = User(domain_id=domain_id, name=name, created_at=now, password_set_at=now, options={}, extra={})
    fields.apply(user, columns)
    session.add(user)
    session.flush()
    return user


def update(session: Session, user: User, columns: Columns, *, now: datetime) -> None:
    """A disabled user and one with a new password lose their tokens. Raises LastAdmin, Conflict."""
    if (name := columns.get("name", user.name)) != user.name:
        taken = (User.domain_id == user.domain_id) & (User.name == name)
        fields.refuse_taken(session, taken, "user", name, domain_id=user.domain_id)
    _check_project(session, columns)
    with rights.changing(session):
        if columns.get("is_enabled") is True and not user.is_enabled:
            user.failed_logins, user.locked_until = 0, None
        if columns.get("is_enabled") is False:
            user.generation += 1
        if "password_hash" in columns:
            take_password(session, user, columns["password_hash"], now=now, must_change=False)
        fields.apply(user, {key: value for key, value in columns.items() if key != "password_hash"})


def remove(session: Session, user: User) -> None:
    """Raises LastAdmin."""
    with rights.changing(session):
        session.execute(delete(Assignment).where(Assignment.actor_kind == "user", Assignment.actor_id == user.uuid))
        session.delete(user)


def take_password(session: Session, user: User, hashed: str | None, *, now: datetime, must_change: bool) -> None:
    """The old one goes into the history; every token of the user ends."""
    if user.password_hash is not None:
        session.add(PasswordBefore(user_id=user.id, password_hash=user.password_hash, set_at=user.password_set_at))
        session.flush()
        _shorten_history(session, user)
    user.password_hash, user.password_set_at, user.must_change = hashed, now, must_change
    user.failed_logins, user.locked_until = 0, None
    end_tokens(session, user)


def end_tokens(session: Session, user: User) -> None:
    announce(session, rights.TOPIC)
    user.generation += 1


def change_own_password(tokens: Tokens, *, user_uuid: str, old: str, new: str, source: str = "") -> None:
    """For somebody who has logged in: a wrong old one is told, and counts as a failed log-in. Raises as below."""
    _check_new(tokens.policy.passwords, old, new)
    try:
        who = whose_password(tokens, user_uuid, old, source)
    except LoginRefused as cause:
        why = "it counts as a failed log-in, and after five of them an account rests for 30 minutes"
        raise Invalid("the present password is not right", why=why) from cause
    replace_password(tokens, who, old=old, new=new)


def replace_password(tokens: Tokens, who: tuple[int, int], *, old: str, new: str) -> None:
    """who: id and generation, as `whose_password` found them. Every token of the user ends, the present one too.

    Hashing happens outside any transaction: nobody's write waits for it. Raises Invalid, BadPassword.
    """
    user_id, generation = who
    rules = tokens.policy.passwords
    _check_new(rules, old, new)
    with tokens.database.read() as session:
        before = _history(session, user_id)
    with passwords.one_login():
        rules.check_history(new, before)
        hashed = passwords.hash_password(new)
    with tokens.database.write() as session:
        user = session.get(User, user_id)
        if user is None or user.generation != generation:
            raise Invalid("the password was changed meanwhile", next_step="log in again")
        if user.options.get("lock_password"):
            raise BadPassword("You cannot change your password: it is locked.", next_step="ask an administrator")
        take_password(session, user, hashed, now=tokens.clock(), must_change=False)
    clouds.keep_right(tokens.state, user, new, is_old=lambda given: given == old)


def _check_new(rules: Rules, old: str, new: str) -> None:
    if old == new:
        raise Invalid("the new password is the old one", next_step="choose another")
    rules.check(new)


# The native names: users of domain Default, whose role is held on the whole system ---------------------------------


def create_user(
    session: Session, *, name: str, password: str, role: Role, now: datetime, must_change: bool = False
) -> User:
    """name: as a host name label, lower-cased. Raises Invalid or Conflict."""
    name = hostname(name)
    Rules().check(password)
    bootstrap.ensure(session)
    columns = {"password_hash": passwords.hash_password(password), "must_change": must_change}
    user = create(session, domain_id=DEFAULT_DOMAIN, name=name, now=now, columns=columns)
    grants.give_on_system(session, user, role)
    return user


def list_users(session: Session) -> list[User]:
    return list(session.scalars(select(User).order_by(User.name)))


def named(session: Session, name: str) -> User:
    """Raises NotFound."""
    user = find_by_name(session, name)
    if user is None:
        raise NotFound(f"there is no user {name[:64]!r}")
    return user


def set_password(session: Session, *, user: User, password: str, must_change: bool, now: datetime) -> None:
    """Replace a password without knowing the old one; all tokens of the user end."""
    Rules().check(password)
    take_password(session, user, passwords.hash_password(password), now=now, must_change=must_change)


def _history(session: Session, user_id: int) -> list[str]:
    """The present one first."""
    present = session.scalar(select(User.password_hash).where(User.id == user_id))
    query = select(PasswordBefore.password_hash).where(PasswordBefore.user_id == user_id)
    return [present or "", *session.scalars(query.order_by(PasswordBefore.id.desc()).limit(_HISTORY_MOST))]


_HISTORY_MOST = 24


def _shorten_history(session: Session, user: User) -> None:
    old = select(PasswordBefore.id).where(PasswordBefore.user_id == user.id).order_by(PasswordBefore.id.desc())
    gone = list(session.scalars(old.offset(_HISTORY_MOST)))
    session.execute(delete(PasswordBefore).where(PasswordBefore.id.in_(gone)))


def _check_project(session: Session, columns: Columns) -> None:
    """A default project need not exist, as clients know it; what it names is no domain."""
    wanted = columns.get("default_project_id")
    if wanted and len(wanted) <= 64 and session.get(Project, wanted) is None and wanted == DEFAULT_DOMAIN:
        raise Invalid("User's default project ID cannot be a domain ID.")
