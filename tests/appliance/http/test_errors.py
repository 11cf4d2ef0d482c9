"""Every failure has one shape, the right status and no secret."""

import pytest
from sqlalchemy.exc import DataError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from appliance.domain import errors as domain
from appliance.http import errors
from bmc.errors import Denied, Unreachable, Unsupported

CANARY = "hunter2-canary"


@pytest.fixture
def answer(appliance):
    """What a request answers that raises this."""
    from appliance.http.app import operator_app

    app = operator_app(appliance.context)
    raised = []

    def fail():
        raise raised[-1]

    app.add_url_rule("/v1/broken", "broken", fail)

    def ask(fault):
        raised.append(fault)
        return app.test_client().get("/v1/broken")

    return ask


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (domain.Invalid("x"), 400, "invalid"),
        (domain.Unauthenticated("x"), 401, "unauthenticated"),
        (domain.Forbidden("x"), 403, "forbidden"),
        (domain.NotFound("x"), 404, "not-found"),
        (domain.NodeLocked("x"), 409, "node-locked"),
        (domain.TooLarge("x"), 413, "too-large"),
        (domain.Unavailable("x"), 503, "unavailable"),
        (domain.StorageFull("x"), 507, "storage-full"),
        (domain.RackwrightError("x"), 500, "internal"),
        (Unreachable(), 424, "bmc-unreachable"),
        (Denied(), 424, "bmc-denied"),
        (Unsupported(), 400, "bmc-unsupported"),
        (OperationalError("SELECT 1", {}, Exception("database or disk is full")), 507, "storage-full"),
        (OperationalError("SELECT 1", {}, Exception("gone")), 503, "unavailable"),
        (PoolTimeout("too many"), 503, "unavailable"),
        (DataError("INSERT", {"a": CANARY}, Exception("NUL")), 400, "invalid"),
    ],
)
def test_each_fault_has_its_status_and_the_one_shape(answer, fault, status, code):
    got = answer(fault)
    error = got.get_json()["error"]
    assert (got.status_code, error["code"]) == (status, code)
    assert set(error) == {"code", "message", "why", "next", "request_id"}
    assert error["request_id"] == got.headers["X-Request-Id"]
    assert CANARY not in got.get_data(as_text=True)
    assert ("Retry-After" in got.headers) == (status == 503)


def test_our_own_faults_say_nothing_but_where_to_look(answer, caplog):
    got = answer(KeyError(CANARY))
    assert (got.status_code, got.get_json()["error"]["code"]) == (500, "internal")
    assert CANARY not in got.get_data(as_text=True)
    assert got.headers["X-Request-Id"] in caplog.text


@pytest.mark.parametrize(
    "path", ["/v1//nodes", "//evil.example/v1", "/v1/nodes/", "/V1/nodes", "/v1/nodes;x", "/console"]
)
def test_a_path_has_one_spelling(strangers, path):
    """No redirect: its target would be made of the Host header."""
    got = strangers.get(path, headers={"Host": "evil.example"})
    assert got.status_code == 404
    assert "Location" not in got.headers


@pytest.mark.parametrize("text", ["\x00", "a\x00b"])
def test_characters_that_a_database_cannot_keep_are_refused(operators, text):
    for got in (
        operators.get("/v1/nodes", query_string={"rack": text}),
        operators.get("/v1/nodes", query_string={"name": text}),
        operators.put("/v1/nodes/n1/maintenance", json={"reason": text}),
        operators.post("/v1/nodes", json={"name": "n2", "driver": "fake", "rack": text}),
        operators.post("/v1/images", json={"name": text}),
    ):
        assert got.status_code in (200, 400, 404)


def test_the_header_of_a_refusal_says_what_is_allowed(operators):
    got = operators.put("/v1/nodes", json={})
    assert got.status_code == 405
    assert "POST" in got.headers["Allow"]
    assert errors.HTTP_CODES[405] == got.get_json()["error"]["code"]
