"""Arguments of steps: the mask is stored, and the secret comes back to who runs them."""

from types import SimpleNamespace

import pytest

from appliance.services import step_secrets
from appliance.services.vault import MASK, NotSealedHere
from tests.fakes.rack import vault

STEPS = [{"step": "x", "args": {"password": "canary", "deep": [{"token": "canary", "a": 1}]}}]


def kept(steps, uuid="u1"):
    return SimpleNamespace(uuid=uuid, **step_secrets.columns(vault(), "u1", steps))


def test_masks_are_kept_and_the_steps_come_back():
    row = kept(STEPS)
    assert row.steps == [{"step": "x", "args": {"password": MASK, "deep": [{"token": MASK, "a": 1}]}}]
    assert b"canary" not in row.secret
    assert step_secrets.opened(vault(), row) == STEPS


def test_without_secrets_nothing_is_sealed():
    row = kept([{"step": "x", "args": {"password": "", "cpus": 4}}])
    assert row.secret is None
    assert step_secrets.opened(vault(), row) == row.steps


def test_steps_of_one_thing_are_not_those_of_another():
    with pytest.raises(NotSealedHere):
        step_secrets.opened(vault(), kept(STEPS, uuid="u2"))
