import pytest

from appliance.domain.access import Actor, Role
from appliance.domain.errors import Forbidden
from appliance.http.ironic import policy


def actor(role, *, project=None, is_system=False):
    return Actor(name="u", role=Role(role), user_id=1, is_system=is_system, project_id=project)


@pytest.mark.parametrize(
    ("who", "rule", "expected"),
    [
        (actor("reader", is_system=True), policy.PROJECT_READER, True),
        (actor("reader", is_system=True), policy.SYSTEM_MEMBER, False),
        (actor("member", is_system=True), policy.SYSTEM_MEMBER, True),
        (actor("admin", is_system=True), policy.SYSTEM_ADMIN, True),
        (actor("admin", project="o"), policy.SYSTEM_READER, False),
        (actor("reader", project="o"), policy.PROJECT_READER, True),
        (actor("reader", project="l"), policy.PROJECT_READER, True),
        (actor("reader", project="l"), policy.OWNER_READER, False),
        (actor("member", project="o"), policy.OWNER_MEMBER_LESSEE_MANAGER, True),
        (actor("member", project="l"), policy.OWNER_MEMBER_LESSEE_MANAGER, False),
        (actor("manager", project="l"), policy.OWNER_MEMBER_LESSEE_MANAGER, True),
        (actor("admin", project="x"), policy.PROJECT_READER, False),
        (actor("admin"), policy.PROJECT_READER, False),
    ],
)
def test_who_may(who, rule, expected):
    assert policy.allows(who, rule, owner="o", lessee="l") is expected


def test_a_thing_of_nobody_is_nobodys_but_the_systems():
    assert not policy.allows(actor("admin", project="p"), policy.PROJECT_READER)
    assert policy.allows(actor("reader", is_system=True), policy.PROJECT_READER)


def test_how_far_an_actor_sees():
    assert policy.project_of(actor("reader", is_system=True)) is None
    assert policy.project_of(actor("admin", project="p")) == "p"
    assert policy.project_of(actor("admin")) == ""


def test_the_refusal_names_the_policy():
    with pytest.raises(Forbidden, match="Access was denied to the following resource: baremetal:node:create"):
        policy.demand(actor("member", project="p"), policy.SYSTEM_ADMIN, "baremetal:node:create")
