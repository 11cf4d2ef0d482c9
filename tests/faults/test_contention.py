"""Many clients at once make no answer of the Bare Metal API our fault (tests.faults.contention has the claims)."""

from pathlib import Path

import pytest

from tests.fakes import postgres_server
from tests.faults import contention


@pytest.fixture
def database(database_kind: str) -> str:
    if database_kind == "postgresql" and not postgres_server.is_installed():
        pytest.skip(f"PostgreSQL is not installed (Debian package postgresql-{postgres_server.VERSION})")
    return database_kind


def race(tmp_path: Path, database: str, seconds: float) -> None:
    with contention.served(tmp_path, database) as it:
        shown = contention.race(it, seconds)
    assert not shown["broken"], shown
    assert {200, 201, 202, 204, 409} <= set(shown["statuses"]), "the clients never met"


def test_sixteen_clients_on_the_same_nodes(tmp_path: Path, database: str) -> None:
    race(tmp_path, database, 12)


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_sixteen_clients_for_five_minutes(tmp_path: Path, database: str) -> None:
    race(tmp_path, database, 300)
