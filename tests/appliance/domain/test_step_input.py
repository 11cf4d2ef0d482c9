"""Steps as people write them: what is taken is whole and bounded, all else is refused in a sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain import step_input, traits
from appliance.domain.errors import Invalid

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.sampled_from(["deploy", "bios", "7"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
STEP = st.fixed_dictionaries(
    {}, optional={"interface": JSON, "step": JSON, "args": JSON, "priority": JSON, "order": JSON, "x": JSON}
)


@given(given_steps=JSON | st.lists(STEP | JSON, max_size=4))
@pytest.mark.parametrize(
    ("read", "number"), [(step_input.template_steps, "priority"), (step_input.runbook_steps, "order")]
)
def test_what_is_taken_is_whole(read, number, given_steps):
    try:
        steps = read(given_steps)
    except Invalid:
        return
    assert steps
    for step in steps:
        assert set(step) == {"interface", "step", "args", number}
        assert step["interface"] in step_input.CLEAN_INTERFACES
        assert isinstance(step[number], int)
        assert isinstance(step["args"], dict)
    assert read(steps) == steps


@given(text=st.text(max_size=300) | st.from_regex(r"\A(CUSTOM|HW)_[A-Z0-9_]{1,20}\Z"))
def test_a_trait_is_capital_letters(text):
    try:
        assert traits.trait(text) == text
    except Invalid:
        return
    assert text.isascii()
    assert text == text.upper()
    assert len(text) <= 255


def test_traits_are_each_once_and_few():
    assert traits.traits(["CUSTOM_B", "CUSTOM_A", "CUSTOM_B"]) == ["CUSTOM_B", "CUSTOM_A"]
    with pytest.raises(Invalid):
        traits.traits([f"CUSTOM_{number}" for number in range(51)])
