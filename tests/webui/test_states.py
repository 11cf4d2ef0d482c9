"""Every provision state has a place in the console."""

from appliance.domain.lifecycle import State
from webui import states


def test_every_state_is_in_exactly_one_group():
    found = [state for group in states.GROUPS for state in states.members(group.key)]
    assert sorted(found) == sorted(state.value for state in State)


def test_groups_differ_in_word_and_sign_too():
    assert len({group.word for group in states.GROUPS}) == len(states.GROUPS)
    assert len({group.sign for group in states.GROUPS}) == len(states.GROUPS)


def test_counts_by_group_are_complete():
    counted = states.count_by_group({"cleaning": 2, "clean wait": 3, "error": 1})
    assert counted == dict.fromkeys(states.BY_KEY, 0) | {"busy": 5, "failed": 1}
