"""Keys that seal tokens: shared through the database, rotated without ending anybody's session."""

from datetime import UTC, datetime, timedelta

import pytest

from appliance.domain.access import Role
from appliance.models.database import Database
from appliance.models.setting import Setting
from appliance.services import identity
from appliance.services.identity import Policy, TokenRefused, Tokens, keys
from appliance.services.vault import NotSealedHere, Vault
from tests.fakes.rack import vault

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Moment:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Moment:
    return Moment()


@pytest.fixture
def people(database: Database) -> Database:
    with database.write() as session:
        identity.create_user(session, name="admin", password="correct horse", role=Role.ADMIN, now=NOW)
    return database


def process(database: Database, clock: Moment) -> Tokens:
    return Tokens(database, vault(), clock, Policy())


def login(here: Tokens) -> str:
    return identity.login(here, name="admin", password="correct horse").token


def rotate(here: Tokens) -> int:
    with here.database.write() as session:
        return here.rotate(session)


def test_processes_on_one_database_accept_each_others_tokens(people: Database, clock: Moment):
    one, two = process(people, clock), process(people, clock)
    assert two.find(login(one)).actor.name == "admin"


def test_a_rotation_ends_no_session_anywhere(people: Database, clock: Moment):
    one, two = process(people, clock), process(people, clock)
    before = login(one)
    two.find(before)
    for _ in range(3):
        assert rotate(one) >= 3
        clock.now += timedelta(minutes=2)
        after = login(one)
        assert two.find(before)
        assert two.find(after)
        assert one.find(login(two))


def test_a_process_that_never_looked_since_opens_what_the_staged_key_sealed(people: Database, clock: Moment):
    """Right after a rotation another process still has the old ring: the staged key is in it."""
    one, two = process(people, clock), process(people, clock)
    two.find(login(one))
    rotate(one)
    fresh = process(people, clock)
    assert two.find(login(fresh))


def test_an_old_key_goes_when_its_last_token_has_expired(people: Database, clock: Moment):
    here = process(people, clock)
    login(here)
    assert rotate(here) == 3
    clock.now += timedelta(hours=13)
    assert rotate(here) == 3
    with people.read() as session:
        assert len(keys.load(session, vault())) == 3


def test_a_key_is_replaced_when_it_is_old(people: Database, clock: Moment):
    here = process(people, clock)
    token = login(here)
    age = timedelta(days=30)
    with people.write() as session:
        assert not here.rotate_when_old(session, age)
    clock.now += age
    with people.write() as session:
        assert here.rotate_when_old(session, age)
        assert not here.rotate_when_old(session, age)
    with pytest.raises(TokenRefused):
        here.find(token)
    assert here.find(login(here))


def test_keys_at_rest_open_with_the_master_key_only(people: Database, clock: Moment):
    login(process(people, clock))
    with people.read() as session:
        row = session.get(Setting, "token_keys")
        assert row is not None
        ring = keys.load(session, vault())
        assert not any(key.secret.encode() in row.value for key in ring)
        assert all(key.secret not in repr(key) for key in ring)
        with pytest.raises(NotSealedHere):
            keys.load(session, Vault(bytes(32)))


def test_a_token_of_another_appliance_opens_nothing(people: Database, clock: Moment, databases, tmp_path):
    other = Database.at(databases.create("sqlite"))
    with other.write() as session:
        identity.create_user(session, name="admin", password="correct horse", role=Role.ADMIN, now=NOW)
    with pytest.raises(TokenRefused):
        process(people, clock).find(login(process(other, clock)))
    other.dispose()
