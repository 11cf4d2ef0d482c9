"""Roles, giving them in each place, and the list of who holds what."""

import itertools
import time

import pytest
from sqlalchemy import insert

from appliance.models.grant import Assignment
from appliance.models.identity import Project, User
from tests.fakes.rack import NOW


@pytest.fixture
def stage(cloud):
    """A project below another, a user, and a group with the user in it."""
    top = cloud.make("project", name="top")
    low = cloud.make("project", name="low", parent_id=top["id"])
    user, group = cloud.user("bob"), cloud.make("group", name="crew")
    assert cloud.call("PUT", f"groups/{group['id']}/users/{user['id']}")[0] == 204
    return {"top": top, "low": low, "user": user, "group": group}


def assigned(cloud, query):
    status, body = cloud.call("GET", f"role_assignments?{query}")
    assert status == 200, body
    return body["role_assignments"]


def test_every_place_gives_shows_lists_and_takes(cloud, stage):
    role = cloud.role("member")
    places = [f"projects/{stage['top']['id']}", "domains/default", "system"]
    actors = [f"users/{stage['user']['id']}", f"groups/{stage['group']['id']}"]
    for place, actor in itertools.product(places, actors):
        forms = [(f"{place}/{actor}/roles", "")]
        if place != "system":
            forms.append((f"OS-INHERIT/{place}/{actor}/roles", "/inherited_to_projects"))
        for base, suffix in forms:
            one = f"{base}/{role}{suffix}"
            assert cloud.call("GET", one)[0] == 404
            assert cloud.call("PUT", one)[0] == 204
            assert cloud.call("PUT", one)[0] == 204
            assert cloud.send("HEAD", one).status_code == 204
            assert [row["name"] for row in cloud.call("GET", f"{base}{suffix}")[1]["roles"]] == ["member"]
            assert cloud.call("DELETE", one)[0] == 204
            assert cloud.call("DELETE", one)[0] == 404


def test_what_is_not_there_is_said(cloud, stage):
    role, user, top = cloud.role("member"), stage["user"]["id"], stage["top"]["id"]
    for path in (f"projects/x/users/{user}/roles/{role}", f"projects/{top}/users/x/roles/{role}",
                 f"projects/{top}/users/{user}/roles/x", f"projects/{top}/groups/x/roles/{role}",
                 f"domains/x/users/{user}/roles/{role}", f"system/users/x/roles/{role}"):  # fmt: skip
        assert cloud.call("PUT", path)[0] == 404, path
        assert cloud.call("GET", path)[0] == 404, path


def test_assignments_as_they_were_given(cloud, stage):
    top, user, group = stage["top"]["id"], stage["user"]["id"], stage["group"]["id"]
    cloud.give(f"projects/{top}", stage["user"], "member")
    cloud.give(f"projects/{top}", stage["user"], "reader", inherited=True)
    cloud.call("PUT", f"domains/default/groups/{group}/roles/{cloud.role('manager')}")
    cloud.give("system", stage["user"], "reader")
    of_user = assigned(cloud, f"user.id={user}&include_names")
    assert {(tuple(one["scope"]), one["role"]["name"]) for one in of_user} == {
        (("project",), "member"), (("project", "OS-INHERIT:inherited_to"), "reader"), (("system",), "reader"),
    }  # fmt: skip
    assert of_user[0]["user"] == {"id": user, "name": "bob", "domain": {"id": "default", "name": "Default"}}
    assert of_user[0]["scope"]["project"]["name"] == "top"
    links = {one["links"]["assignment"].partition("/v3/")[2] for one in of_user}
    assert f"projects/{top}/users/{user}/roles/{cloud.role('member')}" in links
    assert len(assigned(cloud, f"scope.project.id={top}")) == 2
    assert len(assigned(cloud, f"group.id={group}&scope.domain.id=default")) == 1
    assert len(assigned(cloud, f"user.id={user}&scope.system=all")) == 1
    assert len(assigned(cloud, f"user.id={user}&scope.OS-INHERIT:inherited_to=projects")) == 1
    assert assigned(cloud, f"user.id={user}&role.id={cloud.role('admin')}") == []
    for link in links:
        assert cloud.call("DELETE", link)[0] == 204


def test_assignments_as_they_work_out(cloud, stage):
    top, low, user, group = (stage[key]["id"] for key in ("top", "low", "user", "group"))
    cloud.call("PUT", f"OS-INHERIT/projects/{top}/groups/{group}/roles/{cloud.role('member')}/inherited_to_projects")
    assert assigned(cloud, f"user.id={user}") == []
    found = assigned(cloud, f"user.id={user}&effective&include_names")
    assert {(one["scope"]["project"]["id"], one["role"]["name"]) for one in found} == {(low, "member"), (low, "reader")}
    by_name = {one["role"]["name"]: one["links"] for one in found}
    assert by_name["member"]["membership"].endswith(f"/v3/groups/{group}/users/{user}")
    assert by_name["member"]["assignment"].partition("/v3/")[2] == (
        f"OS-INHERIT/projects/{top}/groups/{group}/roles/{cloud.role('member')}/inherited_to_projects"
    )
    assert "prior_role" in by_name["reader"]
    assert len(assigned(cloud, f"scope.project.id={low}&effective")) == 2
    assert len(assigned(cloud, f"user.id={user}&effective&scope.OS-INHERIT:inherited_to=projects")) == 2
    assert assigned(cloud, f"user.id={user}&effective&scope.OS-INHERIT:inherited_to=none") == []
    assert len(assigned(cloud, f"role.id={cloud.role('reader')}&user.id={user}&effective")) == 1
    assert assigned(cloud, f"user.id={user}&effective&scope.system=all") == []
    assert assigned(cloud, f"user.id={user}&effective&scope.domain.id=default") == []
    assert assigned(cloud, f"scope.project.id={top}&effective") == []
    assert len(assigned(cloud, f"scope.project.id={top}&effective&include_subtree")) == 2


def test_a_domains_list_is_cut_after_what_is_not_its_own(cloud, stage):
    for role in ("reader", "member", "manager"):
        cloud.give(f"projects/{stage['top']['id']}", stage["user"], role)
    domain = cloud.make("domain", name="acme")
    project = cloud.make("project", name="anvil", domain_id=domain["id"])
    boss = cloud.user("boss", domain_id=domain["id"])
    cloud.give(f"domains/{domain['id']}", boss, "reader")
    cloud.give(f"projects/{project['id']}", boss, "reader")
    cloud.give(f"domains/{domain['id']}", boss, "reader", inherited=True)
    token = cloud.log_in(boss, {"domain": {"id": domain["id"]}})
    for query, count in (("limit=2", 2), ("limit=3", 3), ("effective", 3), ("scope.domain.id=default", 0),
                         (f"scope.project.id={stage['top']['id']}&include_subtree&effective", 0),
                         ("scope.system=all", 0)):  # fmt: skip
        status, body = cloud.call("GET", f"role_assignments?{query}", token=token)
        assert (status, len(body["role_assignments"])) == (200, count), query
        assert {one["user"]["id"] for one in body["role_assignments"]} <= {boss["id"]}


def test_pages_of_assignments(cloud, stage):
    for role in ("reader", "member", "manager"):
        cloud.give(f"projects/{stage['top']['id']}", stage["user"], role)
    whole = assigned(cloud, "")
    path, found = "role_assignments?limit=2", []
    while path:
        body = cloud.call("GET", path)[1]
        assert len(body["role_assignments"]) <= 2
        found += body["role_assignments"]
        path = (body["links"]["next"] or "").partition("/v3/")[2]
    assert found == whole
    assert len(found) >= 4
    assert cloud.call("GET", "role_assignments?marker=x")[0] == 400
    body = cloud.call("GET", "role_assignments?effective&limit=1")[1]
    assert (len(body["role_assignments"]), body["truncated"], body["links"]["next"]) == (1, True, None)


@pytest.fixture
def crowd(cloud):
    """10,000 assignments: everybody inherits from the domain onto every project, and holds a role on one."""
    places = [{"id": f"p{n}", "name": f"p{n}", "domain_id": "default", "tags": [], "options": {}, "extra": {}}
              for n in range(100)]  # fmt: skip
    people = [{"uuid": f"u{n}", "name": f"u{n}", "password_set_at": NOW, "created_at": NOW, "options": {}, "extra": {}}
              for n in range(5000)]  # fmt: skip
    common = {"actor_kind": "user", "role_id": cloud.role("member")}
    above = {**common, "target_kind": "domain", "target_id": "default", "is_inherited": True}
    given = [{**above, "actor_id": f"u{n}"} for n in range(5000)]
    direct = {**common, "target_kind": "project", "is_inherited": False}
    given += [{**direct, "actor_id": f"u{n}", "target_id": f"p{n % 100}"} for n in range(5000)]
    with cloud.appliance.database.write() as session:
        for kind, rows in ((Project, places), (User, people), (Assignment, given)):
            session.execute(insert(kind), rows)


def test_ten_thousand_assignments_cost_a_page(cloud, crowd):
    """Worked out they are a million; each question is answered in the time of its page."""
    begin = time.thread_time()
    assert len(assigned(cloud, "user.id=u7&effective&include_names")) == (101 + 1) * 2
    assert len(assigned(cloud, f"user.id=u7&role.id={cloud.role('member')}&effective")) == 102
    assert len(assigned(cloud, "scope.project.id=p7&user.id=u7&effective")) == 4
    assert len(assigned(cloud, "scope.project.id=p7")) == 50
    body = cloud.call("GET", "role_assignments?effective&include_names")[1]
    assert (len(body["role_assignments"]), body["truncated"]) == (10_000, True)
    assert len(assigned(cloud, "include_names")) == 10_000
    spent = time.thread_time() - begin
    assert spent < 15


@pytest.mark.parametrize(
    "query",
    [
        "user.id=a&group.id=b",
        "scope.project.id=a&scope.domain.id=b",
        "scope.project.id=a&scope.system=all",
        "effective&group.id=a",
        "include_subtree",
    ],
)
def test_questions_that_make_no_sense(cloud, query):
    assert cloud.call("GET", f"role_assignments?{query}")[0] == 400


def test_roles(cloud):
    role = cloud.make("role", name="operator", description="of machines")
    assert (role["domain_id"], role["options"]) == (None, {})
    path = f"roles/{role['id']}"
    assert cloud.call("PATCH", path, {"role": {"name": "technician"}})[1]["role"]["name"] == "technician"
    assert cloud.call("POST", "roles", {"role": {"name": "technician"}})[0] == 409
    assert cloud.call("PUT", f"{path}/implies/{cloud.role('reader')}")[0] == 201
    assert cloud.call("GET", f"{path}/implies/{cloud.role('reader')}")[0] == 200
    assert cloud.call("GET", f"{path}/implies/{cloud.role('member')}")[0] == 404
    assert cloud.call("PUT", f"{path}/implies/{cloud.role('admin')}")[0] == 403
    assert cloud.call("PUT", f"roles/{cloud.role('reader')}/implies/{role['id']}")[0] == 409
    implied = cloud.call("GET", f"{path}/implies")[1]["role_inference"]
    assert [one["name"] for one in implied["implies"]] == ["reader"]
    priors = {one["prior_role"]["name"] for one in cloud.call("GET", "role_inferences")[1]["role_inferences"]}
    assert priors == {"admin", "manager", "member", "technician"}
    assert cloud.call("DELETE", f"{path}/implies/{cloud.role('reader')}")[0] == 204
    assert cloud.call("DELETE", path)[0] == 204
    names = [one["name"] for one in cloud.call("GET", "roles")[1]["roles"]]
    assert names == ["admin", "manager", "member", "reader", "service"]


def test_a_role_of_ones_own_opens_nothing_of_ours(cloud):
    project = cloud.make("project", name="lab")
    cloud.make("role", name="custom")
    _user, token = cloud.member("bob", project, "custom")
    shown = cloud.call("GET", "auth/tokens", token=token, X_Subject_Token=token)[1]["token"]
    assert [role["name"] for role in shown["roles"]] == ["custom"]
    assert cloud.client.get("/v1/nodes", headers={"X-Auth-Token": token}).status_code == 403


def test_a_domains_own_role_stands_for_what_it_implies(cloud):
    domain = cloud.make("domain", name="acme")
    project = cloud.make("project", name="anvil", domain_id=domain["id"])
    role = cloud.make("role", name="smith", domain_id=domain["id"])
    assert cloud.call("GET", "roles?name=smith")[1]["roles"] == []
    assert len(cloud.call("GET", f"roles?domain_id={domain['id']}")[1]["roles"]) == 1
    cloud.call("PUT", f"roles/{role['id']}/implies/{cloud.role('member')}")
    user = cloud.user("bob", domain_id=domain["id"])
    assert cloud.call("PUT", f"projects/{project['id']}/users/{user['id']}/roles/{role['id']}")[0] == 204
    token = cloud.log_in(user, {"project": {"id": project["id"]}})
    shown = cloud.call("GET", "auth/tokens", token=token, X_Subject_Token=token)[1]["token"]
    assert [one["name"] for one in shown["roles"]] == ["member", "reader"]
    other = cloud.make("project", name="elsewhere")
    assert cloud.call("PUT", f"projects/{other['id']}/users/{user['id']}/roles/{role['id']}")[0] == 403
