"""A caller is remembered for a moment, and never longer than the rights last."""

from datetime import timedelta

from sqlalchemy import event, update

from appliance.domain.access import Role
from appliance.models.identity import User
from appliance.services.identity import KNOWN_FOR, grants, users
from tests.appliance.http.conftest import client_of
from tests.fakes.appliance import PASSWORD


def queries(appliance, ask):
    """SQL statements that `ask` costs."""
    seen = []

    def note(_connection, _cursor, statement, *_):
        seen.append(statement)

    event.listen(appliance.database.engine, "before_cursor_execute", note)
    try:
        assert ask().status_code == 200
    finally:
        event.remove(appliance.database.engine, "before_cursor_execute", note)
    return [statement for statement in seen if "user_account" in statement]


def test_a_second_request_asks_no_database_who_it_is(appliance, operators):
    assert queries(appliance, lambda: operators.get("/v1/whoami"))
    assert not queries(appliance, lambda: operators.get("/v1/whoami"))


def test_a_log_out_counts_at_once(operators):
    assert operators.get("/v1/whoami").status_code == 200
    assert operators.post("/v1/logout").status_code == 204
    assert operators.get("/v1/whoami").status_code == 401


def test_a_disabled_account_and_a_changed_role_count_at_once(appliance, operators):
    user = client_of(appliance.operators(), appliance.token(Role.MEMBER))
    assert user.get("/v1/whoami").get_json()["role"] == "member"
    with appliance.database.write() as session:
        grants.give_on_system(session, users.named(session, "user-member"), Role.READER)
    assert user.get("/v1/whoami").get_json()["role"] == "reader"
    with appliance.database.write() as session:
        member = users.named(session, "user-member")
        users.update(session, member, {"is_enabled": False}, now=appliance.now)
    assert user.get("/v1/whoami").status_code == 401


def test_what_another_process_revoked_counts_within_seconds(appliance, operators):
    assert operators.get("/v1/whoami").status_code == 200
    with appliance.database.write() as session:
        session.execute(
            update(User).values(generation=User.generation + 1)
        )  # rings no bell here, like a deed of another process
    appliance.now += KNOWN_FOR - timedelta(seconds=1)
    assert operators.get("/v1/whoami").status_code == 200
    appliance.now += timedelta(seconds=1)
    assert operators.get("/v1/whoami").status_code == 401
    assert timedelta(seconds=5) >= KNOWN_FOR


def test_a_project_sees_nothing_of_the_whole_site(appliance):
    token, _project = appliance.project_token(Role.ADMIN)
    tenant = client_of(appliance.operators(), token)
    assert tenant.get("/v1/whoami").get_json()["username"] == "demo-admin"
    assert tenant.get("/v1/nodes").status_code == 403


def test_an_administrator_of_the_project_admin_administers_the_site(appliance):
    token, _project = appliance.project_token(Role.ADMIN, "admin")
    assert client_of(appliance.operators(), token).get("/v1/nodes").status_code == 200
    token, _project = appliance.project_token(Role.MEMBER, "admin")
    assert client_of(appliance.operators(), token).get("/v1/nodes").status_code == 403


def test_x_auth_token_carries_a_token_too(appliance, strangers):
    token = appliance.token()
    assert strangers.get("/v1/nodes", headers={"X-Auth-Token": token}).status_code == 200
    assert strangers.get("/v1/nodes", headers={"X-Auth-Token": token + "x"}).status_code == 401


def test_a_clock_that_was_set_back_keeps_nobody_in(appliance, operators):
    assert operators.get("/v1/whoami").status_code == 200
    with appliance.database.write() as session:
        session.execute(update(User).values(generation=User.generation + 1))
    appliance.now -= timedelta(seconds=1)
    assert operators.get("/v1/whoami").status_code == 401


def test_an_administrator_rotates_the_keys_and_everybody_stays_in(appliance, operators, readers):
    assert readers.post("/v1/token-keys").status_code == 403
    assert operators.post("/v1/token-keys").get_json() == {"keys": 3}
    assert operators.get("/v1/whoami").status_code == 200
    fresh = client_of(appliance.operators(), appliance.token(Role.MEMBER))
    assert fresh.get("/v1/whoami").status_code == 200


def test_an_expired_password_opens_nothing_but_its_own_change(appliance, strangers):
    appliance.token(Role.ADMIN)
    appliance.now += timedelta(days=90)
    body = {"username": "user-admin", "password": PASSWORD}
    login = strangers.post("/v1/login", json=body).get_json()
    assert (login["must_change"], login["role"]) == (True, "none")
    half = client_of(appliance.operators(), login["token"])
    assert half.get("/v1/nodes").status_code == 403
    assert half.post("/v1/password", json={"old": PASSWORD, "new": "another-horse"}).status_code == 204
    assert half.get("/v1/whoami").status_code == 401
    again = strangers.post("/v1/login", json=body | {"password": "another-horse"}).get_json()
    assert (again["must_change"], again["role"]) == (False, "admin")
