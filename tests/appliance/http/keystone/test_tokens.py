"""Tokens as OpenStack clients ask for them, look at them and end them."""

from datetime import timedelta

import pytest

from tests.appliance.http.keystone.conftest import PASSWORD
from tests.fakes.appliance import PASSWORD as ADMIN_PASSWORD


@pytest.fixture
def lab(cloud):
    return cloud.make("project", name="lab")


@pytest.fixture
def bob(cloud, lab):
    user = cloud.user("bob")
    assert cloud.give(f"projects/{lab['id']}", user, "member") == 204
    return user


def by_name(user, password=PASSWORD):
    return {"user": {"name": user["name"], "domain": {"name": "Default"}, "password": password}}


def look(cloud, text, token=None, query=""):
    return cloud.call("GET", f"auth/tokens{query}", token=token or text, X_Subject_Token=text)


def test_a_project_token_says_who_where_and_what(cloud, lab, bob):
    scope = {"project": {"name": "lab", "domain": {"id": "default"}}}
    answer = cloud.ask_token(["password"], scope, password=by_name(bob))
    assert answer.status_code == 201
    assert answer.headers["Vary"] == "X-Auth-Token"
    token = answer.get_json()["token"]
    assert token["methods"] == ["password"]
    assert token["user"]["name"] == "bob"
    assert token["user"]["domain"] == {"id": "default", "name": "Default"}
    assert token["project"] == {"id": lab["id"], "name": "lab", "domain": {"id": "default", "name": "Default"}}
    assert {role["name"] for role in token["roles"]} == {"member", "reader"}
    assert token["is_admin_project"] is False
    assert token["expires_at"] == "2026-11-21T13:00:00.000000Z"
    assert len(token["audit_ids"]) == 1
    assert {entry["type"] for entry in token["catalog"]} == {"identity", "baremetal", "image"}


def test_the_catalogue_can_be_left_out(cloud, bob):
    body = {"auth": {"identity": {"methods": ["password"], "password": by_name(bob)}, "scope": "unscoped"}}
    answer = cloud.client.post("/identity/v3/auth/tokens?nocatalog", json=body)
    assert "catalog" not in answer.get_json()["token"]


def test_scopes(cloud, lab, bob):
    cloud.give("domains/default", bob, "reader")
    cloud.give("system", bob, "reader")
    for scope, key in [
        ("unscoped", None),
        ({"unscoped": {}}, None),
        ({"project": {"id": lab["id"]}}, "project"),
        ({"domain": {"id": "default"}}, "domain"),
        ({"domain": {"name": "Default"}}, "domain"),
        ({"system": {"all": True}}, "system"),
    ]:
        token = cloud.ask_token(["password"], scope, password=by_name(bob)).get_json()["token"]
        assert {"project", "domain", "system"} & set(token) == ({key} if key else set())
        assert ("roles" in token) is (key is not None)


def test_without_a_scope_the_default_project_is_taken_when_a_role_is_held_there(cloud, lab, bob):
    assert "project" not in cloud.ask_token(["password"], password=by_name(bob)).get_json()["token"]
    cloud.call("PATCH", f"users/{bob['id']}", {"user": {"default_project_id": lab["id"]}})
    token = cloud.ask_token(["password"], password=by_name(bob)).get_json()["token"]
    assert token["project"]["id"] == lab["id"]
    other = cloud.make("project", name="other")
    cloud.call("PATCH", f"users/{bob['id']}", {"user": {"default_project_id": other["id"]}})
    assert "project" not in cloud.ask_token(["password"], password=by_name(bob)).get_json()["token"]
    domain = cloud.make("domain", name="acme")
    abroad = cloud.make("project", name="abroad", domain_id=domain["id"])
    cloud.give(f"projects/{abroad['id']}", bob, "member")
    cloud.call("PATCH", f"users/{bob['id']}", {"user": {"default_project_id": abroad["id"]}})
    assert "project" in cloud.ask_token(["password"], password=by_name(bob)).get_json()["token"]
    cloud.call("PATCH", f"domains/{domain['id']}", {"domain": {"enabled": False}})
    assert "project" not in cloud.ask_token(["password"], password=by_name(bob)).get_json()["token"]


@pytest.mark.parametrize(
    "scope",
    [
        {"project": {"id": "0" * 32}},
        {"project": {"name": "nowhere", "domain": {"id": "default"}}},
        {"domain": {"id": "default"}},
        {"system": {"all": True}},
        {"OS-TRUST:trust": {"id": "x"}},
    ],
)
def test_a_scope_without_a_role_is_refused_like_a_wrong_password(cloud, bob, scope):
    answer = cloud.ask_token(["password"], scope, password=by_name(bob))
    wrong = cloud.ask_token(["password"], password=by_name(bob, "wrong"))
    assert (answer.status_code, wrong.status_code) == (401, 401)
    assert answer.get_json() == wrong.get_json() == {
        "error": {
            "code": 401, "title": "Unauthorized",
            "message": "The request you have made requires authentication.",
        }
    }  # fmt: skip
    assert answer.headers["WWW-Authenticate"].startswith("Keystone uri=")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"auth": []},
        {"auth": {"identity": {}}},
        {"auth": {"identity": {"methods": "password"}}},
        {"auth": {"identity": {"methods": ["password"]}}},
        {"auth": {"identity": {"methods": ["password"], "password": {"user": {"password": "x"}}}}},
        {"auth": {"identity": {"methods": ["password"], "password": {"user": {"id": "x", "password": 1}}}}},
        {"auth": {"identity": {"methods": ["token"], "token": {}}}},
        {"auth": {"identity": {"methods": ["token"], "token": {"id": "x"}}, "scope": {"project": {}}}},
        {"auth": {"identity": {"methods": ["token"], "token": {"id": "x"}}, "scope": 7}},
        {"auth": {"identity": {"methods": ["token"], "token": {"id": "x"}}, "scope": {"system": {"all": False}}}},
    ],
)
def test_malformed_requests(cloud, body):
    answer = cloud.client.post("/identity/v3/auth/tokens", json=body)
    assert answer.status_code == 400
    assert answer.get_json()["error"]["title"] == "Bad Request"


def test_a_method_that_is_not_known(cloud):
    assert cloud.ask_token(["kerberos"]).status_code == 401
    assert cloud.ask_token([]).status_code == 401


def test_another_scope_for_the_same_time(cloud, lab, bob):
    first = cloud.log_in(bob)
    cloud.appliance.now += timedelta(minutes=10)
    answer = cloud.ask_token(["token"], {"project": {"id": lab["id"]}}, token={"id": first})
    token = answer.get_json()["token"]
    before = look(cloud, first)[1]["token"]
    assert token["expires_at"] == before["expires_at"]
    assert token["methods"] == ["password", "token"]
    assert token["audit_ids"][1:] == before["audit_ids"]
    again = cloud.ask_token(["token"], "unscoped", token={"id": answer.headers["X-Subject-Token"]}).get_json()["token"]
    assert again["audit_ids"][1:] == before["audit_ids"]
    assert cloud.ask_token(["token"], "unscoped", token={"id": first + "x"}).status_code == 401


def test_looking_at_tokens(cloud, bob):
    text = cloud.log_in(bob)
    assert look(cloud, text)[0] == 200
    assert look(cloud, text, token=cloud.token)[0] == 200
    assert cloud.send("HEAD", "auth/tokens", token=text, X_Subject_Token=text).status_code == 200
    other = cloud.log_in(cloud.user("eve"))
    assert look(cloud, text, token=other)[0] == 403
    assert cloud.call("GET", "auth/tokens", token=text)[0] == 401
    assert look(cloud, "nonsense", token=cloud.token) == (
        404, {"error": {"code": 404, "title": "Not Found", "message": "Could not find token."}},
    )  # fmt: skip


def test_ending_a_token_ends_it_at_once_and_no_other(cloud, bob):
    one, two = cloud.log_in(bob), cloud.log_in(bob)
    other = cloud.log_in(cloud.user("eve"))
    assert cloud.call("DELETE", "auth/tokens", token=other, X_Subject_Token=one)[0] == 403
    assert cloud.call("DELETE", "auth/tokens", token=one, X_Subject_Token=one)[0] == 204
    assert look(cloud, one)[0] == 401
    assert look(cloud, one, token=cloud.token)[0] == 404
    assert look(cloud, two)[0] == 200
    assert cloud.call("DELETE", "auth/tokens", X_Subject_Token=two)[0] == 204


def test_a_token_expires(cloud, bob):
    text = cloud.log_in(bob)
    cloud.appliance.now += timedelta(minutes=59, seconds=59)
    assert look(cloud, text)[0] == 200
    cloud.appliance.now += timedelta(seconds=1)
    assert look(cloud, text)[0] == 401


def test_what_ends_tokens_at_once(cloud):
    def deed(method, path, body=None):
        assert cloud.call(method, path, body)[0] in (200, 204)

    deeds = {
        "user disabled": lambda user, project: deed("PATCH", f"users/{user['id']}", {"user": {"enabled": False}}),
        "password": lambda user, project: deed("PATCH", f"users/{user['id']}", {"user": {"password": "new-password"}}),
        "user gone": lambda user, project: deed("DELETE", f"users/{user['id']}"),
        "project disabled": lambda user, project: deed(
            "PATCH", f"projects/{project['id']}", {"project": {"enabled": False}}
        ),
        "project gone": lambda user, project: deed("DELETE", f"projects/{project['id']}"),
        "role taken": lambda user, project: deed(
            "DELETE", f"projects/{project['id']}/users/{user['id']}/roles/{cloud.role('member')}"
        ),
    }
    for name, do in deeds.items():
        project = cloud.make("project", name=name)
        user, token = cloud.member(name, project)
        assert look(cloud, token)[0] == 200
        do(user, project)
        assert look(cloud, token)[0] == 401, name


def test_a_disabled_domain_shuts_its_users_out_for_good(cloud):
    domain = cloud.make("domain", name="acme")
    user = cloud.user("bob", domain_id=domain["id"])
    token = cloud.log_in(user)
    for enabled in (False, True):
        cloud.call("PATCH", f"domains/{domain['id']}", {"domain": {"enabled": enabled}})
        assert look(cloud, token)[0] == 401
    assert look(cloud, cloud.log_in(user))[0] == 200


def test_five_failures_rest_an_account_and_say_nothing(cloud, bob):
    answers = [cloud.ask_token(["password"], password=by_name(bob, "wrong")) for _ in range(5)]
    answers.append(cloud.ask_token(["password"], password=by_name(bob)))
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.get_data() for answer in answers}) == 1
    cloud.appliance.now += timedelta(minutes=30)
    assert cloud.ask_token(["password"], password=by_name(bob)).status_code == 201


def test_an_account_that_is_not_to_rest(cloud, bob):
    cloud.call("PATCH", f"users/{bob['id']}", {"user": {"options": {"ignore_lockout_failure_attempts": True}}})
    for _ in range(6):
        cloud.ask_token(["password"], password=by_name(bob, "wrong"))
    assert cloud.ask_token(["password"], password=by_name(bob)).status_code == 201


def test_an_expired_password_opens_nothing_but_its_own_change(cloud, bob):
    cloud.appliance.now += timedelta(days=90)
    refused = cloud.ask_token(["password"], password=by_name(bob))
    assert refused.status_code == 401
    assert "expired" in refused.get_json()["error"]["message"]
    change = {"user": {"original_password": PASSWORD, "password": "another-horse-1"}}
    assert cloud.client.post(f"/identity/v3/users/{bob['id']}/password", json=change).status_code == 204
    assert cloud.ask_token(["password"], password=by_name(bob, "another-horse-1")).status_code == 201


def test_the_token_for_the_change_of_an_expired_password_is_not_rescoped(cloud):
    cloud.appliance.now += timedelta(days=91)
    body = {"username": "user-admin", "password": ADMIN_PASSWORD}
    token = cloud.client.post("/v1/login", json=body).get_json()["token"]
    refused = cloud.ask_token(["token"], {"system": {"all": True}}, token={"id": token})
    assert refused.status_code == 401
    assert "expired" in refused.get_json()["error"]["message"]


def test_a_role_that_gives_no_rights_shows_no_metal(cloud):
    """Ours are reader to admin; any other one may stand for anything."""
    cloud.call("POST", "roles", {"role": {"name": "stranger"}})
    eve = cloud.user("eve")
    assert cloud.give("system", eve, "stranger") == 204
    headers = {"X-Auth-Token": cloud.log_in(eve, {"system": {"all": True}})}
    for path in ("nodes", "nodes/detail", "ports", "allocations", "volume/targets", "drivers", "conductors"):
        asked = headers | {"X-OpenStack-Ironic-API-Version": "1.110"}
        assert cloud.client.get(f"/baremetal/v1/{path}", headers=asked).status_code == 403, path


def test_where_else_one_could_go(cloud, lab, bob):
    token = cloud.log_in(bob)
    assert [one["name"] for one in cloud.call("GET", "auth/projects", token=token)[1]["projects"]] == ["lab"]
    assert cloud.call("GET", "auth/domains", token=token)[1]["domains"] == []
    assert cloud.call("GET", "auth/system", token=token)[1]["system"] == []
    assert cloud.call("GET", "auth/catalog", token=token)[0] == 403
    cloud.give("domains/default", bob, "reader")
    cloud.give("system", bob, "reader")
    assert [one["id"] for one in cloud.call("GET", "auth/domains", token=token)[1]["domains"]] == ["default"]
    assert cloud.call("GET", "auth/system", token=token)[1]["system"] == [{"all": True}]
    scoped = cloud.log_in(bob, {"project": {"id": lab["id"]}})
    assert len(cloud.call("GET", "auth/catalog", token=scoped)[1]["catalog"]) == 3


def test_without_a_token_nothing_is_shown(cloud):
    for path in ("users", "auth/catalog", "projects/x", "users/x/application_credentials"):
        assert cloud.call("GET", path, token="")[0] == 401


def test_what_is_not_there_answers_like_keystone(cloud):
    assert cloud.call("GET", "OS-TRUST/trusts") == (
        404, {"error": {"code": 404, "title": "Not Found", "message": "The resource could not be found."}},
    )  # fmt: skip
    assert cloud.call("PUT", "users")[0] == 405
