"""Two writers at SQLite of whom the second queues while the first writes: one commit, or each its own fate."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from appliance.models.database import Database, after_commit
from appliance.models.flow import Pool
from tests.conftest import Databases

Body = Callable[[Session], None]


@pytest.fixture
def one(databases: Databases) -> Iterator[Database]:
    url = databases.create("sqlite")
    opened = Database.at(url)
    yield opened
    opened.dispose()
    databases.drop(url)


def write(database: Database, name: str, body: Body) -> None:
    with database.write() as session:
        session.add(Pool(name=name, size=1))
        session.flush()
        body(session)


def in_a_row(database: Database, *bodies: Body) -> list[Future[None]]:
    """Writers `1`, `2`, ...: all the later ones queue while the first is in its turn."""
    assert database._shared is not None
    begun, go_on = threading.Event(), threading.Event()

    def held(session: Session) -> None:
        begun.set()
        assert go_on.wait(10)
        bodies[0](session)

    with ThreadPoolExecutor(len(bodies)) as pool:
        results = [pool.submit(write, database, "1", held)]
        assert begun.wait(10)
        for number, body in enumerate(bodies[1:], 2):
            results.append(pool.submit(write, database, str(number), body))
            until = time.monotonic() + 10
            while database._shared._queue < number - 1:
                assert time.monotonic() < until
                time.sleep(0.001)
        go_on.set()
    return results


def nothing(_session: Session) -> None:
    pass


def fail(_session: Session) -> None:
    raise InterruptedError("my own fault")


def names(database: Database) -> list[str]:
    with database.read() as session:
        return sorted(session.scalars(select(Pool.name)))


def commits(database: Database) -> list[str]:
    seen: list[str] = []
    event.listen(database.engine, "commit", lambda _connection: seen.append("commit"))
    return seen


def test_those_who_queue_share_one_commit(one: Database) -> None:
    seen = commits(one)
    for result in in_a_row(one, nothing, nothing, nothing):
        result.result()
    assert names(one) == ["1", "2", "3"]
    assert len(seen) == 1


def test_nobody_goes_on_before_the_commit_is_made(one: Database) -> None:
    seen = commits(one)
    counts: list[int] = []

    def body(session: Session) -> None:
        after_commit(session, lambda: counts.append(len(seen)))

    for result in in_a_row(one, body, body):
        result.result()
    assert counts == [1, 1]


@pytest.mark.parametrize("broken", [0, 1, 2])
def test_who_fails_is_undone_alone(one: Database, broken: int) -> None:
    results = in_a_row(one, *[fail if number == broken else nothing for number in range(3)])
    for number, result in enumerate(results):
        if number == broken:
            with pytest.raises(InterruptedError, match="my own fault"):
                result.result()
        else:
            result.result()
    assert names(one) == [name for name in ("1", "2", "3") if name != str(broken + 1)]


def disk_full(session: Session) -> None:
    """As SQLite does it: everything since BEGIN is gone."""
    session.execute(text("ROLLBACK"))
    raise OperationalError("INSERT", {}, sqlite3.OperationalError("database or disk is full"))


def test_when_sqlite_undoes_all_none_is_told_that_it_is_kept(one: Database) -> None:
    first, second, third = in_a_row(one, nothing, disk_full, nothing)
    for lost in (first, second):
        with pytest.raises(OperationalError, match="disk is full"):
            lost.result()
    third.result()
    assert names(one) == ["3"]


def test_when_the_commit_fails_each_is_told(one: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_connection: object) -> None:
        raise OperationalError("COMMIT", {}, sqlite3.OperationalError("database or disk is full"))

    with monkeypatch.context() as patch:
        patch.setattr(one.engine.dialect, "do_commit", full)
        for result in in_a_row(one, nothing, nothing):
            with pytest.raises(OperationalError, match="disk is full"):
                result.result()
    assert names(one) == []
    write(one, "after", nothing)
    assert names(one) == ["after"]


def test_a_write_within_a_write_is_refused(one: Database) -> None:
    with one.write(), pytest.raises(RuntimeError, match="pass the session on"), one.write():
        pass
    write(one, "after", nothing)
    assert names(one) == ["after"]


def test_a_writer_interrupted_in_the_queue_leaves_nobody_waiting(
    one: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C: the first leaves its transaction to one who never comes."""
    monkeypatch.setattr("appliance.models.shared_commit.LOOK_S", 0.01)
    assert one._shared is not None
    one._shared._queue = 1
    write(one, "1", nothing)
    one._shared._queue = 0
    assert names(one) == ["1"]
