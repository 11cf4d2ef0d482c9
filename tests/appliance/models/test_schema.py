"""Migrations say the same as the models, on both databases; an upgrade fails without a trace."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import create_engine, inspect, text

from appliance.models import schema


@pytest.fixture
def url(databases: Any, database_kind: str, tmp_path: Path) -> Iterator[str]:
    url = databases.create_blank(database_kind, tmp_path)
    yield url
    databases.drop(url)


def execute(url: str, statement: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def tables(url: str) -> set[str]:
    engine = create_engine(url)
    names = set(inspect(engine).get_table_names())
    engine.dispose()
    return names


def test_migrations_make_what_the_models_say(url: str, tmp_path: Path):
    assert schema.current(url) is None
    assert schema.upgrade(url, tmp_path) is None
    assert schema.current(url) == schema.head()
    assert schema.differences(url) == [], 'run `python -m appliance.models.schema revision "what changes"`'
    schema.check(url)


def test_upgrading_twice_changes_nothing(url: str, tmp_path: Path):
    schema.upgrade(url, tmp_path)
    assert schema.upgrade(url, tmp_path) == schema.head()
    assert not (tmp_path / "backup").exists()


def test_looking_creates_nothing(tmp_path: Path):
    assert schema.current(f"sqlite:///{tmp_path}/a.db") is None
    assert not (tmp_path / "a.db").exists()


def test_a_newer_schema_is_refused_and_not_read(url: str, tmp_path: Path):
    schema.upgrade(url, tmp_path)
    execute(url, "UPDATE alembic_version SET version_num = '9999'")
    for attempt in (schema.check, lambda at: schema.upgrade(at, tmp_path)):
        with pytest.raises(schema.SchemaTooNew, match="9999") as caught:
            attempt(url)
        assert "newer" in caught.value.why


def test_an_empty_database_needs_an_upgrade(url: str):
    with pytest.raises(schema.SchemaError, match="absent"):
        schema.check(url)
    assert tables(url) == set()


class TestFailure:
    """An upgrade from a pretended older version, which breaks half-way."""

    @pytest.fixture
    def older(self, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
        schema.upgrade(url, tmp_path)
        execute(url, "CREATE TABLE witness (n INTEGER)")
        execute(url, "INSERT INTO witness VALUES (7)")
        monkeypatch.setattr(schema, "head", lambda: "next")

        def breaks(config, _target: str) -> None:
            connection = config.attributes["connection"]
            connection.execute(text("CREATE TABLE half_made (n INTEGER)"))
            connection.execute(text("DELETE FROM witness"))
            connection.execute(text("SELECT * FROM no_such_table"))

        monkeypatch.setattr(command, "upgrade", breaks)
        return url

    def test_the_old_database_is_back(self, older: str, tmp_path: Path):
        with pytest.raises(schema.SchemaError, match="failed") as caught:
            schema.upgrade(older, tmp_path)
        assert "it was undone" in caught.value.why
        assert "half_made" not in tables(older)
        engine = create_engine(older)
        with engine.connect() as connection:
            assert connection.execute(text("SELECT n FROM witness")).scalars().all() == [7]
        engine.dispose()

    def test_no_copy_no_upgrade(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        url = f"sqlite:///{tmp_path}/a.db"
        schema.upgrade(url, tmp_path)
        monkeypatch.setattr(schema, "head", lambda: "next")
        (tmp_path / "backup").write_text("in the way")
        with pytest.raises(schema.SchemaError, match="could not be copied") as caught:
            schema.upgrade(url, tmp_path)
        assert caught.value.why == "nothing was changed"

    def test_the_copy_is_kept_and_private(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        url = f"sqlite:///{tmp_path}/a.db"
        schema.upgrade(url, tmp_path)
        found = schema.head()
        monkeypatch.setattr(schema, "head", lambda: "next")
        monkeypatch.setattr(command, "upgrade", lambda *_: None)
        schema.upgrade(url, tmp_path)
        kept = tmp_path / "backup" / f"a-{found}.db"
        assert kept.stat().st_mode & 0o077 == 0
        assert "node" in tables(f"sqlite:///{kept}")


def test_a_database_that_does_not_answer_is_named_without_its_password():
    with pytest.raises(schema.DatabaseUnreachable) as caught:
        schema.current("postgresql+psycopg://rack:s3cret@127.0.0.1:1/rack")
    assert "127.0.0.1:1" in caught.value.message
    assert "s3cret" not in caught.value.message + caught.value.why + caught.value.next_step


def test_a_file_that_is_no_database(tmp_path: Path):
    (tmp_path / "a.db").write_bytes(b"not a database, but long enough to be read as one" * 100)
    with pytest.raises(schema.DatabaseUnreachable, match="not a database"):
        schema.current(f"sqlite:///{tmp_path}/a.db")
