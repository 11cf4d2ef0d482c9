"""Rule documents that are kept for other services."""

import pytest

from appliance.domain.access import Role
from appliance.http.keystone import policies

RULES = '{"admin": "role:admin"}'


def test_a_policy_from_birth_to_death(cloud):
    made = cloud.call("POST", "policies", {"policy": {"blob": RULES, "type": "application/json", "owner": "nova"}})
    assert made[0] == 201
    policy = made[1]["policy"]
    assert (policy["blob"], policy["type"], policy["owner"]) == (RULES, "application/json", "nova")
    path = f"policies/{policy['id']}"
    assert policy["links"]["self"].endswith(f"/v3/{path}")
    assert cloud.call("GET", path)[1]["policy"] == policy
    assert cloud.call("PATCH", path, {"policy": {"type": "text/json"}})[1]["policy"] == policy | {"type": "text/json"}
    assert cloud.call("GET", "policies?type=text/json")[1]["policies"] == [policy | {"type": "text/json"}]
    assert cloud.call("GET", "policies?type=other")[1]["policies"] == []
    assert cloud.call("PATCH", path, {"policy": {"id": "other"}})[0] == 400
    assert cloud.call("DELETE", path)[0] == 204
    assert cloud.call("GET", path)[0] == cloud.call("DELETE", path)[0] == 404


@pytest.mark.parametrize(
    "values",
    [{}, {"blob": "x"}, {"type": "x"}, {"blob": None, "type": "x"}, {"blob": {"a": 1}, "type": "x"},
     {"blob": "x" * 65_536, "type": "x"}, {"blob": "x", "type": "x" * 256}, {"blob": "a\0b", "type": "x"}],
)  # fmt: skip
def test_policies_that_cannot_be(cloud, values):
    assert cloud.call("POST", "policies", {"policy": values})[0] == 400


def test_there_are_only_so_many(cloud, monkeypatch):
    monkeypatch.setattr(policies, "MOST", 1)
    assert cloud.call("POST", "policies", {"policy": {"blob": RULES, "type": "x"}})[0] == 201
    assert cloud.call("POST", "policies", {"policy": {"blob": RULES, "type": "x"}})[0] == 403


def test_only_the_sites_admin_writes_and_only_its_readers_read(cloud):
    reader = cloud.appliance.token(Role.READER)
    _user, tenant = cloud.member("bob", cloud.make("project", name="lab"), "admin")
    body = {"policy": {"blob": RULES, "type": "x"}}
    path = f"policies/{cloud.call('POST', 'policies', body)[1]['policy']['id']}"
    for method in ("GET", "PATCH", "DELETE"):
        assert cloud.call(method, path, body if method == "PATCH" else None, token=tenant)[0] == 403
    assert (
        cloud.call("GET", "policies", token=tenant)[0] == cloud.call("POST", "policies", body, token=tenant)[0] == 403
    )
    assert cloud.call("GET", path, token=reader)[0] == 200
    assert cloud.call("DELETE", path, token=reader)[0] == cloud.call("PATCH", path, body, token=reader)[0] == 403
