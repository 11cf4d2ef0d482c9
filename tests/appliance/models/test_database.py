import threading
from typing import Any

import pytest
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import DBAPIError, InternalError

from appliance.models.database import Database, Session, is_out_of_order, make_engine
from appliance.models.flow import Pool
from tests.conftest import Databases


def add(database: Database, name: str) -> None:
    with database.write() as session:
        session.add(Pool(name=name, size=1))


def half_write(database: Database) -> None:
    with database.write() as session:
        session.add(Pool(name="half", size=1))
        session.flush()
        raise InterruptedError


def count(session: Session | Connection) -> int:
    return int(session.scalar(text("SELECT count(*) FROM pool")) or 0)


def test_a_read_sees_one_moment(database: Database) -> None:
    with database.read() as session:
        before = count(session)
        add(database, "meanwhile")
        assert count(session) == before
    with database.read() as session:
        assert count(session) == before + 1


def test_a_glance_sees_what_is_now_and_leaves_no_trace(database: Database) -> None:
    with database.glance() as connection:
        before = count(connection)
    add(database, "meanwhile")
    with database.glance() as connection:
        assert count(connection) == before + 1
    with database.read() as session:
        assert count(session) == before + 1
        add(database, "once more")
        assert count(session) == before + 1, "the connection is a snapshot's again"


def test_what_is_written_after_a_glance_is_undone_as_a_whole(database: Database) -> None:
    with database.glance() as connection:
        before = count(connection)
    with pytest.raises(InterruptedError):
        half_write(database)
    with database.read() as session:
        assert count(session) == before


def test_sessions_that_the_server_has_ended_are_not_used(databases: Databases) -> None:
    """As after a restart of PostgreSQL: every connection of the pool is dead, and nobody who asks notices."""
    url = databases.create("postgresql")
    database = Database.at(url)
    together = threading.Barrier(4)

    def hold() -> None:
        with database.read() as session:
            count(session)
            together.wait(30)

    threads = [threading.Thread(target=hold) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other = Database.at(url)
    with other.read() as session:
        mine = "datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        ended = session.execute(text(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {mine}"))
        assert len(ended.all()) == 4
    for _ in range(6):
        with database.read() as session:
            assert count(session) == 0
    database.dispose()
    other.dispose()
    databases.drop(url)


def test_what_a_broken_commit_left_is_committed_by_nobody(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_connection: object) -> None:
        raise MemoryError

    add(database, "before")
    with monkeypatch.context() as patch:
        patch.setattr(database.engine.dialect, "do_commit", broken)
        with pytest.raises(MemoryError):
            add(database, "lost")
    add(database, "after")
    with database.read() as session:
        assert list(session.scalars(text("SELECT name FROM pool ORDER BY name"))) == ["after", "before"]


def test_a_server_that_takes_no_writes_any_more_is_asked_for_no_longer(databases: Databases) -> None:
    """A fail-over: who is connected to the old server would be refused for ever."""
    url = databases.create("postgresql")
    database = Database.at(url)

    def pid(session: Session) -> int:
        return int(session.scalar(text("SELECT pg_backend_pid()")) or 0)

    with database.write() as session:
        before = pid(session)
        session.execute(text("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"))
    with pytest.raises(InternalError) as refused:
        add(database, "refused")
    assert is_out_of_order(refused.value)
    add(database, "kept")
    with database.read() as session:
        assert (count(session), pid(session) != before) == (1, True)
    database.dispose()
    databases.drop(url)


def connecting(url: str) -> dict[str, Any]:
    asked: list[dict[str, Any]] = []

    def note(_dialect: object, _record: object, _args: object, parameters: dict[str, Any]) -> None:
        asked.append(parameters)
        raise InterruptedError

    engine = make_engine(url)
    event.listen(engine, "do_connect", note)
    with pytest.raises(InterruptedError):
        engine.connect()
    return asked[0]


def test_a_server_that_vanished_is_noticed_and_the_address_may_say_otherwise() -> None:
    usual = connecting("postgresql+psycopg://u@h/d")
    assert usual["tcp_user_timeout"] <= 30_000
    assert usual["keepalives_idle"] + usual["keepalives_interval"] * usual["keepalives_count"] <= 30
    own = connecting("postgresql+psycopg://u@h/d?connect_timeout=3")
    assert (int(own["connect_timeout"]), own["tcp_user_timeout"]) == (3, usual["tcp_user_timeout"])


def test_an_error_does_not_say_what_it_was_about(database: Database) -> None:
    with pytest.raises(DBAPIError) as caught, database.read() as session:
        session.execute(text("SELECT * FROM nowhere WHERE name = :name"), {"name": "a-secret"})
    assert "nowhere" in str(caught.value)
    assert "a-secret" not in str(caught.value)
