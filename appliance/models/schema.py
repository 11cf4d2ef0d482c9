"""The schema's version: upgrade, check, and writing the next migration. Alembic, driven without an ini file.

An upgrade of SQLite first copies the file and puts the copy back when anything fails; PostgreSQL rolls its one
transaction back. A database written by a newer Rackwright is refused before anything in it is read.

    python -m appliance.models.schema revision "what changes"     writes migrations/versions/NNNN_what_changes.py
    python -m appliance.models.schema rewrite                     writes the first one anew (before the first release)
"""

import argparse
import contextlib
import logging
import os
import pkgutil
import re
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.autogenerate.api import AutogenContext
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import JSON, Connection, MetaData, NullPool, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

import appliance.models
from appliance.domain.errors import RackwrightError
from appliance.models.columns import UtcTime
from appliance.models.database import Base

log = logging.getLogger(__name__)

_MIGRATIONS = Path(__file__).parent / "migrations"
_ADVISORY_LOCK = 0x7261636B  # "rack": only one appliance upgrades a shared database at a time


class SchemaError(RackwrightError):
    """The database's schema does not suit this version of Rackwright."""

    code: ClassVar[str] = "schema"


class SchemaTooNew(SchemaError):
    """The database was written by a newer version of Rackwright."""


class DatabaseUnreachable(RackwrightError):
    """The database does not answer."""

    code: ClassVar[str] = "database"
    retryable: ClassVar[bool] = True


def metadata() -> MetaData:
    """Every table of every module in appliance.models."""
    for module in pkgutil.iter_modules(appliance.models.__path__):
        if module.name not in {"schema", "migrations"}:
            import_module(f"appliance.models.{module.name}")
    return Base.metadata


def head() -> str:
    """The version that this program writes."""
    revision = _scripts().get_current_head()
    assert revision is not None
    return revision


def current(url: str) -> str | None:
    """The version of a database; None when it holds no schema of ours. Creates nothing."""
    if (path := _sqlite_path(url)) and not path.exists():
        return None
    with _connect(url) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def check(url: str) -> None:
    """Raises SchemaTooNew, or SchemaError when an upgrade is due. Reads the version and nothing else."""
    found = current(url)
    _refuse_newer(found)
    if found != head():
        raise SchemaError(
            f"the database's schema is {found or 'absent'}, this program needs {head()}",
            next_step="`rackwright serve` upgrades it; `rackwright init` makes a new one",
        )


def upgrade(url: str, state: Path) -> str | None:
    """Bring the database to `head()`. Returns the version it had, or None for a fresh one.

    state: where the copy of an SQLite file goes (STATE/backup). Raises SchemaError with the old database in place.
    """
    found = current(url)
    _refuse_newer(found)
    if found == head():
        return found
    with _safety_copy(url, state, found):
        try:
            with _connect(url) as connection, connection.begin():
                if connection.dialect.name == "postgresql":
                    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})
                command.upgrade(_config(connection), "head")
                _check_references(connection)
        except (DBAPIError, CommandError) as cause:
            raise SchemaError(
                f"the upgrade of the database from {found or 'nothing'} to {head()} failed: {cause}",
                why="it was undone; the database is as it was",
                next_step="start the previous version, and report this",
            ) from cause
    log.info("schema upgraded from=%s to=%s", found, head())
    return found


def differences(url: str) -> list[Any]:
    """What autogenerate would change: empty when models and migrations agree."""
    with _connect(url) as connection:
        context = MigrationContext.configure(connection, opts=dict(RENDERING))
        return list(compare_metadata(context, metadata()))


def _render_type(kind: str, value: Any, _context: AutogenContext) -> str | bool:
    """Migrations must not change when a column class of ours does: name SQLAlchemy's own type."""
    if kind == "type" and isinstance(value, UtcTime):
        return "sa.BigInteger()"
    if kind == "type" and isinstance(value, JSON):
        return "sa.JSON()"
    return False


RENDERING: dict[str, Any] = {"render_as_batch": True, "compare_type": True, "render_item": _render_type}


def _refuse_newer(found: str | None) -> None:
    known = {script.revision for script in _scripts().walk_revisions()}
    if found is not None and found not in known:
        raise SchemaTooNew(
            f"the database's schema {found} is unknown to this program, which knows up to {head()}",
            why="a newer Rackwright has written it",
            next_step="run that newer version, or restore the copy that it left in STATE/backup",
        )


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config(None))


def _config(connection: Connection | None) -> AlembicConfig:
    config = AlembicConfig()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


@contextlib.contextmanager
def _connect(url: str) -> Iterator[Connection]:
    """One connection of its own. On SQLite without foreign keys: rebuilding a table must not empty its children."""
    engine = create_engine(url, poolclass=NullPool)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    try:
        connection = engine.connect()
    except DBAPIError as cause:
        raise DatabaseUnreachable(
            f"{engine.url.render_as_string(hide_password=True)} does not answer: {str(cause.orig).strip()}",
            next_step="start the database, or correct [database] url in rackwright.toml",
        ) from cause
    with contextlib.closing(connection):
        yield connection
    engine.dispose()


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=OFF", "busy_timeout=10000"):
        connection.execute(f"PRAGMA {pragma}").close()


def _check_references(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
        if broken is not None:
            raise SchemaError(f"the upgrade would leave a broken reference in table {broken[0]}")


def _sqlite_path(url: str) -> Path | None:
    parsed = make_url(url)
    return Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None


@contextlib.contextmanager
def _safety_copy(url: str, state: Path, found: str | None) -> Iterator[None]:
    """Copy an SQLite file before the block, put the copy back when the block fails."""
    path = _sqlite_path(url)
    if path is None or found is None:
        yield
        return
    keep = state / "backup" / f"{path.stem}-{found}{path.suffix}"
    try:
        keep.parent.mkdir(mode=0o700, exist_ok=True)
        _copy_sqlite(path, keep)
    except (OSError, sqlite3.Error) as cause:
        raise SchemaError(
            f"the database could not be copied before its upgrade: {cause}",
            why="nothing was changed",
            next_step=f"free space or correct permissions in {keep.parent}",
        ) from cause
    try:
        yield
    except BaseException:
        _copy_sqlite(keep, path)
        raise


def _copy_sqlite(source: Path, target: Path) -> None:
    """A consistent copy of a live database, by SQLite's own online backup, durable before it counts."""
    with (
        contextlib.closing(sqlite3.connect(source)) as origin,
        contextlib.closing(sqlite3.connect(target)) as copy,
    ):
        origin.backup(copy)
    target.chmod(0o600)
    descriptor = os.open(target, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_revision(message: str, *, anew: bool) -> Path:
    versions = _MIGRATIONS / "versions"
    existing = sorted(versions.glob("[0-9]*.py"))
    if anew:
        for path in existing:
            path.unlink()
        existing = []
    slug = re.sub(r"\W+", "_", message.lower()).strip("_")
    with tempfile.TemporaryDirectory() as scratch:
        url = f"sqlite:///{scratch}/scratch.db"
        if existing:
            upgrade(url, Path(scratch))
        with _connect(url) as connection, connection.begin():
            revision = f"{len(existing) + 1:04d}"
            script = command.revision(_config(connection), message, autogenerate=True, rev_id=revision)
    assert script is not None
    assert not isinstance(script, list)
    made = Path(script.path)
    return made.rename(versions / f"{revision}_{slug}.py")


def _main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m appliance.models.schema")
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("revision").add_argument("message")
    actions.add_parser("rewrite")
    chosen = parser.parse_args(arguments)
    anew = chosen.action == "rewrite"
    sys.stdout.write(f"{_write_revision('first schema' if anew else chosen.message, anew=anew)}\n")


if __name__ == "__main__":
    _main(sys.argv[1:])
