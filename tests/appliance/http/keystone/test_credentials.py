"""Application credentials: a program's share of somebody's rights, and never more."""

import logging
from datetime import timedelta

import pytest
from sqlalchemy import select

from appliance.models.event import Event
from appliance.services.identity import passwords


@pytest.fixture
def lab(cloud):
    return cloud.make("project", name="lab")


@pytest.fixture
def bob(cloud, lab):
    """A user who manages the project, with a token for it."""
    user, token = cloud.member("bob", lab, "manager")
    return user | {"token": token}


def make(cloud, bob, token=None, **values):
    body = {"application_credential": {"name": "robot", **values}}
    path = f"users/{bob['id']}/application_credentials"
    return cloud.call("POST", path, body, token=token or bob["token"])


def enter(cloud, credential, scope=None, **changes):
    given = {"id": credential["id"], "secret": credential["secret"]} | changes
    return cloud.ask_token(["application_credential"], scope, application_credential=given)


def token_of(cloud, credential):
    answer = enter(cloud, credential)
    assert answer.status_code == 201
    return answer.headers["X-Subject-Token"]


def test_it_is_made_shown_and_used(cloud, bob, lab):
    status, body = make(cloud, bob, roles=[{"name": "member"}], description="for the night")
    made = body["application_credential"]
    assert status == 201
    assert [role["name"] for role in made["roles"]] == ["member"]
    assert (made["project_id"], made["unrestricted"], made["expires_at"]) == (lab["id"], False, None)
    path = f"users/{bob['id']}/application_credentials"
    shown = cloud.call("GET", f"{path}/{made['id']}", token=bob["token"])[1]["application_credential"]
    assert "secret" not in shown
    assert made["secret"] not in str(cloud.call("GET", path)[1])
    token = enter(cloud, made).get_json()["token"]
    assert token["methods"] == ["application_credential"]
    assert {role["name"] for role in token["roles"]} == {"member", "reader"}
    assert token["project"]["id"] == lab["id"]
    assert token["application_credential"] == {"id": made["id"], "name": "robot", "restricted": True}


def test_it_is_found_by_name_and_owner(cloud, bob):
    made = make(cloud, bob, secret="my own secret")[1]["application_credential"]
    owner = {"name": "bob", "domain": {"id": "default"}}
    given = {"name": "robot", "user": owner, "secret": "my own secret"}
    assert cloud.ask_token(["application_credential"], application_credential=given).status_code == 201
    given["name"] = "nobody"
    assert cloud.ask_token(["application_credential"], application_credential=given).status_code == 401
    assert enter(cloud, made, secret="wrong").status_code == 401
    assert enter(cloud, made, id="0" * 32).status_code == 401


def test_it_opens_its_own_project_only(cloud, bob, lab):
    other = cloud.make("project", name="other")
    cloud.give(f"projects/{other['id']}", bob, "member")
    made = make(cloud, bob)[1]["application_credential"]
    for scope in ({"project": {"id": other["id"]}}, {"system": {"all": True}}, "unscoped"):
        assert enter(cloud, made, scope).status_code == 401
        again = cloud.ask_token(["token"], scope, token={"id": token_of(cloud, made)})
        assert again.status_code == 401
    again = cloud.ask_token(["token"], {"project": {"id": lab["id"]}}, token={"id": token_of(cloud, made)})
    assert again.get_json()["token"]["application_credential"]["id"] == made["id"]


def test_it_never_holds_more_than_its_owner(cloud, bob, lab):
    for role in ("admin", "service"):
        status, body = make(cloud, bob, roles=[{"name": role}])
        assert status == 400
        assert "Invalid application credential" in body["error"]["message"]
    assert make(cloud, bob, roles=[{"name": "unheard-of"}])[0] == 404
    made = make(cloud, bob, roles=[{"name": "manager"}])[1]["application_credential"]
    token = token_of(cloud, made)
    cloud.give(f"projects/{lab['id']}", bob, "reader")
    cloud.call("DELETE", f"projects/{lab['id']}/users/{bob['id']}/roles/{cloud.role('manager')}")
    shown = cloud.call("GET", "auth/tokens", token=token, X_Subject_Token=token)[1]["token"]
    assert {role["name"] for role in shown["roles"]} == {"reader"}
    cloud.call("DELETE", f"projects/{lab['id']}/users/{bob['id']}/roles/{cloud.role('reader')}")
    assert cloud.call("GET", "auth/tokens", token=token, X_Subject_Token=token)[0] == 401
    assert enter(cloud, made).status_code == 401


def test_a_restricted_one_makes_no_further_ones(cloud, bob):
    made = make(cloud, bob)[1]["application_credential"]
    token = token_of(cloud, made)
    status, body = make(cloud, bob, token, name="child")
    assert status == 403
    assert "managing additional application credentials" in body["error"]["message"]
    path = f"users/{bob['id']}/application_credentials/{made['id']}"
    assert cloud.call("DELETE", path, token=token)[0] == 403


def test_an_unrestricted_one_hands_on_no_more_than_it_has(cloud, bob):
    made = make(cloud, bob, unrestricted=True, roles=[{"name": "member"}])[1]["application_credential"]
    token = token_of(cloud, made)
    assert make(cloud, bob, token, name="child", roles=[{"name": "manager"}])[0] == 400
    child = make(cloud, bob, token, name="child")[1]["application_credential"]
    assert {role["name"] for role in child["roles"]} == {"member", "reader"}


def test_deleting_it_ends_its_tokens_at_once(cloud, bob):
    made = make(cloud, bob)[1]["application_credential"]
    token = token_of(cloud, made)
    path = f"users/{bob['id']}/application_credentials/{made['id']}"
    assert cloud.call("DELETE", path, token=bob["token"])[0] == 204
    assert cloud.call("GET", "auth/projects", token=token)[0] == 401
    assert cloud.call("GET", path, token=bob["token"])[0] == 404


def test_it_expires_and_so_do_its_tokens(cloud, bob):
    at = cloud.appliance.now + timedelta(minutes=10)
    made = make(cloud, bob, expires_at=at.isoformat())[1]["application_credential"]
    token = token_of(cloud, made)
    cloud.appliance.now += timedelta(minutes=10)
    assert cloud.call("GET", "auth/projects", token=token)[0] == 401
    assert enter(cloud, made).status_code == 401
    assert make(cloud, bob, token=cloud.log_in(bob, {"project": {"name": "lab", "domain": {"id": "default"}}}),
                name="late", expires_at=at.isoformat())[0] == 400  # fmt: skip


def test_somebody_elses_is_neither_seen_nor_used(cloud, bob, lab):
    made = make(cloud, bob)[1]["application_credential"]
    _eve, token = cloud.member("eve", lab, "admin")
    path = f"users/{bob['id']}/application_credentials"
    for method, where in (("GET", path), ("GET", f"{path}/{made['id']}"), ("DELETE", f"{path}/{made['id']}")):
        assert cloud.call(method, where, token=token)[0] == 403
    assert make(cloud, bob, token)[0] == 403
    assert make(cloud, bob, cloud.token)[0] == 403
    assert cloud.call("GET", path)[0] == 200
    assert cloud.call("DELETE", f"{path}/{made['id']}")[0] == 204


def test_access_rules_limit_what_its_token_is_good_for(cloud, bob):
    rules = [{"service": "identity", "method": "GET", "path": "/v3/auth/*"}]
    made = make(cloud, bob, access_rules=rules)[1]["application_credential"]
    answer = enter(cloud, made)
    assert answer.get_json()["token"]["application_credential"]["access_rules"] == rules
    token = answer.headers["X-Subject-Token"]
    assert cloud.call("GET", "auth/projects", token=token)[0] == 200
    assert cloud.call("GET", f"users/{bob['id']}", token=token)[0] == 403
    assert cloud.client.get("/v1/whoami", headers={"X-Auth-Token": token}).status_code == 403
    base = f"users/{bob['id']}/access_rules"
    (rule,) = cloud.call("GET", base, token=bob["token"])[1]["access_rules"]
    assert cloud.call("DELETE", f"{base}/{rule['id']}", token=bob["token"])[0] == 403
    cloud.call("DELETE", f"users/{bob['id']}/application_credentials/{made['id']}", token=bob["token"])
    assert cloud.call("DELETE", f"{base}/{rule['id']}", token=bob["token"])[0] == 204


def test_rules_do_not_fall_off_when_a_token_begets_a_credential(cloud, bob):
    rules = [{"service": "identity", "method": "POST", "path": "/v3/users/*/application_credentials"}]
    made = make(cloud, bob, access_rules=rules, unrestricted=True)[1]["application_credential"]
    assert make(cloud, bob, token_of(cloud, made), name="child")[0] == 403


@pytest.mark.parametrize(
    "values",
    [
        {"name": ""},
        {"name": 5},
        {"nonsense": 1},
        {"expires_at": "tomorrow"},
        {"expires_at": 5},
        {"roles": [{}]},
        {"roles": "member"},
        {"unrestricted": "yes"},
        {"secret": 5},
        {"access_rules": [{"path": "/x"}]},
        {"access_rules": [{"path": "x", "service": "identity", "method": "GET"}]},
        {"access_rules": [{"path": "/x", "service": "identity", "method": "LOOK"}]},
        {"project_id": "0" * 32},
    ],
)
def test_wishes_that_cannot_be_met(cloud, bob, values):
    assert make(cloud, bob, **values)[0] == 400


def test_a_name_is_taken_once(cloud, bob):
    assert make(cloud, bob)[0] == 201
    assert make(cloud, bob)[0] == 409


def test_it_needs_a_project(cloud, bob):
    assert make(cloud, bob, cloud.log_in(bob))[0] == 400


def test_failures_rest_a_credential_whose_secret_was_thought_up(cloud, bob, caplog):
    made = make(cloud, bob, secret="my own secret")[1]["application_credential"]
    with caplog.at_level(logging.INFO):
        for _ in range(5):
            assert enter(cloud, made, secret="wrong").status_code == 401
    assert caplog.text.count(f"credential={made['id']}") == 5
    assert "wrong" not in caplog.text
    assert enter(cloud, made).status_code == 401
    assert cloud.log_in(bob)  # its owner's account does not rest
    with cloud.appliance.database.read() as session:
        (message,) = session.scalars(select(Event.message).where(Event.kind == "identity.locked"))
    assert made["id"] in message
    cloud.appliance.now += timedelta(minutes=30)
    assert enter(cloud, made).status_code == 201
    assert [enter(cloud, made, secret="wrong").status_code for _ in range(4)] == [401] * 4
    assert enter(cloud, made).status_code == 201
    assert [enter(cloud, made, secret="wrong").status_code for _ in range(4)] == [401] * 4
    assert enter(cloud, made).status_code == 201


def test_nobody_stops_a_program_whose_secret_was_made_here(cloud, bob):
    made = make(cloud, bob)[1]["application_credential"]
    for _ in range(6):
        assert enter(cloud, made, secret="wrong").status_code == 401
    assert enter(cloud, made).status_code == 201


def test_an_account_exempt_from_resting_exempts_its_credentials(cloud, bob):
    made = make(cloud, bob, secret="my own secret")[1]["application_credential"]
    options = {"ignore_lockout_failure_attempts": True}
    assert cloud.call("PATCH", f"users/{bob['id']}", {"user": {"options": options}})[0] == 200
    for _ in range(6):
        enter(cloud, made, secret="wrong")
    assert enter(cloud, made).status_code == 201


def test_what_a_credential_makes_ends_with_it_at_the_latest(cloud, bob):
    end = "2026-12-01T00:00:00.000000"
    made = make(cloud, bob, unrestricted=True, expires_at=end)[1]["application_credential"]
    token = token_of(cloud, made)
    assert make(cloud, bob, token, name="heir")[1]["application_credential"]["expires_at"] == made["expires_at"]
    sooner = "2026-11-30T00:00:00.000000"
    assert make(cloud, bob, token, name="brief", expires_at=sooner)[0] == 201
    assert make(cloud, bob, token, name="eternal", expires_at="2027-12-01T00:00:00.000000")[0] == 403


def no_hashing(_password):
    raise AssertionError("hashed for somebody who may not have it done")


def test_nothing_is_hashed_for_who_may_not_make_one(cloud, bob, monkeypatch):
    ann = cloud.user("ann")
    bound = token_of(cloud, make(cloud, bob)[1]["application_credential"])
    unscoped = cloud.log_in(bob)
    monkeypatch.setattr(passwords, "hash_password", no_hashing)
    assert make(cloud, ann, bob["token"])[0] == 403
    assert make(cloud, bob, bound, name="second")[0] == 403
    assert make(cloud, bob, unscoped)[0] == 400
    assert cloud.call("POST", f"users/{bob['id']}/application_credentials", {}, token="rwt_x")[0] == 401


def test_access_rules_are_not_talked_round(cloud, bob):
    rules = [{"service": "identity", "method": "GET", "path": "/v3/auth/**"}]
    token = token_of(cloud, make(cloud, bob, access_rules=rules)[1]["application_credential"])
    user = bob["id"]
    for path in (f"/identity/v3/users/{user}", f"//identity/v3/users/{user}", f"/identity//v3/users/{user}",
                 f"/identity/v3/auth/../users/{user}", f"/identity/v3/auth/%2e%2e/users/{user}",
                 f"/identity/v3/auth%2f..%2fusers/{user}", f"/identity/v3/users/{user}?/v3/auth/projects",
                 f"/Identity/v3/users/{user}", "/v1/nodes", "/baremetal/v1/nodes", "/image/v2/images"):  # fmt: skip
        for more in ({}, {"X-HTTP-Method-Override": "GET"}, {"X-Original-URL": "/identity/v3/auth/projects"}):
            answer = cloud.client.get(path, headers={"X-Auth-Token": token, **more}, follow_redirects=True)
            assert answer.status_code in (403, 404), path
    again = cloud.ask_token(["token"], token={"id": token})
    assert cloud.call("GET", f"users/{user}", token=again.headers["X-Subject-Token"])[0] == 403
