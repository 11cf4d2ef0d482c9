"""Log in, lock out, revoke: the rules that keep a door shut."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text

from appliance.domain.access import Role
from appliance.domain.errors import Conflict, Invalid, NotFound, Unavailable
from appliance.models.database import Database
from appliance.models.event import Event
from appliance.models.identity import User
from appliance.services import clouds, identity
from appliance.services.identity import (
    LastAdmin,
    LoginRefused,
    Policy,
    TokenRefused,
    Tokens,
    grants,
    passwords,
    proving,
    sign_in,
    users,
)
from tests.fakes.rack import vault

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
RIGHT, WRONG = "correct horse", "wrong horse"
POLICY = Policy()
REAL = passwords._HASHER


@pytest.fixture
def database(database: Database) -> Database:
    """On both databases, with one administrator in it."""
    with database.write() as session:
        identity.create_user(session, name="admin", password=RIGHT, role=Role.ADMIN, now=NOW)
    return database


def tokens(database: Database, now: datetime = NOW, policy: Policy = POLICY) -> Tokens:
    """A process that was started just now: what it knows of keys and people, it has from the database."""
    return Tokens(database, vault(), lambda: now, policy)


def set_enabled(database: Database, name: str, *, is_enabled: bool) -> None:
    with database.write() as session:
        users.update(session, users.named(session, name), {"is_enabled": is_enabled}, now=NOW)


def change_password(database: Database, actor, old: str, new: str) -> None:
    identity.change_own_password(tokens(database), user_uuid=actor.user_uuid, old=old, new=new)


def login(database: Database, password: str = RIGHT, name: str = "admin", now: datetime = NOW) -> identity.Login:
    return identity.login(tokens(database, now), name=name, password=password)


def who(database: Database, token: str, now: datetime = NOW):
    return tokens(database, now).find(token).actor


def test_a_login_gives_a_token_that_proves_who_one_is(database: Database):
    granted = login(database)
    actor = who(database, granted.token)
    assert (actor.name, actor.role) == ("admin", Role.ADMIN)
    assert granted.expires_at == NOW + timedelta(hours=12)
    assert granted.token not in repr(granted)


def test_names_are_found_whatever_their_case(database: Database):
    assert login(database, name=" Admin ").actor.name == "admin"


def test_the_database_holds_neither_password_nor_token(database: Database):
    granted = login(database)
    with database.read() as session:
        kept = repr(
            [
                session.execute(text(f"SELECT * FROM {name}")).all()
                for name in ("user_account", "revocation", "setting", "event")
            ]
        )
    assert "admin" in kept
    assert granted.token not in kept
    assert granted.token.removeprefix("rwt_") not in kept
    assert RIGHT not in kept


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token[:-1],
        lambda token: token[:-1] + ("A" if token[-1] != "A" else "B"),
        lambda token: token + "\0",
        lambda token: token.upper(),
        lambda _: "",
        lambda _: "rwt_",
        lambda _: "rwt_" + "x" * 1_000_000,
        lambda _: "rwt_é",
        lambda token: "\ud800" + token,
    ],
)
def test_a_token_that_is_not_exactly_ours_is_refused(database: Database, change):
    token = login(database).token
    with pytest.raises(TokenRefused):
        who(database, change(token))


def test_a_token_expires(database: Database):
    token = login(database).token
    assert who(database, token, NOW + timedelta(hours=12) - timedelta(seconds=1))
    with pytest.raises(TokenRefused):
        who(database, token, NOW + timedelta(hours=12))


def test_setting_the_clock_back_makes_no_token_live_longer(database: Database):
    token = login(database).token
    assert who(database, token, NOW - timedelta(minutes=4))
    with pytest.raises(TokenRefused):
        who(database, token, NOW - timedelta(hours=1))


def test_logout_revokes_this_token_only(database: Database):
    one, two = login(database).token, login(database).token
    here = tokens(database)
    with database.write() as session:
        here.revoke(session, here.read(one))
    with pytest.raises(TokenRefused):
        who(database, one)
    assert who(database, two)


def test_logging_out_ends_what_was_made_of_the_session(database: Database):
    here = tokens(database)
    session_token, other = login(database).token, login(database).token
    made = sign_in.authenticate(here, [proving.ByToken(text=session_token)], sign_in.Wanted(kind="system")).text
    made_of_that = sign_in.authenticate(here, [proving.ByToken(text=made)], sign_in.Wanted(kind="unscoped")).text
    with database.write() as session:
        here.end_session(session, here.read(session_token))
    for text_of_one in (session_token, made, made_of_that):
        with pytest.raises(TokenRefused):
            who(database, text_of_one)
    assert who(database, other)


class TestLockout:
    def fail(self, database: Database, times: int, now: datetime = NOW) -> None:
        for _ in range(times):
            with pytest.raises(LoginRefused):
                login(database, WRONG, now=now)

    def test_after_five_failures_the_account_rests(self, database: Database):
        self.fail(database, 5)
        with pytest.raises(LoginRefused):
            login(database)
        with pytest.raises(LoginRefused):
            login(database, now=NOW + timedelta(minutes=29))
        assert login(database, now=NOW + timedelta(minutes=30))
        with database.read() as session:
            assert session.scalars(select(Event.kind)).all() == ["identity.locked"]

    def test_guesses_at_the_same_time_are_counted_one_by_one(self, database: Database, monkeypatch: pytest.MonkeyPatch):
        real, ready = proving._count_failure, threading.Barrier(2)

        def both_have_looked(*arguments):
            with suppress(threading.BrokenBarrierError):  # when they take turns, nobody else comes
                ready.wait(0.2)
            real(*arguments)

        self.fail(database, 3)
        monkeypatch.setattr(proving, "_count_failure", both_have_looked)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda _: self.fail(database, 1), range(2)))
        with pytest.raises(LoginRefused):
            login(database)

    def test_success_starts_the_count_anew(self, database: Database):
        self.fail(database, 4)
        login(database)
        self.fail(database, 4)
        assert login(database)

    def test_failures_while_resting_do_not_prolong_it(self, database: Database):
        self.fail(database, 5)
        self.fail(database, 20, NOW + timedelta(minutes=10))
        assert login(database, now=NOW + timedelta(minutes=30))

    def test_tokens_held_before_stay_good(self, database: Database):
        token = login(database).token
        self.fail(database, 5)
        assert who(database, token)

    def test_an_administrator_can_end_it(self, database: Database):
        self.fail(database, 5)
        with database.write() as session:
            identity.create_user(session, name="second", password=RIGHT, role=Role.ADMIN, now=NOW)
        set_enabled(database, "admin", is_enabled=False)
        set_enabled(database, "admin", is_enabled=True)
        assert login(database)


def test_every_refusal_reads_the_same(database: Database):
    with database.write() as session:
        identity.create_user(session, name="gone", password=RIGHT, role=Role.READER, now=NOW)
        users.update(session, users.named(session, "gone"), {"is_enabled": False}, now=NOW)
    said = set()
    for name, password in [
        ("admin", WRONG),
        ("nobody", RIGHT),
        ("gone", RIGHT),
        ("", ""),
        ("-1", ""),
        ("x" * 10000, "y"),
    ]:
        with pytest.raises(LoginRefused) as caught:
            login(database, password, name)
        said.add((caught.value.message, caught.value.why, caught.value.next_step))
    assert len(said) == 1


def test_an_unknown_name_takes_as_long_as_a_wrong_password(database: Database, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(passwords, "_HASHER", REAL)
    passwords.nobody.cache_clear()
    with database.write() as session:
        identity.create_user(session, name="known", password=RIGHT, role=Role.READER, now=NOW)

    patient = tokens(database, policy=Policy(lockout_failures=1000))

    def cost(name: str) -> float:
        spent = []
        for _ in range(5):
            begin = time.thread_time()  # the work done, so that a busy machine does not decide
            with pytest.raises(LoginRefused):
                identity.login(patient, name=name, password=WRONG)
            spent.append(time.thread_time() - begin)
        return min(spent)

    cost("nobody")
    assert 0.5 < cost("nobody") / cost("known") < 2
    passwords.nobody.cache_clear()


@pytest.mark.parametrize("password", ["", "short", "x" * 4097])
def test_passwords_that_cannot_be_set(database: Database, password: str):
    with database.write() as session, pytest.raises(Invalid):
        identity.create_user(session, name="other", password=password, role=Role.READER, now=NOW)


def test_a_password_of_megabytes_costs_nothing(database: Database):
    with pytest.raises(Invalid):
        login(database, "x" * 10_000_000)


def test_one_password_however_it_is_typed(database: Database):
    with database.write() as session:
        identity.create_user(session, name="zoe", password="caf\u00e9-horse", role=Role.MEMBER, now=NOW)
    assert login(database, "cafe\u0301-horse", "zoe")


def test_changing_the_password_ends_every_session(database: Database):
    one, two = login(database), login(database)
    change_password(database, one.actor, RIGHT, "another horse")
    for granted in (one, two):
        with pytest.raises(TokenRefused):
            who(database, granted.token)
    with pytest.raises(LoginRefused):
        login(database)
    assert not login(database, "another horse").actor.must_change


def test_changing_needs_the_old_one_and_a_new_one(database: Database):
    actor = login(database).actor
    for old, new in [(WRONG, "another horse"), (RIGHT, RIGHT), (RIGHT, "short"), ("x" * 5000, "another horse")]:
        with pytest.raises(Invalid):
            change_password(database, actor, old, new)
    assert login(database)


class TestGuessingByChange:
    """A stolen session must not be a way to guess the password."""

    def test_failures_count_and_rest_the_account(self, database: Database):
        actor = login(database).actor
        for _ in range(5):
            with pytest.raises(Invalid):
                change_password(database, actor, WRONG, "another horse")
        with pytest.raises(Invalid):
            change_password(database, actor, RIGHT, "another horse")
        with pytest.raises(LoginRefused):
            login(database)
        assert login(database, now=NOW + timedelta(minutes=30))

    def test_it_waits_its_turn(self, database: Database, monkeypatch: pytest.MonkeyPatch):
        actor = login(database).actor
        monkeypatch.setattr(passwords, "_WAITING", threading.BoundedSemaphore(1))
        monkeypatch.setattr(passwords, "_PATIENCE_S", 0.01)
        with passwords.one_login(), pytest.raises(Unavailable):
            change_password(database, actor, RIGHT, "another horse")

    def test_a_change_in_between_wins(self, database: Database):
        actor = login(database).actor
        proved = proving.whose_password(tokens(database), actor.user_uuid, RIGHT, "")
        change_password(database, actor, RIGHT, "another horse")
        with pytest.raises(Invalid):
            users.replace_password(tokens(database), proved, old=RIGHT, new="third horse")
        assert login(database, "another horse")


def test_a_change_reaches_clouds_yaml(database: Database, tmp_path: Path):
    clouds.write(tmp_path, "https://127.0.0.1:8443", "admin", RIGHT)
    here = Tokens(database, vault(), lambda: NOW, POLICY, state=tmp_path)
    user_uuid = login(database).actor.user_uuid
    identity.change_own_password(here, user_uuid=user_uuid, old=RIGHT, new="another horse")
    assert {one.password for one in clouds.logins(tmp_path)} == {"another horse"}


def test_a_one_time_password_works_and_asks_to_be_changed(database: Database):
    with database.write() as session:
        identity.create_user(session, name="new", password=RIGHT, role=Role.MEMBER, now=NOW, must_change=True)
    assert login(database, name="new").actor.must_change


def test_disabling_ends_every_session_at_once(database: Database):
    with database.write() as session:
        identity.create_user(session, name="bob", password=RIGHT, role=Role.MEMBER, now=NOW)
    token = login(database, name="bob").token
    set_enabled(database, "bob", is_enabled=False)
    with pytest.raises(TokenRefused):
        who(database, token)
    set_enabled(database, "bob", is_enabled=True)
    with pytest.raises(TokenRefused):
        who(database, token)
    assert login(database, name="bob")


def test_a_role_change_counts_for_the_next_request(database: Database):
    with database.write() as session:
        identity.create_user(session, name="bob", password=RIGHT, role=Role.MEMBER, now=NOW)
    token = login(database, name="bob").token
    with database.write() as session:
        grants.give_on_system(session, users.named(session, "bob"), Role.READER)
    assert who(database, token).role is Role.READER


def test_the_last_administrator_stays(database: Database):
    with pytest.raises(LastAdmin):
        set_enabled(database, "admin", is_enabled=False)
    with pytest.raises(LastAdmin), database.write() as session:
        grants.give_on_system(session, users.named(session, "admin"), Role.MEMBER)
    with pytest.raises(LastAdmin), database.write() as session:
        users.remove(session, users.named(session, "admin"))
    assert login(database).actor.role is Role.ADMIN


def test_names_are_unique_and_well_formed(database: Database):
    for name, error in [("ADMIN", Conflict), ("a b", Invalid), ("", Invalid), ("x" * 65, Invalid), ("a'--", Invalid)]:
        with database.write() as session, pytest.raises(error):
            identity.create_user(session, name=name, password=RIGHT, role=Role.READER, now=NOW)
    with database.write() as session, pytest.raises(NotFound):
        users.named(session, "nobody")


def test_a_revocation_is_kept_as_long_as_its_token_would_last(database: Database):
    here = tokens(database)
    claims = here.read(login(database).token)
    with database.write() as session:
        here.revoke(session, claims)
    with database.write() as session:
        assert identity.sweep_revocations(session, NOW + timedelta(hours=12) - timedelta(seconds=1)) == 0
        assert identity.sweep_revocations(session, NOW + timedelta(hours=12)) == 1


def test_a_damaged_hash_is_said_and_opens_nothing(database: Database):
    with database.write() as session:
        session.execute(text("UPDATE user_account SET password_hash = 'x'"))
    with pytest.raises(Exception, match="damaged"):
        login(database)


def test_new_passwords_differ():
    made = {identity.new_password() for _ in range(100)}
    assert len(made) == 100
    assert all(len(one) == 23 for one in made)


def test_users_are_listed_by_name(database: Database):
    with database.write() as session:
        identity.create_user(session, name="aaron", password=RIGHT, role=Role.READER, now=NOW)
        assert [user.name for user in identity.list_users(session)] == ["aaron", "admin"]
        assert RIGHT not in repr([vars(user) for user in session.scalars(select(User))])
