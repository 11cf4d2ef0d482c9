"""Who may do what: nobody reaches beyond their scope, nobody hands on more than they have."""

import pytest


@pytest.fixture
def acme(cloud):
    """A domain with a project, a manager, an admin, a reader and an ordinary user; tokens of the first three."""
    domain = cloud.make("domain", name="acme")
    where = domain["id"]
    made = {"domain": domain, "project": cloud.make("project", name="anvil", domain_id=where)}
    for name in ("manager", "admin", "reader"):
        user = made[f"{name}_user"] = cloud.user(name, domain_id=where)
        assert cloud.give(f"domains/{where}", user, name) == 204
        made[name] = cloud.log_in(user, {"domain": {"id": where}})
    made["user"] = cloud.user("worker", domain_id=where)
    return made


def status(cloud, method, path, body=None, *, token):
    return cloud.call(method, path, body, token=token)[0]


def test_a_system_reader_sees_all_and_changes_nothing(cloud):
    eve = cloud.user("eve")
    cloud.give("system", eve, "reader")
    token = cloud.log_in(eve, {"system": {"all": True}})
    admin = cloud.call("GET", "users?name=user-admin")[1]["users"][0]
    for path in (
        "users", f"users/{admin['id']}", "projects", "domains", "groups", "roles", "role_assignments", "services",
        "endpoints", "regions", "role_inferences", f"system/users/{admin['id']}/roles",
    ):  # fmt: skip
        assert status(cloud, "GET", path, token=token) == 200, path
    for kind in ("user", "project", "domain", "group", "role", "service", "endpoint", "region"):
        answer = cloud.call("POST", f"{kind}s", {kind: {"name": "x", "type": "y"}}, token=token)
        assert answer[0] == 403
        assert answer[1]["error"]["message"].startswith("You are not authorized to perform the requested action")
    assert status(cloud, "PATCH", f"users/{admin['id']}", {"user": {"enabled": False}}, token=token) == 403
    assert cloud.give("system", eve, "admin", token=token) == 403


@pytest.mark.parametrize("role", ["reader", "member", "manager", "admin"])
def test_a_role_on_a_project_reaches_no_further_than_it(cloud, role):
    project, other = cloud.make("project", name="lab"), cloud.make("project", name="other")
    user, token = cloud.member("bob", project, role)
    assert status(cloud, "GET", f"projects/{project['id']}", token=token) == 200
    assert status(cloud, "GET", f"users/{user['id']}", token=token) == 200
    assert status(cloud, "GET", f"users/{user['id']}/projects", token=token) == 200
    for path in ("users", "projects", "domains", "groups", "roles", "role_assignments", "services", "endpoints",
                 f"projects/{other['id']}", "projects/nothing", "users/nothing"):  # fmt: skip
        assert status(cloud, "GET", path, token=token) == 403, path
    assert cloud.give(f"projects/{project['id']}", user, "reader", token=token) == 403
    assert cloud.give("system", user, "admin", token=token) == 403
    assert status(cloud, "PATCH", f"users/{user['id']}", {"user": {"enabled": True}}, token=token) == 403


def test_only_who_may_see_a_thing_learns_that_there_is_none(cloud, acme):
    for path in ("users/x", "projects/x", "groups/x", "domains/x", "roles/x"):
        assert status(cloud, "GET", path, token=cloud.token) == 404
        assert status(cloud, "GET", path, token=acme["manager"]) == 403


def test_a_domains_reader_sees_the_domain_only(cloud, acme):
    token, own = acme["reader"], acme["domain"]["id"]
    assert {one["domain_id"] for one in cloud.call("GET", "users", token=token)[1]["users"]} == {own}
    assert [one["name"] for one in cloud.call("GET", "projects", token=token)[1]["projects"]] == ["anvil"]
    assert [one["id"] for one in cloud.call("GET", "domains", token=token)[1]["domains"]] == [own]
    found = cloud.call("GET", "role_assignments", token=token)[1]["role_assignments"]
    assert {one["scope"]["domain"]["id"] for one in found} == {own}
    assert status(cloud, "POST", "users", {"user": {"name": "x", "domain_id": own}}, token=token) == 403


def test_a_marker_does_not_tell_where_a_stranger_sorts(cloud, acme):
    """By pages that begin behind somebody of another domain, their name could be found out letter by letter."""
    stranger = cloud.user("stranger")
    unseen = cloud.call("GET", f"users?limit=1&marker={stranger['id']}", token=acme["manager"])
    assert (unseen[0], unseen[1]["error"]["message"]) == (400, f"Marker {stranger['id']} could not be found.")
    own = cloud.call("GET", f"users?limit=1&marker={acme['user']['id']}", token=acme["manager"])
    assert own[0] == 200


def test_a_domains_manager_manages_the_domain_only(cloud, acme):
    token, own = acme["manager"], acme["domain"]["id"]
    user = cloud.user("new", domain_id=own, token=token)
    project = cloud.make("project", name="tongs", domain_id=own, token=token)
    group = cloud.make("group", name="smiths", token=token)
    assert group["domain_id"] == own
    assert status(cloud, "PUT", f"groups/{group['id']}/users/{user['id']}", token=token) == 204
    assert cloud.give(f"projects/{project['id']}", user, "member", token=token) == 204
    assert cloud.give(f"domains/{own}", user, "reader", token=token) == 204
    assert status(cloud, "PATCH", f"users/{user['id']}", {"user": {"enabled": False}}, token=token) == 200
    assert status(cloud, "DELETE", f"users/{user['id']}", token=token) == 204
    for kind in ("user", "project", "group"):
        body = {kind: {"name": "x", "domain_id": "default"}}
        assert status(cloud, "POST", f"{kind}s", body, token=token) == 403
    assert status(cloud, "PATCH", f"domains/{own}", {"domain": {"enabled": False}}, token=token) == 403


def test_a_manager_cannot_hand_on_what_a_manager_lacks(cloud, acme):
    token, own, worker = acme["manager"], acme["domain"]["id"], acme["user"]
    for place in (f"domains/{own}", f"projects/{acme['project']['id']}", "system", "domains/default"):
        assert cloud.give(place, worker, "admin", token=token) == 403
    assert cloud.give("system", worker, "reader", token=token) == 403
    custom = cloud.make("role", name="custom")
    path = f"domains/{own}/users/{worker['id']}/roles/{custom['id']}"
    assert status(cloud, "PUT", path, token=token) == 403
    assert status(cloud, "PUT", f"roles/{custom['id']}/implies/{cloud.role('manager')}", token=token) == 403
    assert status(cloud, "GET", "roles", token=token) == 200
    assert status(cloud, "GET", "roles?domain_id=default", token=token) == 403
    stranger = cloud.user("stranger")
    assert cloud.give(f"domains/{own}", stranger, "reader", token=token) == 403


def test_a_manager_cannot_take_over_somebody_who_has_more(cloud, acme):
    own = acme["domain"]["id"]
    reset = {"user": {"password": "mine-from-now-on"}}
    root = cloud.user("root", domain_id=own)
    cloud.give("system", root, "reader")
    targets = [root, acme["admin_user"]]
    crew = cloud.make("group", name="crew", domain_id=own)
    cloud.call("PUT", f"domains/default/groups/{crew['id']}/roles/{cloud.role('reader')}")
    sailor = cloud.user("sailor", domain_id=own)
    cloud.call("PUT", f"groups/{crew['id']}/users/{sailor['id']}")
    for user in [*targets, sailor]:
        assert status(cloud, "PATCH", f"users/{user['id']}", reset, token=acme["manager"]) == 403
        assert status(cloud, "DELETE", f"users/{user['id']}", token=acme["manager"]) == 403
    join = f"groups/{crew['id']}/users/{acme['user']['id']}"
    assert status(cloud, "PUT", join, token=acme["manager"]) == 403
    assert status(cloud, "PATCH", f"users/{acme['user']['id']}", reset, token=acme["manager"]) == 200


def test_a_domains_admin_administers_the_domain_and_hands_admin_on_inside(cloud, acme):
    token, own = acme["admin"], acme["domain"]["id"]
    assert cloud.give(f"projects/{acme['project']['id']}", acme["user"], "admin", token=token) == 204
    assert cloud.give("system", acme["user"], "admin", token=token) == 403
    assert status(cloud, "POST", "domains", {"domain": {"name": "x"}}, token=token) == 403
    assert status(cloud, "POST", "roles", {"role": {"name": "x"}}, token=token) == 403
    assert status(cloud, "GET", "users?domain_id=default", token=token) == 200
    assert cloud.call("GET", "users?domain_id=default", token=token)[1]["users"] == []
    assert cloud.call("GET", f"domains/{own}", token=token)[0] == 200


def test_the_admin_of_domain_default_comes_no_way_to_the_whole_site(cloud):
    eve = cloud.user("eve")
    cloud.give("domains/default", eve, "admin")
    token = cloud.log_in(eve, {"domain": {"id": "default"}})
    (project,) = cloud.call("GET", "projects?name=admin")[1]["projects"]
    admin = cloud.call("GET", "users?name=user-admin")[1]["users"][0]
    assert cloud.give(f"projects/{project['id']}", eve, "admin", token=token) == 403
    assert cloud.give("domains/default", eve, "admin", token=token, inherited=True) == 403
    assert cloud.give("domains/default", eve, "reader", token=token, inherited=True) == 204
    assert status(cloud, "PATCH", f"users/{admin['id']}", {"user": {"password": "x" * 9}}, token=token) == 403
    assert status(cloud, "PATCH", f"projects/{project['id']}", {"project": {"name": "x"}}, token=token) == 403
    assert status(cloud, "DELETE", f"projects/{project['id']}", token=token) == 403
    assert status(cloud, "PUT", f"projects/{project['id']}/tags/x", token=token) == 403
    ann = cloud.user("ann")
    cloud.give("domains/default", ann, "admin", inherited=True)
    assert status(cloud, "PATCH", f"users/{ann['id']}", {"user": {"password": "x" * 9}}, token=token) == 403


def test_the_last_administrator_stays(cloud):
    (admin,) = cloud.call("GET", "users?name=user-admin")[1]["users"]
    for method, path, body in [
        ("PATCH", f"users/{admin['id']}", {"user": {"enabled": False}}),
        ("DELETE", f"users/{admin['id']}", None),
        ("DELETE", f"system/users/{admin['id']}/roles/{cloud.role('admin')}", None),
        ("PATCH", "domains/default", {"domain": {"enabled": False}}),
    ]:
        answer = cloud.call(method, path, body)
        assert answer[0] == 409, path
        assert "administers" in answer[1]["error"]["message"]
    assert cloud.call("DELETE", f"roles/{cloud.role('admin')}")[0] == 403


def test_everybody_sees_regions_and_themselves(cloud):
    user = cloud.user("bob")
    token = cloud.log_in(user)
    assert status(cloud, "GET", "regions", token=token) == 200
    assert status(cloud, "GET", f"users/{user['id']}", token=token) == 200
    assert status(cloud, "GET", f"users/{user['id']}/groups", token=token) == 200
    assert status(cloud, "GET", "services", token=token) == 403


def test_every_change_is_on_record_and_no_refusal_nor_look_is(cloud):
    user = cloud.user("bob")
    cloud.call("GET", f"users/{user['id']}")
    cloud.call("DELETE", "users/nobody")
    cloud.call("PATCH", f"users/{user['id']}", {"user": {"password": "canary-of-a-password"}})
    events = cloud.client.get("/v1/events", headers={"X-Auth-Token": cloud.token}).get_json()["items"]
    assert [event["message"].partition(": ")[2] for event in events] == ["POST /users", f"PATCH /users/{user['id']}"]
    assert {event["actor"] for event in events} == {"user-admin"}
    assert "canary" not in str(events)
