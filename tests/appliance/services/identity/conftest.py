"""People and places for tests of identity; hashing is cheap here."""

import pytest
from argon2 import PasswordHasher

from appliance.services.identity import passwords


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real cost matters to one test; the rest need not wait for it."""
    monkeypatch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    passwords.nobody.cache_clear()
