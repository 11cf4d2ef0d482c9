"""A small cloud behind the face: `cloud` makes people, places and tokens through the API itself, as its admin."""

import pytest

from appliance.domain.access import Role
from tests.fakes.appliance import Appliance

PASSWORD = "correct-horse-battery"


class Cloud:
    """token: of the system's admin. Each call answers with (status, JSON)."""

    def __init__(self, appliance: Appliance) -> None:
        self.appliance = appliance
        self.client = appliance.operators().test_client()
        self.token = appliance.token(Role.ADMIN)

    def send(self, method, path, body=None, *, token=None, **headers):
        sent = {"X-Auth-Token": self.token if token is None else token, "Host": "localhost:8443"} | {
            key.replace("_", "-"): value for key, value in headers.items()
        }
        return self.client.open(f"/identity/v3/{path}", method=method, json=body, headers=sent)

    def call(self, method, path, body=None, *, token=None, **headers):
        answer = self.send(method, path, body, token=token, **headers)
        return answer.status_code, answer.get_json(silent=True)

    def make(self, kind, token=None, **values):
        """One thing, made by POST; kind: as in the body, such as `user`."""
        path = {"registry": "registries"}.get(kind, f"{kind}s")
        status, body = self.call("POST", path, {kind: values}, token=token)
        assert status == 201, body
        return body[kind]

    def user(self, name, **values):
        return self.make("user", name=name, password=PASSWORD, **values)

    def role(self, name):
        return self.call("GET", f"roles?name={name}")[1]["roles"][0]["id"]

    def give(self, place, user, role, *, token=None, inherited=False):
        """place: `projects/ID`, `domains/ID` or `system`."""
        path = f"{place}/users/{user['id']}/roles/{self.role(role)}"
        path = f"OS-INHERIT/{path}/inherited_to_projects" if inherited else path
        return self.call("PUT", path, token=token)[0]

    def ask_token(self, methods, scope=None, **identity):
        body = {"auth": {"identity": {"methods": list(methods), **identity}}}
        if scope is not None:
            body["auth"]["scope"] = scope
        return self.client.post("/identity/v3/auth/tokens", json=body, headers={"Host": "localhost:8443"})

    def log_in(self, user, scope="unscoped", password=PASSWORD):
        """A token's text."""
        given = {"user": {"id": user["id"], "password": password}}
        answer = self.ask_token(["password"], scope, password=given)
        assert answer.status_code == 201, answer.get_json()
        return answer.headers["X-Subject-Token"]

    def member(self, name, project, role="member"):
        """Somebody with the role on the project, and a token of theirs for it."""
        user = self.user(name)
        assert self.give(f"projects/{project['id']}", user, role) == 204
        return user, self.log_in(user, {"project": {"id": project["id"]}})


@pytest.fixture
def cloud(database, tmp_path):
    made = Appliance(database, tmp_path)
    yield Cloud(made)
    made.close()
