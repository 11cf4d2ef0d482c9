import pytest

from appliance.domain.access import Actor, Permission, Role, demand, implies, may
from appliance.domain.errors import Forbidden

EXPECTED = {
    Role.NONE: set(),
    Role.READER: {Permission.READ},
    Role.MEMBER: {Permission.READ, Permission.OPERATE},
    Role.MANAGER: {Permission.READ, Permission.OPERATE},
    Role.ADMIN: set(Permission),
}


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("permission", Permission)
def test_every_role_and_permission(role: Role, permission: Permission):
    assert may(role, permission) is (permission in EXPECTED[role])


def test_roles_imply_those_below():
    assert implies(Role.ADMIN) == set(Role)
    assert implies(Role.READER) == {Role.READER, Role.NONE}


def test_a_refusal_says_who_needs_what():
    with pytest.raises(Forbidden) as caught:
        demand(Actor(name="eve", role=Role.READER, user_id=7), Permission.CONFIGURE)
    assert caught.value.message == "this needs the role admin"
    assert caught.value.why == "eve is reader"


@pytest.mark.parametrize(
    ("scope", "role", "reaches"),
    [
        ({}, Role.READER, True),
        ({"is_system": False, "project_id": "p"}, Role.ADMIN, False),
        ({"is_system": False, "project_id": "p", "is_admin_project": True}, Role.ADMIN, True),
        ({"is_system": False, "project_id": "p", "is_admin_project": True}, Role.READER, False),
        ({"is_system": False, "domain_id": "d"}, Role.ADMIN, False),
        ({"is_system": False}, Role.NONE, False),
    ],
)
def test_a_role_reaches_as_far_as_its_scope(scope: dict, role: Role, reaches: bool):
    actor = Actor(name="eve", role=role, user_id=7, **scope)
    assert actor.is_site_wide is reaches
    if reaches:
        demand(actor, Permission.READ)
    else:
        with pytest.raises(Forbidden, match="whole system"):
            demand(actor, Permission.READ)
