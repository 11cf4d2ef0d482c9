"""Writers of SQLite take turns, and those who queue share one durable commit.

A durable commit is one `fsync`, milliseconds during which nobody else may write. So a writer that is done while others
queue leaves its transaction open for the next, and the last of them commits for all. Each returns when that commit is
durable; if it fails, each learns so. A writer that fails before is undone alone, by a savepoint. Who writes alone pays
for nothing of this.

Surprising: after some errors (a full disk among them) SQLite undoes the whole transaction by itself, and what is
committed then is nothing. `_make_durable` finds that out; then all fail who had a part in it.
"""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import cast

from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

MOST = 32
LONGEST_S = 0.02
"""So many writers share a commit, and so long after the first began is none more let in."""
LOOK_S = 0.5
LOG_BYTES = 16 * 1024 * 1024
LOG_WAIT_MS, LOG_PAUSE_S = 200, 5.0
"""From this size on SQLite's log is emptied by force; that waits so long for readers, and is tried so often at most."""
_BEFORE = "before_this_writer"


class _Share:
    """One transaction, begun by the session of its first writer, and those who wait for its commit."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.until = time.monotonic() + LONGEST_S
        self.writers = 0
        self.is_over = threading.Event()
        self.problem: Exception | None = None


class SharedCommit:
    def __init__(self, engine: Engine) -> None:
        """engine: begins with BEGIN IMMEDIATE."""
        self._engine = engine
        self._turn = threading.Lock()
        self._owner: int | None = None
        self._counting = threading.Lock()
        self._queue = 0
        self._log = f"{engine.url.database}-wal"
        self._log_at = float("-inf")
        self._open: _Share | None = None
        """Left by a writer for the next. Only who has the turn looks at it."""

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One writer's turn; after it, the wait for the commit."""
        self._take_turn()
        share, self._open = self._open, None
        try:
            if share is None:
                share = _Share(Session(self._engine, expire_on_commit=False))
                yield from self._first(share)
            else:
                yield from self._next(share)
            share.writers += 1
            if self._queue and share.writers < MOST and time.monotonic() < share.until:
                self._open = share
            else:
                self._commit(share)
                self._shorten_log()
        finally:
            self._owner = None
            self._turn.release()
        self._await(share)

    def _take_turn(self) -> None:
        if self._owner == threading.get_ident():
            raise RuntimeError("a write transaction within another: pass the session on")
        with self._counting:
            self._queue += 1
        try:
            self._turn.acquire()
        finally:
            with self._counting:
                self._queue -= 1
        self._owner = threading.get_ident()

    def _first(self, share: _Share) -> Iterator[Session]:
        try:
            yield share.session
            share.session.flush()
        except BaseException:
            # If even the undoing fails, closing gives the connection up: what it leaves open would lock out everybody.
            with suppress(SQLAlchemyError):
                share.session.rollback()
            share.session.close()
            raise

    def _next(self, share: _Share) -> Iterator[Session]:
        """Within a savepoint. When this writer fails, what those before it wrote is committed, if it is still there."""
        problem: BaseException | None = None
        try:
            connection = share.session.connection()
            connection.exec_driver_sql(f"SAVEPOINT {_BEFORE}")
            with Session(connection, join_transaction_mode="create_savepoint", expire_on_commit=False) as session:
                try:
                    yield session
                    session.commit()
                except BaseException as raised:
                    problem = raised
                    raise
            connection.exec_driver_sql(f"RELEASE {_BEFORE}")
        except BaseException as raised:
            self._commit(share, cause=problem or raised)
            if problem is None or problem is raised:
                raise
            raise problem from None  # the savepoint was gone too, which says nothing to anybody

    def _commit(self, share: _Share, cause: BaseException | None = None) -> None:
        """cause: why the last writer failed, who has no part in it."""
        try:
            _make_durable(share.session, cause)
        except BaseException as problem:
            share.problem = problem if isinstance(problem, SQLAlchemyError) else _lost(problem)
            # SQLAlchemy takes a transaction whose commit failed for ended; SQLite may keep it open. Closing undoes it.
            with suppress(SQLAlchemyError):
                share.session.invalidate()
            if not isinstance(problem, SQLAlchemyError):
                raise
        finally:
            try:
                with suppress(SQLAlchemyError):
                    share.session.close()
            finally:
                share.is_over.set()

    def _shorten_log(self) -> None:
        """SQLite begins its log anew when nobody reads from it; readers who always overlap would let it grow for ever.

        While a writer has the turn nothing is added, so who begins to read now needs only what is copied already.
        """
        try:
            is_long = Path(self._log).stat().st_size > LOG_BYTES
        except OSError:
            return
        if not is_long or time.monotonic() < self._log_at:
            return
        with suppress(sqlite3.Error, SQLAlchemyError), closing(self._engine.raw_connection()) as pooled:
            driver = cast("sqlite3.Connection", pooled.driver_connection)
            usual = driver.execute("PRAGMA busy_timeout").fetchone()[0]
            driver.execute(f"PRAGMA busy_timeout={LOG_WAIT_MS}")
            try:
                driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                driver.execute(f"PRAGMA busy_timeout={usual}")
        self._log_at = time.monotonic() + LOG_PAUSE_S

    def _await(self, share: _Share) -> None:
        while not share.is_over.wait(LOOK_S):
            # Whoever queued was interrupted before it had its turn (Ctrl-C in the main thread): nobody else commits.
            with self._turn:
                if self._open is share:
                    self._open = None
                    self._commit(share)
        if share.problem is not None:
            raise share.problem


def _driver(session: Session) -> sqlite3.Connection:
    return cast("sqlite3.Connection", session.connection().connection.driver_connection)


def _make_durable(session: Session, cause: BaseException | None) -> None:
    """Commit what there is; raise when SQLite has undone it, which a commit would not tell."""
    if cause is not None and not _is_undone(session):
        raise _lost(cause)
    if session.in_transaction() and not _driver(session).in_transaction:
        raise _lost(cause)
    session.commit()


def _is_undone(session: Session) -> bool:
    """Take back what the last writer wrote. False when that cannot be done, or SQLite undid the whole transaction.

    Its session did so before, as far as it could: whether it came that far, only the database knows.
    """
    try:
        _driver(session).execute(f"ROLLBACK TO {_BEFORE}")
    except (sqlite3.Error, SQLAlchemyError):
        return False
    return True


def _lost(cause: BaseException | None) -> SQLAlchemyError:
    """What the writers before are told when SQLite undid the transaction of all: what the one who broke it was told."""
    if isinstance(cause, OperationalError):
        return cause
    return OperationalError("COMMIT", {}, sqlite3.OperationalError("the transaction was undone"))
