"""The quick look at the schema's version says what the thorough one says."""

from pathlib import Path

from appliance.models import schema, version
from appliance.models.database import Database


def test_its_head_is_that_of_the_migrations() -> None:
    assert version.head() == schema.head()


def test_an_upgraded_database_is_current_and_a_blank_one_is_not(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    database = Database.at(url)
    assert not version.is_current(database)
    schema.upgrade(url, tmp_path)
    assert version.is_current(database)
    database.dispose()


def test_a_database_that_does_not_answer_is_not_current() -> None:
    database = Database.at("postgresql+psycopg://nobody@127.0.0.1:1/none")
    assert not version.is_current(database)
    database.dispose()
