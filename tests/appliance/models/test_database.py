import threading

import pytest
from sqlalchemy import Connection, text

from appliance.models.database import Database, Session
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
            together.wait(10)

    threads = [threading.Thread(target=hold) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other = Database.at(url)
    with other.read() as session:
        mine = "datname = current_database() AND pid <> pg_backend_pid()"
        ended = session.execute(text(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {mine}"))
        assert len(ended.all()) == 4
    for _ in range(6):
        with database.read() as session:
            assert count(session) == 0
    database.dispose()
    other.dispose()
    databases.drop(url)
