import pytest

from appliance.domain.access import Actor, Permission, Role, demand, implies, may
from appliance.domain.errors import Forbidden

EXPECTED = {
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
    assert implies(Role.READER) == {Role.READER}


def test_a_refusal_says_who_needs_what():
    with pytest.raises(Forbidden) as caught:
        demand(Actor(name="eve", role=Role.READER, user_id=7), Permission.CONFIGURE)
    assert caught.value.message == "this needs the role admin"
    assert caught.value.why == "eve is reader"
