"""The one door to the database: read and write transactions on SQLite or PostgreSQL.

On SQLite the process that opens the database is its only writer: writes queue in this process, start with BEGIN
IMMEDIATE, so `database is locked` never reaches a caller, and share a commit (models.shared_commit). On PostgreSQL
nobody queues and rows are locked by the queries that need it. Not here: models (one module per noun) and migrations.
"""

import select
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import orjson
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import JSON, Connection, Engine, MetaData, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import DeclarativeBase, Session, registry
from sqlalchemy.pool import QueuePool

from appliance.models.shared_commit import SharedCommit

NAMING = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

JsonObject = dict[str, Any]


class Base(DeclarativeBase):
    registry = registry(
        metadata=MetaData(naming_convention=NAMING), type_annotation_map={JsonObject: JSON, list[Any]: JSON}
    )


extension = SQLAlchemy(model_class=Base)

if TYPE_CHECKING:
    Model = Base
else:
    Model = extension.Model


def _json_dumps(value: object) -> str:
    return orjson.dumps(value).decode()


def _prepare_sqlite(engine: Engine) -> None:
    """WAL and synchronous=FULL: an acknowledged commit survives a power cut (SQLite, PRAGMA synchronous)."""

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # SQLAlchemy's begin event decides, not the driver
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "busy_timeout=10000",
            "cache_size=-4000",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        options = connection.get_execution_options()
        if options.get("rackwright_write"):
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        elif options.get("rackwright_look") != "glance":  # one statement is a snapshot of its own
            # By the driver itself, for it touches nothing and cannot fail: by SQLAlchemy it costs as much as a query.
            connection.connection.driver_connection.execute("BEGIN")


_CONNECTING = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
"""A server whose machine is gone says nothing; by default we would wait for its answer for two hours."""
IDLE_S = 30
"""A peer that froze, or lost its network, within a transaction keeps its locks no longer; all others wait for them."""


def _prepare_postgresql(engine: Engine) -> None:
    """A connection that lay in the pool is looked at before use, and none of an earlier server's is used.

    A transaction of ours that does nothing for IDLE_S is ended by the server: nothing slow belongs into one.
    A server that went away, or ended our session, has said so on the socket; a server that is well says nothing there.
    So the look is one `poll` of this machine, where a question would cost the server's answer at each use.
    """

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: object) -> None:
        connection.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_S * 1000:.0f}ms'")
        connection.commit()

    @event.listens_for(engine, "checkout")
    def _checkout(connection: Any, _record: object, _proxy: object) -> None:
        if connection.closed or _has_news(connection.pgconn.socket):
            raise InvalidatePoolError

    @event.listens_for(engine, "handle_error")
    def _handle_error(context: Any) -> None:
        if getattr(context.original_exception, "sqlstate", None) in _NO_MORE_OURS:
            context.is_disconnect = True  # the next who asks is connected anew, perhaps to another server

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        """Set what differs from the connection's last use; by SQLAlchemy's options it would be set and reset each time.

        READ COMMITTED, the default, is a snapshot for each statement; SQLite's is one for the whole transaction.
        """
        purpose = connection.get_execution_options().get("rackwright_look")
        level = 3 if purpose == "snapshot" else None  # psycopg.IsolationLevel.REPEATABLE_READ
        driver = connection.connection.driver_connection
        if driver.isolation_level != level:
            driver.isolation_level = level
        if driver.autocommit != (purpose == "glance"):
            driver.autocommit = purpose == "glance"


def _has_news(socket: int) -> bool:
    look = select.poll()
    look.register(socket, select.POLLIN | select.POLLRDHUP)
    return bool(look.poll(0))


def make_engine(url: str) -> Engine:
    """An engine with the pragmas that the promises need.

    url: `sqlite:////absolute/file` or `postgresql+psycopg://…`.
    """
    if url.startswith("sqlite"):
        engine = create_engine(
            url,
            hide_parameters=True,  # an error is logged as it is; what it was about may be a secret
            json_serializer=_json_dumps,
            json_deserializer=orjson.loads,
            poolclass=QueuePool,
            pool_size=16,
            max_overflow=64,
        )
        _prepare_sqlite(engine)
        return engine
    asked = make_url(url).query
    engine = create_engine(
        url,
        hide_parameters=True,
        json_serializer=_json_dumps,
        json_deserializer=orjson.loads,
        pool_size=16,
        max_overflow=32,
        connect_args={name: value for name, value in _CONNECTING.items() if name not in asked},
    )
    _prepare_postgresql(engine)
    return engine


class Bells:
    """Wake-up hints inside this process: a topic is rung after a commit, and waiters look again.

    A hint may be lost between processes, so every waiter also has a time limit and looks at the database anyway.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._topics: dict[str, tuple[threading.Condition, int]] = {}

    def _topic(self, topic: str) -> tuple[threading.Condition, int]:
        return self._topics.setdefault(topic, (threading.Condition(self._lock), 0))

    def count(self, topic: str) -> int:
        """How often the topic was rung: read it before looking, hand it to `wait` after."""
        with self._lock:
            return self._topic(topic)[1]

    def ring(self, topic: str) -> None:
        with self._lock:
            condition, count = self._topic(topic)
            self._topics[topic] = (condition, count + 1)
            condition.notify_all()

    def wait(self, topic: str, *, seen: int, timeout_s: float) -> bool:
        """True when the topic was rung since `seen` was read."""
        with self._lock:
            condition, _count = self._topic(topic)
            return condition.wait_for(lambda: self._topics[topic][1] != seen, timeout=timeout_s)


class Database:
    """Sessions for one process. `with database.write() as session:` is one transaction, committed at the end.

    Functions given to `after_commit(session, call)` run once the commit is durable, and never after a roll-back:
    wake-up hints belong there.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.bells = Bells()
        self.is_sqlite = engine.dialect.name == "sqlite"
        self._write_engine = engine.execution_options(rackwright_write=True)
        self._read_engine = engine.execution_options(rackwright_look="snapshot")
        self._glance_engine = engine.execution_options(rackwright_look="glance")
        self._shared = SharedCommit(self._write_engine) if self.is_sqlite else None

    @classmethod
    def at(cls, url: str) -> "Database":
        return cls(make_engine(url))

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A read-only look: one consistent snapshot. What was loaded stays readable after it; no change is kept."""
        with Session(self._read_engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def glance(self) -> Iterator[Connection]:
        """For one small question whose answer is rows: no transaction around it, so on PostgreSQL one message instead
        of three; no session, whose making costs as much as the question.
        """
        with self._glance_engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One write transaction. Not re-entrant: pass the session on."""
        with self._shared.write() if self._shared is not None else self._write_alone() as session:
            session.info["bells"] = self.bells
            yield session
        for call in session.info.get("after_commit", ()):
            call()

    @contextmanager
    def _write_alone(self) -> Iterator[Session]:
        with Session(self._write_engine, expire_on_commit=False) as session:
            yield session
            try:
                session.commit()
            except BaseException:
                session.invalidate()  # else the pool's next user might commit what SQLAlchemy takes for ended
                raise

    def dispose(self) -> None:
        self.engine.dispose()


def after_commit(session: Session, call: Callable[[], None]) -> None:
    """Run `call` when this session's transaction is durable; forget it if the transaction rolls back."""
    session.info.setdefault("after_commit", []).append(call)


_SQLITE_CODES = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_NOMEM}
_POSTGRESQL_CLASSES = {"08", "40", "53", "57"}
"""Connection lost, undone by a race, out of resources, stopped by an operator (PostgreSQL, Error Codes)."""
_NO_MORE_OURS = {"25006", "25P03"}
"""The server became a stand-by that takes no writes; or it ended a transaction that was idle for too long."""


def is_out_of_order(problem: BaseException) -> bool:
    """Whether the database itself is in trouble, a full disk or a lost connection, and not what it was asked to do."""
    if isinstance(problem, PoolTimeout):
        return True
    if not isinstance(problem, DBAPIError):
        return False
    code = getattr(problem.orig, "sqlite_errorcode", None)
    state = getattr(problem.orig, "sqlstate", None) or ""
    return (
        problem.connection_invalidated
        or (code is not None and code & 0xFF in _SQLITE_CODES)
        or state[:2] in _POSTGRESQL_CLASSES
        or state in _NO_MORE_OURS
    )


def take_turns(session: Session, over: str) -> None:
    """One transaction at a time may do what `over` names, until its end. On SQLite writers take turns anyway."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:over, 0))"), {"over": over})


def announce(session: Session, topic: str) -> None:
    """Ring `topic` once, when this session's transaction is durable."""
    bells: Bells | None = session.info.get("bells")
    topics: set[str] = session.info.setdefault("topics", set())
    if bells is not None and topic not in topics:
        topics.add(topic)
        after_commit(session, lambda: bells.ring(topic))


__all__ = [
    "Base",
    "Database",
    "JsonObject",
    "Model",
    "Session",
    "after_commit",
    "announce",
    "extension",
    "make_engine",
    "take_turns",
]
