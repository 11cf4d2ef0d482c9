from hypothesis import given
from hypothesis import strategies as st

from agent.backoff import BASE_S, CAP_S, delay_s


@given(st.integers(1, 10**6), st.floats(0, 1, exclude_max=True))
def test_never_busy_and_never_longer_than_the_cap(failures, random):
    assert BASE_S / 2 <= delay_s(failures, random) <= CAP_S
