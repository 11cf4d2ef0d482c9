"""Every state and every pair of states; who sees, changes and shares what, as a table."""

import itertools

import pytest

from appliance.domain import images
from appliance.domain.access import Actor, Role
from appliance.domain.images import COMING, HAS_BYTES, MOVES, Status, resting


def actor(role, **scope):
    return Actor(name="x", role=role, user_id=1, **({"is_system": False} | scope))


MINE, OTHER = {"project_id": "mine"}, {"project_id": "other"}
SYSTEM = {"is_system": True}
ADMIN_PROJECT = {"project_id": "other", "is_admin_project": True}


def test_every_state_has_its_moves_and_no_move_leads_nowhere():
    assert set(MOVES) == set(Status)
    assert set(itertools.chain(*MOVES.values())) == set(Status)
    assert not COMING & HAS_BYTES


@pytest.mark.parametrize("state", sorted(COMING))
@pytest.mark.parametrize("disk_format", [None, "raw"])
def test_bytes_that_do_not_arrive_leave_an_image_where_it_may_rest(state, disk_format):
    if state is Status.SAVING or disk_format is not None:  # without a format nothing is staged or imported
        assert resting(disk_format) in MOVES[state]


@pytest.mark.parametrize(
    ("who", "sees_private", "changes", "downloads", "publishes"),
    [
        (actor(Role.ADMIN, **SYSTEM), True, True, True, True),
        (actor(Role.ADMIN, **ADMIN_PROJECT), True, True, True, True),
        (actor(Role.MEMBER, **SYSTEM), True, False, False, False),
        (actor(Role.READER, **SYSTEM), True, False, False, False),
        (actor(Role.NONE, **SYSTEM), False, False, False, False),
        (actor(Role.ADMIN, **MINE), True, True, True, False),
        (actor(Role.MEMBER, **MINE), True, True, True, False),
        (actor(Role.READER, **MINE), True, False, False, False),
        (actor(Role.NONE, **MINE), False, False, False, False),
        (actor(Role.MEMBER, **OTHER), False, False, True, False),
        (actor(Role.ADMIN, domain_id="d"), False, False, False, False),
        (actor(Role.NONE), False, False, False, False),
    ],
)  # fmt: skip
def test_who_may(who, sees_private, changes, downloads, publishes):
    assert images.may_see(who, owner="mine", visibility="private", is_member=True) is sees_private
    assert images.may_change(who, owner="mine") is changes
    assert images.may_download(who, is_deactivated=False) is downloads
    assert images.may_download(who, is_deactivated=True) is images.may_publish(who) is publishes


@pytest.mark.parametrize(
    ("visibility", "is_member", "is_seen"),
    [("public", False, True), ("community", False, True), ("shared", False, False), ("shared", True, True),
     ("private", True, False)],
)  # fmt: skip
def test_what_other_projects_see(visibility, is_member, is_seen):
    who = actor(Role.READER, **OTHER)
    assert images.may_see(who, owner="mine", visibility=visibility, is_member=is_member) is is_seen


def test_an_image_of_the_appliance_belongs_to_no_project():
    assert not images.may_change(actor(Role.ADMIN, domain_id="d"), owner=None)
    assert not images.may_change(actor(Role.MEMBER, **MINE), owner=None)
    assert images.may_change(actor(Role.ADMIN, **SYSTEM), owner=None)


def test_a_project_answers_for_itself():
    assert images.may_answer(actor(Role.MEMBER, **MINE), member="mine")
    assert not images.may_answer(actor(Role.READER, **MINE), member="mine")
    assert not images.may_answer(actor(Role.MEMBER, **OTHER), member="mine")
