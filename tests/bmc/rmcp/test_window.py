from hypothesis import given
from hypothesis import strategies as st

from bmc.rmcp.window import SequenceWindow


@given(st.lists(st.integers(1, 60), max_size=80))
def test_no_number_is_accepted_twice(numbers):
    window = SequenceWindow()
    accepted = [number for number in numbers if window.accept(number)]
    assert len(accepted) == len(set(accepted))


@given(st.permutations(range(1, 15)))
def test_reordering_within_the_window_loses_nothing(numbers):
    window = SequenceWindow()
    assert all(window.accept(number) for number in numbers)


def test_zero_far_ahead_and_far_behind_are_refused():
    window = SequenceWindow()
    assert window.accept(100)
    assert not window.accept(0)
    assert not window.accept(116)
    assert window.accept(115)
    assert not window.accept(98)
    assert window.accept(99)
    assert not window.accept(99)


def test_it_goes_on_past_the_largest_number():
    window = SequenceWindow()
    assert window.accept(0xFFFFFFFF)
    assert not window.accept(0)
    assert window.accept(1)
    assert not window.accept(0xFFFFFFFF)
