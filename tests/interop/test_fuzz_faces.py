"""Whatever the OpenStack faces are asked, no answer is our fault (fuzz_faces.py)."""

import random
from pathlib import Path

import pytest

from tests.fakes import postgres_server
from tests.interop import fuzz_faces


@pytest.fixture
def database(database_kind: str) -> str:
    if database_kind == "postgresql" and not postgres_server.is_installed():
        pytest.skip(f"PostgreSQL is not installed (Debian package postgresql-{postgres_server.VERSION})")
    return database_kind


def fuzz(folder: Path, database: str, *, seconds: float, seed: int) -> int:
    with fuzz_faces.served(folder, database) as appliance:
        return fuzz_faces.run(appliance, seconds=seconds, seed=seed)


def test_some_odd_requests(tmp_path: Path, database: str, capfd: pytest.CaptureFixture[str]):
    """As many as there is time for, in the same order each time."""
    found = fuzz(tmp_path, database, seconds=15, seed=1)
    assert found == 0, capfd.readouterr().out[:8000]


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_five_minutes_of_odd_requests(tmp_path: Path, database: str, capfd: pytest.CaptureFixture[str]):
    found = fuzz(tmp_path, database, seconds=300, seed=random.randrange(10**6))
    assert found == 0, capfd.readouterr().out[:8000]
