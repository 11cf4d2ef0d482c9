"""Users, groups and projects as clients make, list, change and remove them."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from appliance.services import clouds
from appliance.services.identity import passwords
from tests.appliance.http.keystone.conftest import PASSWORD


def test_a_user_from_birth_to_death(cloud):
    user = cloud.user("bob", email="b@example.org", description="of the lab")
    assert user["links"]["self"] == f"https://localhost:8443/identity/v3/users/{user['id']}"
    assert (user["domain_id"], user["enabled"], user["email"]) == ("default", True, "b@example.org")
    assert user["password_expires_at"] == "2027-02-19T12:00:00.000000"
    assert "password" not in user
    path = f"users/{user['id']}"
    changed = cloud.call("PATCH", path, {"user": {"name": "rob", "email": None, "enabled": False}})[1]["user"]
    assert (changed["name"], changed["enabled"], "email" in changed) == ("rob", False, False)
    assert cloud.call("GET", path)[1]["user"] == changed
    assert cloud.call("DELETE", path)[0] == 204
    assert cloud.call("GET", path)[1]["error"] == {
        "code": 404, "title": "Not Found", "message": f"Could not find user: {user['id']}.",
    }  # fmt: skip


def test_a_user_without_a_password_cannot_log_in(cloud):
    user = cloud.make("user", name="ghost")
    assert user["password_expires_at"] is None
    for password in ("", "None", "null"):
        given = {"user": {"id": user["id"], "password": password}}
        assert cloud.ask_token(["password"], password=given).status_code == 401


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"name": ""},
        {"name": "  "},
        {"name": 5},
        {"name": "x" * 256},
        {"name": "a\0b"},
        {"name": "x", "enabled": "no"},
        {"name": "x", "password": 5},
        {"name": "x", "password": "short"},
        {"name": "x", "password": "x" * 5000},
        {"name": "x", "options": {"unheard_of": True}},
        {"name": "x", "options": {"lock_password": "yes"}},
        {"name": "x", "default_project_id": "default"},
        {"name": "x", **{f"key{n}": n for n in range(70)}},
    ],
)
def test_users_that_cannot_be(cloud, values):
    status, body = cloud.call("POST", "users", {"user": values})
    assert (status, body["error"]["code"]) == (400, 400)
    assert PASSWORD not in str(body)
    assert cloud.call("POST", "users", values)[0] == 400


def test_names_are_taken_once_in_a_domain(cloud):
    domain = cloud.make("domain", name="acme")
    for kind in ("user", "group", "project"):
        cloud.make(kind, name="same")
        status, body = cloud.call("POST", f"{kind}s", {kind: {"name": "same"}})
        assert status == 409
        assert "Duplicate entry found with name same at domain ID default" in body["error"]["message"]
        cloud.make(kind, name="same", domain_id=domain["id"])
        other = cloud.make(kind, name="other")
        assert cloud.call("PATCH", f"{kind}s/{other['id']}", {kind: {"name": "same"}})[0] == 409


def test_lists_are_filtered_and_paged(cloud):
    for name in ("ann", "bob", "Bobby", "zoe"):
        cloud.user(name, enabled=name != "zoe")

    def names(query):
        body = cloud.call("GET", f"users?{query}")[1]
        assert body["links"]["self"].endswith("/v3/users")
        return [user["name"] for user in body["users"] if user["name"] != "user-admin"]

    assert set(names("")) == {"ann", "bob", "Bobby", "zoe"}
    assert names("name=bob") == ["bob"]
    assert names("name__contains=ob") == ["Bobby", "bob"]
    assert names("name__istartswith=BOB") == ["Bobby", "bob"]
    assert names("name__contains=%25") == []
    assert names("enabled=false") == ["zoe"]
    assert set(names("enabled=True")) == {"ann", "bob", "Bobby"}
    assert names("domain_id=nowhere") == []
    body = cloud.call("GET", "users?limit=2")[1]
    seen = [user["name"] for user in body["users"]]
    while url := body["links"]["next"]:
        assert url.startswith("https://localhost:8443/identity/v3/users?limit=2&marker=")
        body = cloud.call("GET", url.partition("/v3/")[2])[1]
        seen += [user["name"] for user in body["users"]]
    assert len(seen) == len(set(seen)) == 5
    assert cloud.call("GET", "users?limit=x")[0] == 400
    assert cloud.call("GET", "users?marker=nobody")[0] == 400


def test_changing_ones_own_password(cloud):
    user = cloud.user("bob")
    path = f"/identity/v3/users/{user['id']}/password"

    def change(old, new):
        body = {"user": {"original_password": old, "password": new}}
        return cloud.client.post(path, json=body).status_code

    assert change("wrong", "another-horse") == 401
    assert change(PASSWORD, PASSWORD) == 400
    assert change(PASSWORD, "short") == 400
    assert change(PASSWORD, "another-horse") == 204
    cloud.log_in(user, password="another-horse")
    assert cloud.client.post(path, json={"user": {}}).status_code == 400
    nobody = {"user": {"original_password": "x", "password": "another-horse"}}
    assert cloud.client.post("/identity/v3/users/nobody/password", json=nobody).status_code == 401


def test_the_last_five_passwords_are_not_taken_again(cloud):
    user = cloud.user("bob")
    taken = [PASSWORD]

    def change(new):
        body = {"user": {"original_password": taken[-1], "password": new}}
        return cloud.client.post(f"/identity/v3/users/{user['id']}/password", json=body)

    for number in range(5):
        cloud.appliance.now += timedelta(minutes=1)
        refused = change(taken[0])
        assert refused.status_code == 400
        assert change(f"password-{number}").status_code == 204
        taken.append(f"password-{number}")
    assert change(PASSWORD).status_code == 204


def test_groups(cloud):
    group, user = cloud.make("group", name="crew", description="of the ship"), cloud.user("bob")
    path = f"groups/{group['id']}/users/{user['id']}"
    assert cloud.call("GET", path)[0] == 404
    assert cloud.call("PUT", path)[0] == 204
    assert cloud.send("HEAD", path).status_code == 204
    assert [one["id"] for one in cloud.call("GET", f"groups/{group['id']}/users")[1]["users"]] == [user["id"]]
    assert [one["name"] for one in cloud.call("GET", f"users/{user['id']}/groups")[1]["groups"]] == ["crew"]
    assert cloud.call("DELETE", path)[0] == 204
    assert cloud.call("DELETE", path)[0] == 404
    changed = cloud.call("PATCH", f"groups/{group['id']}", {"group": {"description": "none"}})[1]["group"]
    assert (changed["name"], changed["description"]) == ("crew", "none")
    assert cloud.call("DELETE", f"groups/{group['id']}")[0] == 204


def test_projects_are_a_tree(cloud):
    top = cloud.make("project", name="top")
    assert (top["parent_id"], top["is_domain"], top["tags"]) == ("default", False, [])
    below = [top]
    for name in ("two", "three", "four", "five"):
        below.append(cloud.make("project", name=name, parent_id=below[-1]["id"]))
    deep = cloud.call("POST", "projects", {"project": {"name": "six", "parent_id": below[-1]["id"]}})
    assert deep[0] == 403
    shown = cloud.call("GET", f"projects/{below[1]['id']}?parents_as_ids&subtree_as_ids")[1]["project"]
    assert shown["parents"] == {top["id"]: {"default": None}}
    assert shown["subtree"] == {below[2]["id"]: {below[3]["id"]: {below[4]["id"]: None}}}
    listed = cloud.call("GET", f"projects/{below[3]['id']}?parents_as_list&subtree_as_list")[1]["project"]
    assert {one["project"]["name"] for one in listed["parents"]} == {"top", "two", "three"}
    assert [one["project"]["name"] for one in listed["subtree"]] == ["five"]
    assert [one["name"] for one in cloud.call("GET", f"projects?parent_id={top['id']}")[1]["projects"]] == ["two"]
    assert cloud.call("DELETE", f"projects/{top['id']}")[0] == 403
    assert cloud.call("PATCH", f"projects/{top['id']}", {"project": {"enabled": False}})[0] == 403
    assert cloud.call("PATCH", f"projects/{below[2]['id']}", {"project": {"parent_id": "default"}})[0] == 400
    for one in reversed(below):
        assert cloud.call("PATCH", f"projects/{one['id']}", {"project": {"enabled": False}})[0] == 200
    assert cloud.call("PATCH", f"projects/{below[4]['id']}", {"project": {"enabled": True}})[0] == 403
    assert cloud.call("POST", "projects", {"project": {"name": "x", "parent_id": top["id"]}})[0] == 403
    for one in reversed(below):
        assert cloud.call("DELETE", f"projects/{one['id']}")[0] == 204


def test_tags(cloud):
    project = cloud.make("project", name="lab", tags=["a"])
    path = f"projects/{project['id']}/tags"
    assert cloud.call("PUT", f"{path}/b")[0] == 201
    assert cloud.call("GET", path)[1]["tags"] == ["a", "b"]
    assert cloud.call("GET", f"{path}/b")[0] == 204
    assert cloud.call("DELETE", f"{path}/a")[0] == 204
    assert cloud.call("GET", f"{path}/a")[0] == 404
    assert cloud.call("PUT", path, {"tags": ["x", "y"]})[1]["tags"] == ["x", "y"]
    for query, is_found in [
        ("tags=x", True), ("tags=x,z", False), ("tags-any=x,z", True), ("not-tags=x,y", False), ("not-tags-any=z", True)
    ]:  # fmt: skip
        assert bool(cloud.call("GET", f"projects?name=lab&{query}")[1]["projects"]) is is_found, query
    for bad in (["a,b"], ["a/b"], [""], ["a", "a"], [str(n) for n in range(81)], "a", [5]):
        assert cloud.call("PUT", path, {"tags": bad})[0] == 400
    assert cloud.call("PUT", path, {})[0] == 400
    assert cloud.call("GET", path)[1]["tags"] == ["x", "y"]
    assert cloud.call("PUT", f"{path}/two%0Alines")[0] == 201
    assert cloud.call("GET", path)[1]["tags"] == ["x", "y", "two\nlines"]
    assert cloud.call("DELETE", path)[0] == 204
    assert cloud.call("GET", path)[1]["tags"] == []


def test_domains(cloud):
    domain = cloud.make("domain", name="acme", description="d")
    where = domain["id"]
    user, project = cloud.user("bob", domain_id=where), cloud.make("project", name="anvil", domain_id=where)
    cloud.give(f"projects/{project['id']}", user, "member")
    as_project = cloud.call("GET", f"projects/{where}")[1]["project"]
    assert (as_project["is_domain"], as_project["domain_id"], as_project["parent_id"]) == (True, None, None)
    assert [one["id"] for one in cloud.call("GET", "projects?is_domain=true&name=acme")[1]["projects"]] == [where]
    assert cloud.call("POST", "domains", {"domain": {"name": "acme"}})[0] == 409
    assert cloud.call("DELETE", f"domains/{where}")[0] == 403
    cloud.call("PATCH", f"domains/{where}", {"domain": {"enabled": False}})
    assert cloud.call("DELETE", f"domains/{where}")[0] == 204
    for path in (f"users/{user['id']}", f"projects/{project['id']}", f"domains/{where}"):
        assert cloud.call("GET", path)[0] == 404
    assert cloud.call("DELETE", "domains/default")[0] == 403
    made = cloud.make("project", name="other", is_domain=True)
    assert cloud.call("GET", f"domains/{made['id']}")[1]["domain"]["name"] == "other"


def test_what_is_immutable_is_opened_first(cloud):
    project = cloud.make("project", name="rock", options={"immutable": True})
    path = f"projects/{project['id']}"
    assert cloud.call("PATCH", path, {"project": {"name": "sand"}})[0] == 403
    assert cloud.call("DELETE", path)[0] == 403
    assert cloud.call("PATCH", path, {"project": {"options": {"immutable": False}}})[0] == 200
    assert cloud.call("DELETE", path)[0] == 204


def test_ids_and_domains_do_not_change(cloud):
    user, project, group = cloud.user("bob"), cloud.make("project", name="lab"), cloud.make("group", name="g")
    for kind, one in (("user", user), ("project", project), ("group", group)):
        path = f"{kind}s/{one['id']}"
        assert cloud.call("PATCH", path, {kind: {"id": "x"}})[0] == 400
        assert cloud.call("PATCH", path, {kind: {"domain_id": "x"}})[0] == 400
        assert cloud.call("PATCH", path, {kind: {"domain_id": "default", "id": one["id"]}})[0] == 200


def test_nothing_is_hashed_for_who_may_not_set_a_password(cloud, monkeypatch):
    project, victim = cloud.make("project", name="lab"), cloud.user("victim")
    bob, token = cloud.member("bob", project, "admin")

    def no_hashing(_password):
        raise AssertionError("hashed for somebody who may not have it done")

    monkeypatch.setattr(passwords, "hash_password", no_hashing)
    given = {"user": {"name": "eve", "password": PASSWORD}}
    assert cloud.call("POST", "users", given, token=token)[0] == 403
    for user in (victim, bob):
        assert cloud.call("PATCH", f"users/{user['id']}", given, token=token)[0] == 403
    assert cloud.call("PATCH", "users/nobody", given)[0] == 404
    assert cloud.call("POST", "users", {"user": {**given["user"], "domain_id": "nowhere"}})[0] == 404


def test_hashing_holds_no_transaction(cloud, monkeypatch):
    real, user = passwords.hash_password, cloud.user("bob")

    def while_others_write(password):
        with cloud.appliance.database.write() as session:
            session.execute(text("SELECT 1"))
        return real(password)

    monkeypatch.setattr(passwords, "hash_password", while_others_write)
    given = {"user": {"password": "another horse"}}
    assert cloud.call("PATCH", f"users/{user['id']}", given)[0] == 200
    assert cloud.call("POST", "users", {"user": {"name": "eve", "password": PASSWORD}})[0] == 201


def test_guessing_by_change_of_password_rests_the_account(cloud):
    user = cloud.user("bob")
    path = f"users/{user['id']}/password"
    for _ in range(5):
        given = {"user": {"original_password": "wrong", "password": "another horse"}}
        assert cloud.call("POST", path, given, token="")[0] == 401
    given["user"]["original_password"] = PASSWORD
    assert cloud.call("POST", path, given, token="")[0] == 401


def test_clouds_yaml_follows_whoever_changes_the_password(cloud):
    state = cloud.appliance.context.state
    clouds.write(state, "https://127.0.0.1:8443", "bob", PASSWORD)
    user = cloud.user("bob")
    first, second = "first horse", "second horse"
    given = {"user": {"original_password": PASSWORD, "password": first}}
    assert cloud.call("POST", f"users/{user['id']}/password", given, token="")[0] == 204
    assert {one.password for one in clouds.logins(state)} == {first}
    namesake = cloud.user("bob", domain_id=cloud.make("domain", name="acme")["id"])
    for one, kept in ((namesake, first), (user, second)):
        assert cloud.call("PATCH", f"users/{one['id']}", {"user": {"password": second}})[0] == 200
        assert {login.password for login in clouds.logins(state)} == {kept}


def test_further_attributes_are_bounded_however_slowly_they_come(cloud):
    user = cloud.user("bob")
    path = f"users/{user['id']}"
    assert cloud.call("PATCH", path, {"user": {f"a{n}": n for n in range(60)}})[0] == 200
    assert cloud.call("PATCH", path, {"user": {f"b{n}": n for n in range(60)}})[0] == 400
    assert cloud.call("PATCH", path, {"user": {"a1": "x" * 70_000}})[0] == 400
    assert cloud.call("PATCH", path, {"user": {f"a{n}": None for n in range(60)}})[0] == 200
    assert cloud.call("PATCH", path, {"user": {f"b{n}": n for n in range(60)}})[0] == 200


@pytest.mark.parametrize("kind", ["user", "group", "project"])
@pytest.mark.parametrize("domain", [{}, [], 0, False, ["default"], 5])
def test_a_domain_that_is_no_id_is_not_taken_for_none(cloud, kind, domain):
    status, body = cloud.call("POST", f"{kind}s", {kind: {"name": "x", "domain_id": domain}})
    assert (status, "domain_id" in body["error"]["message"]) == (400, True)
