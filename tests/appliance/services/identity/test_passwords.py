"""Hashes and rules of passwords."""

import threading

import pytest

from appliance.domain.errors import Unavailable
from appliance.services.identity import passwords
from appliance.services.identity.passwords import BadPassword, Rules, hash_password, one_login, verify


def test_a_hash_fits_its_password_only():
    hashed = hash_password("correct horse")
    assert verify(hashed, "correct horse")
    assert not verify(hashed, "wrong horse")
    assert not verify(None, "correct horse")
    assert not verify(hashed, "x" * 100_000)


@pytest.mark.parametrize(
    ("pattern", "password", "fits"),
    [
        (r"^.{8,}$", "12345678", True),
        (r"^.{8,}$", "1234567", False),
        (r"^.{8,}$", "1234\n678", True),
        (r"^(?=.*\d)(?=.*[a-zA-Z]).{7,}$", "horses7", True),
        (r"^(?=.*\d)(?=.*[a-zA-Z]).{7,}$", "horsesss", False),
    ],
)
def test_the_pattern_decides(pattern: str, password: str, *, fits: bool):
    rules = Rules(pattern=pattern, description="as the guide says")
    if fits:
        rules.check(password)
    else:
        with pytest.raises(BadPassword, match="as the guide says"):
            rules.check(password)


def test_what_was_used_lately_is_refused():
    before = [hash_password(f"password-{number}") for number in range(6)]
    rules = Rules(history=3)
    for number in range(3):
        with pytest.raises(BadPassword, match="previous password"):
            rules.check_history(f"password-{number}", before)
    rules.check_history("password-3", before)


def test_made_passwords_keep_the_strictest_usual_rules():
    for _ in range(50):
        Rules(pattern=r"^(?=.*\d)(?=.*[a-zA-Z]).{7,}$").check(passwords.new_password())


def test_many_log_in_by_turns_and_too_many_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(passwords, "_WAITING", threading.BoundedSemaphore(1))
    monkeypatch.setattr(passwords, "_PATIENCE_S", 0.01)
    with one_login(), pytest.raises(Unavailable), one_login():
        pass
    with one_login():
        pass
