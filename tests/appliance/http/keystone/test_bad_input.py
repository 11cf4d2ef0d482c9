"""Whatever is sent, the answer is one of Keystone's own refusals and the appliance goes on."""

import json
import re

import pytest

from appliance.http.keystone.face import ROUTES
from appliance.models.identity import User
from tests.appliance.http.keystone.conftest import PASSWORD

UGLY = [
    None, True, 0, -1, 2**63, 1e308, "", " ", "x" * 70_000, "a\0b", "\U0001f4a3", "' OR 1=1 --", [], [[]], {},
    {"a": {}}, ["x"] * 2000,
]  # fmt: skip
NAMES = ("name", "id", "domain_id", "parent_id", "enabled", "description", "options", "tags", "password", "type", "url",
         "interface", "service_id", "region_id", "filters", "roles", "access_rules", "expires_at", "secret",
         "default_project_id", "parent_region_id", "resource_name", "default_limit", "resource_limit",
         "blob")  # fmt: skip
KINDS = ("user", "group", "project", "domain", "role", "region", "service", "endpoint", "application_credential",
         "endpoint_group", "limit", "registered_limit", "policy")  # fmt: skip


def kind_of(rule: str) -> str:
    last = [part for part in rule.split("/") if part and not part.startswith("<")][-1]
    if last == "policies":
        return "policy"
    return "access_rule" if last == "access_rules" else last.removesuffix("s")


WRITING = [route for route in ROUTES if route.method in ("POST", "PATCH") and kind_of(route.rule) in KINDS]


def answers(answer):
    """Refused, or done; never broken, and without a secret."""
    assert answer.status_code < 500, answer.get_data(as_text=True)
    if answer.status_code >= 400:
        error = answer.get_json()["error"]
        assert error["code"] == answer.status_code
        assert isinstance(error["message"], str)
        assert "Traceback" not in error["message"]
    assert PASSWORD not in answer.get_data(as_text=True)


def pairs(turn):
    """Every name with a few of the values, other ones for each route."""
    for number, name in enumerate(NAMES):
        for step in range(4):
            yield name, UGLY[(turn + number + 4 * step) % len(UGLY)]


@pytest.mark.parametrize("route", WRITING, ids=lambda route: f"{route.method} {route.rule}")
def test_ugly_values_in_every_attribute(cloud, route):
    kind = kind_of(route.rule)
    (admin,) = cloud.call("GET", "users?name=user-admin")[1]["users"]
    if route.method == "PATCH":
        first = cloud.call("GET", re.sub(r"/<\w+>$", "", route.rule)[1:])[1]
        rows = next(value for key, value in first.items() if isinstance(value, list))
        ids = rows[-1]["id"] if rows else "x"
        ids = cloud.user("victim")["id"] if kind == "user" else ids
    else:
        ids = admin["id"]
    path = re.sub(r"<\w+>", ids, route.rule)[1:]
    good = {"name": "n", "type": "t", "interface": "public", "url": "https://x.example", "filters": {}}
    for number, (name, value) in enumerate(pairs(WRITING.index(route))):
        one = {**good, "name": f"n{number}", name: value} if route.method == "POST" else {name: value}
        plural = [one] if "limit" in kind and route.method == "POST" else one
        answers(cloud.send(route.method, path, {f"{kind}s" if isinstance(plural, list) else kind: plural}))
    assert cloud.call("GET", "users")[0] == 200


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.rule}")
def test_ids_that_nothing_has(cloud, route):
    for junk in ("x", "0" * 300, "%00", "..", "'", "\u2603", "default"):
        path = re.sub(r"<\w+>", junk, route.rule)[1:]
        if junk == "default" and route.method in ("DELETE", "PATCH"):
            continue
        answers(cloud.send(route.method, path, {} if route.method in ("POST", "PATCH", "PUT") else None))


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b'{"user": 5}', b"\xff", b"[" * 50_000])
def test_bodies_that_are_no_object(cloud, body):
    for path in ("users", "auth/tokens", "users/x/password"):
        headers = {"X-Auth-Token": cloud.token, "Content-Type": "application/json"}
        answer = cloud.client.post(f"/identity/v3/{path}", data=body, headers=headers)
        assert answer.status_code == 400


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=-1",
        "limit=1e9",
        "marker=%00",
        "name=%00",
        "name__like=x",
        "name=" + "x" * 5000,
        "enabled=maybe",
        "sort_key=x",
    ],
)
def test_queries_that_make_no_sense(cloud, query):
    for path in ("users", "projects", "groups", "domains", "roles", "services", "endpoints", "regions"):
        answers(cloud.send("GET", f"{path}?{query}"))


def test_a_refusal_never_repeats_a_password(cloud):
    secret = "canary-" + "s" * 30
    for body in ({"user": {"name": 5, "password": secret}}, {"user": {"name": "x", "password": secret, "enabled": 1}},
                 {"user": {"name": "x", "password": [secret]}}):  # fmt: skip
        assert secret not in cloud.send("POST", "users", body).get_data(as_text=True)
    user = cloud.call("POST", "users", {"user": {"name": "x", "password": secret}})[1]
    with cloud.appliance.database.read() as session:
        row = session.query(User).filter_by(uuid=user["user"]["id"]).one()
        assert secret not in json.dumps([row.password_hash, row.extra, row.options])
    assert secret not in json.dumps(cloud.call("GET", "users")[1])
