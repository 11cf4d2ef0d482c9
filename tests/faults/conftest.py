"""State directories for real appliances: made once, copied for each test."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import Databases
from tests.fakes import served as fake
from tests.fakes.served import Served


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An initialised state directory on SQLite; nobody serves it."""
    return fake.make_state(tmp_path_factory.mktemp("pristine") / "state")


@pytest.fixture
def state(pristine: Path, tmp_path: Path) -> Path:
    return copy(pristine, tmp_path / "state")


def copy(pristine: Path, target: Path) -> Path:
    subprocess.run(["cp", "-a", pristine, target], check=True)
    return target


@pytest.fixture
def start(state: Path) -> Iterator[Callable[..., Served]]:
    """Serve `state`; everything that was started ends with the test."""
    with ExitStack() as stack:

        def begin(**settings: dict[str, str]) -> Served:
            return stack.enter_context(fake.served(state, settings=settings))

        yield begin


@pytest.fixture(scope="module")
def appliance(pristine: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One running appliance for all tests of a module that leave each other's nodes alone."""
    with fake.served(copy(pristine, tmp_path_factory.mktemp("served") / "state")) as one:
        yield one


@pytest.fixture
def either(databases: Databases, database_kind: str, pristine: Path, tmp_path: Path) -> Iterator[Served]:
    """A running appliance on SQLite, then on PostgreSQL."""
    if database_kind == "sqlite":
        state = copy(pristine, tmp_path / "state")
        url = None
    else:
        url = databases.create_blank(database_kind, tmp_path)
        state = fake.make_state(tmp_path / "state", database_url=url)
    with fake.served(state) as one:
        yield one
    if url is not None:
        databases.drop(url)
