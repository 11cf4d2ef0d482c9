"""Whose import is next: nobody has more than their part, nobody is forgotten, and who waits is told for what."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.errors import Unavailable
from appliance.domain.image_imports import Bounds, Import, first, refuse_full, waits_for

BOUNDS = Bounds(downloads=4, packings=2, owner=2, host=3, waiting=6, waiting_of_owner=4)


def fetch(owner, host="mirror"):
    return Import(uuid="", owner=owner, host=host)


def pack(owner):
    return Import(uuid="", owner=owner)


@pytest.mark.parametrize(
    ("one", "running", "said"),
    [
        (fetch("a"), [], ""),
        (fetch("a"), [fetch("a"), fetch("b")], ""),
        (fetch("a"), [fetch("a"), fetch("a", "other")], "2 downloads of this project to end"),
        (fetch(""), [fetch(""), fetch("")], "2 downloads of the appliance itself to end"),
        (fetch("d"), [fetch("a"), fetch("b"), fetch("c")], "3 downloads from mirror to end"),
        (fetch("d", "new"), [fetch("a"), fetch("b"), fetch("c"), fetch("a", "other")], "one of 4 downloads to end"),
        (pack("a"), [fetch("a"), fetch("a"), fetch("b"), fetch("b", "other")], ""),
        (pack("a"), [pack("a"), pack("a")], "2 images being packed of this project to end"),
        (pack("c"), [pack("a"), pack("b")], "one of 2 images being packed to end"),
    ],
)
def test_what_stands_in_the_way_is_named(one, running, said):
    assert waits_for(one, running, BOUNDS) == said
    assert (first([one], running, [], BOUNDS) is None) is bool(said)


def test_who_has_least_going_on_is_first_and_then_who_was_served_longest_ago():
    waiting = [fetch("a"), fetch("a"), fetch("b"), fetch("c")]
    assert first(waiting, [], [], BOUNDS) == 0
    assert first(waiting, [fetch("a")], ["a"], BOUNDS) == 2
    assert first(waiting, [], ["b", "a"], BOUNDS) == 3
    assert first(waiting[:3], [], ["b", "a"], BOUNDS) == 2
    assert first(waiting[:3], [fetch("a"), fetch("b")], ["b", "a"], BOUNDS) == 2
    assert first([], [], [], BOUNDS) is None


def test_too_many_that_wait_are_refused_by_project_and_in_all():
    mine = [fetch("a")] * 4
    refuse_full(fetch("a"), mine[:3], BOUNDS)
    with pytest.raises(Unavailable, match="4 imports of this project wait already") as refusal:
        refuse_full(pack("a"), mine, BOUNDS)
    assert refusal.value.next_step
    refuse_full(fetch("b"), mine, BOUNDS)
    with pytest.raises(Unavailable, match="6 imports wait already"):
        refuse_full(fetch("b"), [*mine, fetch("c"), fetch("c")], BOUNDS)


imports = st.builds(Import, uuid=st.just(""), owner=st.sampled_from("abcde"), host=st.sampled_from(["", "x", "y", "z"]))


@given(asked=st.lists(imports, max_size=40), ends=st.lists(st.integers(0, 5), max_size=80))
def test_bounds_hold_nobody_waits_in_vain_and_all_have_their_turn(asked, ends):
    waiting, running, served = list(asked), [], []
    for end in [*ends, *[0] * len(asked)]:
        while (number := first(waiting, running, served, BOUNDS)) is not None:
            one = waiting.pop(number)
            running.append(one)
            served = [*(owner for owner in served if owner != one.owner), one.owner]
        downloads = [one for one in running if one.host]
        packings = [one for one in running if not one.host]
        assert len(downloads) <= 4
        assert len(packings) <= 2
        for alike in (downloads, packings):
            assert all(sum(one.owner == owner for one in alike) <= 2 for owner in "abcde")
        assert all(sum(one.host == host for one in downloads) <= 3 for host in "xyz")
        assert all(waits_for(one, running, BOUNDS) for one in waiting)
        if running:
            running.pop(min(end, len(running) - 1))
    assert not waiting


def test_a_project_with_many_slow_downloads_holds_up_nobody_else():
    """Ten that never end leave places for what others ask for later."""
    running, waiting = [], [fetch("greedy", f"slow-{number}") for number in range(10)]
    while (number := first(waiting, running, ["greedy"], BOUNDS)) is not None:
        running.append(waiting.pop(number))
    assert len(running) == 2
    assert first([*waiting, fetch("b")], running, ["greedy"], BOUNDS) == len(waiting)
