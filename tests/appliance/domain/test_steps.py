from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.steps import NEVER, Retry


@given(
    retry=st.builds(
        Retry,
        times=st.integers(0, 50),
        first_s=st.floats(0.1, 100),
        factor=st.floats(1, 10),
        cap_s=st.floats(0.1, 1000),
    ),
    attempt=st.integers(1, 10_000),
    chance=st.floats(0, 1, exclude_max=True),
)
def test_pauses_are_bounded_and_end(retry: Retry, attempt: int, chance: float) -> None:
    pause_s = retry.pause_s(attempt, chance)
    if attempt > retry.times:
        assert pause_s is None
    else:
        assert pause_s is not None
        assert 0 < pause_s <= retry.cap_s


def test_pauses_grow() -> None:
    retry = Retry(times=4, first_s=2, factor=2, cap_s=10)
    pauses = [retry.pause_s(attempt, 0) for attempt in (1, 2, 3, 4)]
    assert pauses == [1, 2, 4, 5]


def test_never() -> None:
    assert NEVER.pause_s(1, 0.5) is None
