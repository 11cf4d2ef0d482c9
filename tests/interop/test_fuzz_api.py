"""The native API answers as its OpenAPI document says, whatever it is asked (fuzz_api.py)."""

from pathlib import Path

import pytest

from tests.fakes import served as fake
from tests.interop import fuzz_api


def fuzz(folder: Path, seconds: int, seed: int | None) -> int:
    with fake.served(fake.make_state(folder / "state")) as appliance:
        return fuzz_api.run(appliance, folder, seconds=seconds, seed=seed)


def test_some_requests_at_random(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """The same ones each time."""
    code = fuzz(tmp_path, seconds=30, seed=1)
    said = capfd.readouterr().out
    assert code == 0, said[-8000:]


@pytest.mark.nightly
@pytest.mark.timeout(1200)
def test_ten_minutes_of_requests_at_random(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    code = fuzz(tmp_path, seconds=600, seed=None)
    said = capfd.readouterr().out
    assert code == 0, said[-8000:]
