"""Whatever a machine says comes out bounded and printable."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain import untrusted
from appliance.domain.errors import Invalid

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def texts(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for item in value.items() if isinstance(value, dict) else value:
            yield from texts(list(item) if isinstance(item, tuple) else item)


@given(JSON)
def test_no_control_character_survives(value):
    try:
        kept = untrusted.tree(value)
    except Invalid:
        return
    assert all(text.isprintable() for text in texts(kept))


@pytest.mark.parametrize("depth", [5, 6, 7])
def test_depth_is_capped(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    if depth < untrusted.MAX_DEPTH:
        assert untrusted.tree(value) == value
    else:
        with pytest.raises(Invalid):
            untrusted.tree(value)


@pytest.mark.parametrize("count", [255, 256, 257])
def test_counts_are_capped(count):
    assert len(untrusted.tree(["x"] * count)) == min(count, untrusted.MAX_ITEMS)
    assert len(untrusted.tree({str(number): 1 for number in range(count)})) == min(count, untrusted.MAX_ITEMS)


def test_nothing_is_no_text():
    assert untrusted.text(None) == ""
