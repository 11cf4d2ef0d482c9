"""Times and amounts for people."""

import pytest

from appliance.flows.catalogue import FLOWS
from webui import words


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 ms"), (0.0123, "12 ms"), (0.99951, "1.0 s"), (3.44, "3.4 s"), (9.96, "10 s"), (119.4, "119 s"),
     (125, "2 min 05 s"), (7199.6, "2 h 00 min"), (7260, "2 h 01 min")],
)  # fmt: skip
def test_how_long_it_took(seconds, text):
    assert words.took(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(0, "0"), (0.5, "0.5 s"), (30, "30 s"), (120, "2 min"), (150, "2:30")])
def test_marks_on_a_scale(seconds, text):
    assert words.mark(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(None, "-"), (0, "0 B"), (999, "999 B"), (8_589_934_592, "8.59 GB"), (352_649_216, "353 MB"), (2e15, "2000 TB")],
)  # fmt: skip
def test_amounts(number, text):
    assert words.amount(number) == text


def test_no_step_is_shown_by_its_name_in_the_code():
    steps = {name for procedure in FLOWS.values() for name in procedure.steps}
    assert not [step for step in steps if "_" in words.step(step)]


def test_every_kind_of_work_has_a_word():
    assert set(words.WORK) == set(FLOWS)


@pytest.mark.parametrize(
    ("progress", "share", "text"),
    [
        ({"done": 1, "total": 4, "unit": "disks"}, 25.0, "1 of 4 disks"),
        ({"done": 5 * 10**6, "total": 0, "unit": "bytes"}, None, "5 MB"),
        ({"done": 9, "total": 4}, 100.0, "9 B of 4 B"),
    ],
)
def test_progress(progress, share, text):
    assert words.share(progress) == share
    assert words.how_far(progress) == text
