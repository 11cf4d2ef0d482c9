from pathlib import Path

import pytest

from appliance.models.database import Database
from tests.appliance.flows.harness import Rig, rig
from tests.fakes.clock import FakeClock


@pytest.fixture
def made(database: Database, clock: FakeClock, tmp_path: Path) -> Rig:
    return rig(database, clock, tmp_path)
