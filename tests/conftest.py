"""Fixtures for all tests: a database of one's own, on SQLite and on PostgreSQL.

A test that asks for `database` (or `database_url`) runs on both; `--database sqlite` is the quick way at the desk.
"""

import importlib
import itertools
import os
import pkgutil
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from hypothesis import HealthCheck, settings
from sqlalchemy import URL, Engine, event, make_url

import appliance.models
from appliance.models.database import Base, Database, make_engine
from appliance.services.identity import passwords
from tests.fakes import postgres_server as postgres
from tests.fakes.clock import FakeClock

# On a busy machine any example may be late, and so may its making; how long a codec takes is for benchmarks.
# A pipeline repeats itself.
settings.register_profile(
    "rackwright", deadline=None, derandomize="CI" in os.environ, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("rackwright")

# A background job of a shell is born with SIGINT ignored, and so would be each program that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_TEMPLATE = "rackwright_template"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database", choices=["sqlite", "postgresql", "both"], default="both", help="run database tests on"
    )
    parser.addoption("--thorough", action="store_true", help="break every step of every flow, shared ones in each")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database_kind" not in metafunc.fixturenames:
        return
    chosen = metafunc.config.getoption("--database")
    kinds = ["sqlite", "postgresql"] if chosen == "both" else [chosen]
    marked = [pytest.param(kind, marks=pytest.mark.postgres if kind == "postgresql" else ()) for kind in kinds]
    metafunc.parametrize("database_kind", marked)


def create_schema(url: str) -> None:
    """All tables of all models, whichever modules hold them."""
    for module in pkgutil.iter_modules(appliance.models.__path__):
        if not module.ispkg:
            importlib.import_module(f"appliance.models.{module.name}")
    database = Database.at(url)
    Base.metadata.create_all(database.engine)
    database.dispose()


class Databases:
    """Makes an empty database of either kind by copying a template. The server is started at the first need."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._numbers = itertools.count(1)
        self._template_file: Path | None = None
        self._server: Path | None = None
        self._command: Callable[[str], None]
        self._open = ExitStack()
        self._engines: dict[str, Engine] = {}
        self._url: dict[str, URL] = {}

    def create(self, kind: str) -> str:
        if kind == "sqlite":
            file = self._directory / f"t{next(self._numbers)}.db"
            shutil.copyfile(self._sqlite_template(), file)
            return f"sqlite:///{file}"
        home = self._postgres()
        name = f"t{next(self._numbers)}"
        # Files are copied, not logged page by page: half the work, and nobody recovers this server.
        self._command(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE} STRATEGY FILE_COPY")
        return postgres.url(home, name)

    def create_blank(self, kind: str, directory: Path) -> str:
        """A database without any table."""
        if kind == "sqlite":
            return f"sqlite:///{directory}/blank.db"
        home = self._postgres()
        name = f"t{next(self._numbers)}"
        self._command(f"CREATE DATABASE {name}")
        return postgres.url(home, name)

    def drop(self, url: str) -> None:
        if self._server is not None and url.startswith("postgresql"):
            name = url.partition("@/")[2].partition("?")[0]
            self._command(f"DROP DATABASE {name} WITH (FORCE)")
        elif url.startswith("sqlite"):
            for suffix in ("", "-wal", "-shm"):
                Path(url.removeprefix("sqlite:///") + suffix).unlink(missing_ok=True)

    def engine(self, url: str) -> Engine:
        """One engine for all tests of a kind, pointed at `url`: compiled statements are kept from test to test."""
        where = make_url(url)
        kind = where.get_backend_name()
        self._url[kind] = where
        if kind not in self._engines:
            made = self._engines[kind] = make_engine(url)

            @event.listens_for(made, "do_connect")
            def point(_dialect: object, _record: object, arguments: list[Any], keywords: dict[str, Any]) -> None:
                name = self._url[kind].database
                if kind == "sqlite":
                    arguments[0] = name
                else:
                    keywords["dbname"] = name

        return self._engines[kind]

    def close(self) -> None:
        self._open.close()

    def _sqlite_template(self) -> Path:
        if self._template_file is None:
            self._template_file = self._directory / "template.db"
            create_schema(f"sqlite:///{self._template_file}")
        return self._template_file

    def _postgres(self) -> Path:
        if self._server is None:
            if not postgres.is_installed():
                pytest.skip(
                    f"PostgreSQL {postgres.VERSION} is not installed (Debian package postgresql-{postgres.VERSION})"
                )
            self._server = self._open.enter_context(postgres.server(is_durable=False))
            self._command = self._open.enter_context(postgres.administrator(self._server))
            self._command(f"CREATE DATABASE {_TEMPLATE}")
            create_schema(postgres.url(self._server, _TEMPLATE))
        return self._server


@pytest.fixture(scope="session", autouse=True)
def cheap_hashes() -> Iterator[None]:
    """The real cost of a password matters to one test (of logging in); the rest need not wait for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        passwords.nobody.cache_clear()
        yield
    passwords.nobody.cache_clear()


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """In memory where there is such a file system: a test's commits need no disk; power cuts have their own tests."""
    shared_memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(
        prefix="rackwright-test-", dir=shared_memory if shared_memory.is_dir() else None
    ) as name:
        made = Databases(Path(name))
        yield made
        made.close()


@pytest.fixture
def database_url(databases: Databases, database_kind: str) -> Iterator[str]:
    """An empty database with all tables."""
    url = databases.create(database_kind)
    yield url
    databases.drop(url)


@pytest.fixture
def database(databases: Databases, database_url: str) -> Iterator[Database]:
    opened = Database(databases.engine(database_url))
    yield opened
    opened.dispose()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()
