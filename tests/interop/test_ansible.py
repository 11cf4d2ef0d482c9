"""Ansible's openstack.cloud modules keep accounts, images and machines here; a second run changes nothing."""

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


@pytest.mark.timeout(WITHIN_S)
def test_playbooks_run_and_run_again(cloud, home: Path, disk: Path):
    given = ("-e", f"disk={disk}")
    first = played("furnish", *given, home=home)
    assert first.changed == first.ok
    assert played("furnish", *given, home=home).changed == 0
    played("look", home=home)
    played("life", home=home)
    assert played("clear", home=home).changed
    assert played("clear", home=home).changed == 0
