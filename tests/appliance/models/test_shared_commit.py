"""Two writers at SQLite of whom the second queues while the first writes: one commit, or each its own fate."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from appliance.models.database import Database, after_commit
from appliance.models.flow import Pool
from tests.conftest import Databases

Body = Callable[[Session], None]


@pytest.fixture(autouse=True)
def time_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.models.shared_commit.LONGEST_S", 60.0)


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


class Orderly:
    """A lock that its waiters get in the order in which they came."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._is_held = False
        self.waiting: list[object] = []

    def acquire(self) -> None:
        me = object()
        with self._changed:
            self.waiting.append(me)
            assert self._changed.wait_for(lambda: not self._is_held and self.waiting[0] is me, 30)
            self.waiting.remove(me)
            self._is_held = True

    def release(self) -> None:
        with self._changed:
            self._is_held = False
            self._changed.notify_all()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


def in_a_row(database: Database, *bodies: Body) -> list[Future[None]]:
    """Writers `1`, `2`, ...: all the later ones queue while the first is in its turn."""
    assert database._shared is not None
    turn = Orderly()
    database._shared._turn = turn  # type: ignore[assignment]
    begun, go_on = threading.Event(), threading.Event()

    def held(session: Session) -> None:
        begun.set()
        assert go_on.wait(30)
        bodies[0](session)

    with ThreadPoolExecutor(len(bodies)) as pool:
        results = [pool.submit(write, database, "1", held)]
        assert begun.wait(30)
        for number, body in enumerate(bodies[1:], 2):
            results.append(pool.submit(write, database, str(number), body))
            until = time.monotonic() + 30
            while len(turn.waiting) < number - 1:
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


@pytest.mark.parametrize("problem", [MemoryError(), KeyboardInterrupt()])
def test_a_commit_that_ends_in_an_unknown_way_is_acknowledged_to_nobody(
    one: Database, monkeypatch: pytest.MonkeyPatch, problem: BaseException
) -> None:
    def broken(_connection: object) -> None:
        raise problem

    with monkeypatch.context() as patch:
        patch.setattr(one.engine.dialect, "do_commit", broken)
        told = [type(result.exception()) for result in in_a_row(one, nothing, nothing, nothing)]
    assert sorted(told, key=repr) == sorted([type(problem), OperationalError, OperationalError], key=repr)
    assert names(one) == []
    write(one, "after", nothing)
    assert names(one) == ["after"]


def io_error(*_: object) -> None:
    raise OperationalError("ROLLBACK", {}, sqlite3.OperationalError("disk I/O error"))


def test_when_a_savepoint_cannot_be_undone_nothing_half_done_is_kept(
    one: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one.engine.dialect, "do_rollback_to_savepoint", io_error)
    first, second, third = in_a_row(one, nothing, fail, nothing)
    first.result()
    with pytest.raises(InterruptedError, match="my own fault"):
        second.result()
    third.result()
    assert names(one) == ["1", "3"]


def test_an_undoing_that_fails_locks_nobody_out(one: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    write(one, "before", nothing)
    with monkeypatch.context() as patch:
        patch.setattr(one.engine.dialect, "do_rollback", io_error)
        with pytest.raises(InterruptedError, match="my own fault") as kept:
            write(one, "1", fail)
    assert kept.value.__traceback__ is not None, "what it holds on to is still there"
    write(one, "after", nothing)
    assert names(one) == ["after", "before"]


@pytest.mark.parametrize("place", [0, 1])
def test_who_hides_that_sqlite_undid_all_is_told_nevertheless(one: Database, place: int) -> None:
    def hide(session: Session) -> None:
        with suppress(OperationalError):
            disk_full(session)

    results = in_a_row(one, *[hide if number == place else nothing for number in range(place + 1)])
    for result in results:
        with pytest.raises(OperationalError):
            result.result()
    assert names(one) == []


@pytest.mark.parametrize("rows", [1, 2])
def test_a_disk_that_is_really_full(one: Database, rows: int) -> None:
    """A statement of one row makes SQLite undo the whole transaction, one of several only itself. All is well after."""
    connections: list[sqlite3.Connection] = []

    def limit(session: Session) -> None:
        driver = session.connection().connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        pages = driver.execute("PRAGMA page_count").fetchone()[0]
        driver.execute(f"PRAGMA max_page_count={pages}")
        connections.append(driver)

    def fill(session: Session) -> None:
        names = ", ".join(f"('{number}' || hex(randomblob(100000)), 1)" for number in range(rows))
        session.execute(text(f"INSERT INTO pool (name, size) VALUES {names}"))

    first, second, third = in_a_row(one, limit, fill, nothing)
    with pytest.raises(OperationalError, match="disk is full"):
        second.result()
    is_first_lost = first.exception() is not None
    third.result()
    assert names(one) == (["3"] if is_first_lost else ["1", "3"])
    with suppress(sqlite3.ProgrammingError):  # the connection was given up with its transaction
        connections[0].execute("PRAGMA max_page_count=1000000")
    write(one, "after", fill)
    assert "after" in names(one)


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


def log_size(database: Database) -> int:
    return Path(f"{database.engine.url.database}-wal").stat().st_size


def test_a_log_that_became_long_is_emptied(one: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    write(one, "1", nothing)
    assert log_size(one) > 0
    monkeypatch.setattr("appliance.models.shared_commit.LOG_BYTES", 0)
    write(one, "2", nothing)
    assert log_size(one) == 0
    assert names(one) == ["1", "2"]


def test_a_reader_who_stays_delays_writers_once_and_not_each_time(
    one: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def note(connection: sqlite3.Connection, _record: object) -> None:
        connection.set_trace_callback(lambda sql: tried.append(sql) if "wal_checkpoint" in sql else None)

    monkeypatch.setattr("appliance.models.shared_commit.LOG_BYTES", 0)
    monkeypatch.setattr("appliance.models.shared_commit.LOG_WAIT_MS", 1)
    event.listen(one.engine, "connect", note)
    with one.read() as session:
        session.scalars(select(Pool.name)).all()
        for number in range(5):
            write(one, str(number), nothing)
    assert len(tried) == 1
    assert one._shared is not None
    one._shared._log_at = 0.0
    write(one, "after", nothing)
    assert log_size(one) == 0
    with one.read() as session:
        assert session.execute(text("PRAGMA busy_timeout")).scalar() == 10000
