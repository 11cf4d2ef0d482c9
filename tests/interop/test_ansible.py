"""Ansible's openstack.cloud modules keep accounts, images and machines here; a second run changes nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.serving import boot_sector
from tests.interop import plays

WITHIN_S = 600


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    file = tmp_path / "disk.img"
    file.write_bytes(boot_sector() + bytes(4096))
    return file


def played(name: str, *options: str, home: Path) -> plays.Played:
    done = plays.play(name, *options, home=home)
    assert done.code == 0, done.out
    return done


@pytest.fixture
def furnished(cloud, home: Path, disk: Path) -> Iterator[tuple[str, ...]]:
    """The options with which furnish.yml was run."""
    options = ("-e", f"disk={disk}")
    first = played("furnish", *options, home=home)
    assert first.changed == first.ok
    yield options
    played("clear", home=home)


@pytest.mark.timeout(WITHIN_S)
def test_a_second_run_changes_nothing_and_a_machine_is_led_through_its_life(furnished, home: Path):
    again = played("furnish", *furnished, home=home)
    assert (again.changed, again.skipped) == (0, 0)
    played("life", home=home)


# Each task starts a Python that imports the library: twenty seconds for a playbook, and here are four.
@pytest.mark.nightly
@pytest.mark.timeout(WITHIN_S)
def test_what_was_made_is_seen_and_a_trial_changes_nothing(furnished, home: Path):
    played("look", home=home)
    trial = played("furnish", *furnished, "--check", home=home)
    assert trial.changed == 0
    assert 0 < trial.skipped < trial.ok  # modules that know no trial are left out
    assert played("clear", "--check", home=home).changed
    assert played("furnish", *furnished, home=home).changed == 0
    assert played("clear", home=home).changed
    assert played("clear", home=home).changed == 0
