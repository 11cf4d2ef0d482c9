"""Every key of the configuration has an effect."""

from dataclasses import fields
from pathlib import Path

import pytest

from appliance.config import Config

TREE = Path(__file__).parents[2] / "appliance"
SOURCE = "\n".join(path.read_text() for path in TREE.rglob("*.py") if path.name != "config.py")
KEYS = [
    (section.name, key.name)
    for section in fields(Config)
    if section.name not in ("state", "database")  # the database's URL is read through Config.database_url
    for key in fields(section.type)
]


@pytest.mark.parametrize(("section", "key"), KEYS)
def test_somebody_reads_it(section, key):
    assert f".{key}" in SOURCE


def test_cleaning_follows_the_configuration():
    assert "automated_clean=limits.automated_clean" in SOURCE
