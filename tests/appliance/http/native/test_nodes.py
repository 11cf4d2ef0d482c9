"""/v1/nodes as a client sees it."""

import pytest
from sqlalchemy import select
from sqlalchemy.event import listen

from appliance.models.node import Node

NODE = {"name": "n1", "driver": "fake", "macs": ["52:54:00:77:00:01"]}
CANARY = "hunter2-canary"


def error_of(answer):
    error = answer.get_json()["error"]
    assert error["request_id"] == answer.headers["X-Request-Id"]
    return error


def test_a_node_is_created_found_changed_and_deleted(operators):
    made = operators.post("/v1/nodes", json=NODE)
    assert made.status_code == 201
    assert made.get_json()["provision_state"] == "enroll"
    assert operators.get("/v1/nodes/n1").get_json()["macs"] == NODE["macs"]
    changed = operators.patch("/v1/nodes/n1", json={"rack": "r01"})
    assert changed.get_json()["rack"] == "r01"
    assert operators.get("/v1/nodes?rack=r01").get_json()["items"][0]["name"] == "n1"
    assert operators.delete("/v1/nodes/n1").status_code == 204
    assert operators.get("/v1/nodes/n1").status_code == 404


def test_pages_follow_one_another(operators):
    for number in range(5):
        operators.post("/v1/nodes", json={"name": f"n{number}", "driver": "fake"})
    seen, marker = [], None
    for _ in range(4):
        page = operators.get("/v1/nodes", query_string={"limit": 2} | ({"marker": marker} if marker else {})).get_json()
        seen += [item["name"] for item in page["items"]]
        marker = page["next"]
        if marker is None:
            break
    assert seen == [f"n{number}" for number in range(5)]


def test_the_bmc_password_is_in_no_answer(operators):
    bmc = {"address": "10.0.0.5", "username": "admin", "password": CANARY}
    answers = [
        operators.post("/v1/nodes", json={"name": "m1", "driver": "ipmi", "bmc": bmc}),
        operators.get("/v1/nodes/m1"),
        operators.get("/v1/nodes"),
        operators.patch("/v1/nodes/m1", json={"bmc": bmc | {"password": CANARY + "2"}}),
        operators.get("/v1/nodes/m1/timeline"),
        operators.get("/v1/nodes/m1/why"),
        operators.post("/v1/nodes", json={"name": "m1", "driver": "ipmi", "bmc": bmc}),
    ]
    assert answers[0].get_json()["bmc"]["password"] == "******"
    assert not any(CANARY in answer.get_data(as_text=True) for answer in answers)


@pytest.mark.parametrize(
    ("method", "path"),
    [("get", "/v1/nodes"), ("post", "/v1/nodes"), ("get", "/v1/nodes/n1"), ("delete", "/v1/nodes/n1"),
     ("put", "/v1/nodes/n1/power"), ("post", "/v1/nodes/n1/deploy"), ("get", "/v1/events"), ("post", "/v1/subnets")],
)  # fmt: skip
def test_no_route_answers_without_a_token(strangers, method, path):
    assert getattr(strangers, method)(path).status_code == 401
    assert getattr(strangers, method)(path + "?token=x").status_code == 401


def test_every_route_but_log_in_names_a_permission(appliance, strangers):
    """A new route without one fails here."""
    for rule in appliance.operators().url_map.iter_rules():
        if not rule.rule.startswith("/v1/"):  # the other faces have rules of their own
            continue
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            path = rule.rule.replace("<ref>", "x").replace("<verb>", "x").replace("<uuid>", "x")
            answer = strangers.open(path.replace("<name>", "x").replace("<mac>", "x"), method=method)
            assert answer.status_code == (400 if rule.rule == "/v1/login" else 401), (method, rule.rule)


def test_a_reader_reads_and_changes_nothing(operators, readers):
    operators.post("/v1/nodes", json=NODE)
    assert readers.get("/v1/nodes").status_code == 200
    for answer in (
        readers.post("/v1/nodes", json=NODE),
        readers.delete("/v1/nodes/n1"),
        readers.post("/v1/nodes/n1/manage", json={}),
        readers.put("/v1/nodes/n1/power", json={"target": "on"}),
    ):
        assert answer.status_code == 403
        assert "reader" in error_of(answer)["message"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b'"x"', 400),
        (b"[" * 100_000, 400),
        (b'{"name":' + b'{"a":' * 30 + b"1" + b"}" * 30 + b"}", 400),
        (b'{"name":"' + b"x" * (1 << 20) + b'"}', 413),
        (b"\xff\xfe", 400),
    ],
)
def test_a_hostile_body_is_refused_and_nothing_changes(operators, body, status):
    answer = operators.post("/v1/nodes", data=body)
    assert answer.status_code == status
    assert "Traceback" not in answer.get_data(as_text=True)
    assert operators.get("/v1/nodes").get_json()["items"] == []


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=-1", "limit=1e9", "limit=abc", "sort=x", "marker=nope", "maintenance=1"]
)
def test_a_bad_query_is_named(operators, query):
    assert operators.get(f"/v1/nodes?{query}").status_code in (400, 404)


def test_a_verb_out_of_place_says_so_and_a_right_one_starts_work(operators):
    operators.post("/v1/nodes", json=NODE)
    refused = operators.post("/v1/nodes/n1/provide", json={})
    assert refused.status_code == 409
    assert "enroll" in error_of(refused)["message"]
    started = operators.post("/v1/nodes/n1/manage", json={})
    assert started.status_code == 202
    assert started.get_json()["node"]["provision_state"] == "verifying"
    assert operators.get("/v1/flows").get_json()["items"][0]["kind"] == "verify"
    again = operators.post("/v1/nodes/n1/manage", json={})
    assert again.status_code == 409
    assert operators.put("/v1/nodes/n1/power", json={"target": "on"}).status_code == 409


def test_unknown_verbs_and_fields_are_named(operators):
    operators.post("/v1/nodes", json=NODE)
    assert "verbs" in error_of(operators.post("/v1/nodes/n1/explode", json={}))["next"]
    assert "'colour'" in error_of(operators.post("/v1/nodes/n1/manage", json={"colour": "red"}))["message"]


def test_bulk_takes_the_good_ones_and_names_every_bad_line(operators):
    wishes = [
        {"line": 2, "name": "a", "driver": "fake"},
        {"line": 3, "name": "a", "driver": "fake"},
        {"line": 4, "name": "b c", "driver": "fake"},
        {"line": 5, "name": "d", "driver": "fake"},
    ]
    checked = operators.post("/v1/nodes/bulk", json={"nodes": wishes, "check": True}).get_json()["items"]
    assert [item["ok"] for item in checked] == [True, True, False, True]
    assert operators.get("/v1/nodes").get_json()["items"] == []
    done = operators.post("/v1/nodes/bulk", json={"nodes": wishes}).get_json()["items"]
    assert [(item["line"], item["ok"]) for item in done] == [(2, True), (3, False), (4, False), (5, True)]


def test_power_is_asked_of_the_bmc_and_read_back(operators, appliance):
    operators.post("/v1/nodes", json=NODE)
    assert operators.get("/v1/nodes/n1/power").get_json()["power_state"] == "power off"
    assert operators.put("/v1/nodes/n1/power", json={"target": "on"}).status_code == 202
    appliance.settle()
    assert operators.get("/v1/nodes/n1").get_json()["power_state"] == "power on"
    assert operators.put("/v1/nodes/n1/power", json={"target": "explode"}).status_code == 400


def test_the_boot_device_is_set_and_read(operators):
    operators.post("/v1/nodes", json=NODE)
    assert operators.put("/v1/nodes/n1/boot-device", json={"device": "pxe", "uefi": True}).status_code == 204
    assert operators.get("/v1/nodes/n1/boot-device").get_json() == {"device": "pxe", "persistent": False, "uefi": True}


def test_maintenance_is_set_and_ended(operators):
    operators.post("/v1/nodes", json=NODE)
    assert operators.put("/v1/nodes/n1/maintenance", json={"reason": "fan"}).get_json()["maintenance_reason"] == "fan"
    assert operators.delete("/v1/nodes/n1/maintenance").get_json()["maintenance"] is False


@pytest.mark.parametrize("reason", ["x" * 4097, {"a": 1}, 7, ["fan"]])
def test_a_reason_that_is_none_is_refused_and_not_cut(operators, reason):
    operators.post("/v1/nodes", json=NODE)
    assert operators.put("/v1/nodes/n1/maintenance", json={"reason": reason}).status_code == 400
    assert operators.get("/v1/nodes/n1").get_json()["maintenance"] is False


def test_a_list_says_what_nodes_wait_for_in_as_many_queries_for_many_as_for_one(appliance, operators):
    for number in range(6):
        wish = {"name": f"n{number}", "driver": "fake", "macs": [f"02:00:00:00:00:0{number}"]}
        operators.post("/v1/nodes", json=wish)
    operators.post("/v1/nodes/n3/manage")
    operators.get("/v1/nodes")  # from here on the caller is known
    statements = []
    listen(appliance.database.engine, "before_cursor_execute", lambda *said: statements.append(said[2]))
    counts = []
    for limit in (5, 6):
        statements.clear()
        items = operators.get(f"/v1/nodes?limit={limit}").get_json()["items"]
        counts.append(len([text for text in statements if text.startswith("SELECT")]))
    assert counts[0] == counts[1]
    alone = operators.get("/v1/nodes/n3").get_json()
    assert items[3] == alone
    assert alone["waiting"]["for"] == "a free worker"
    assert [item["waiting"] is not None for item in items] == [False, False, False, True, False, False]


def test_a_start_that_fits_several_nodes_is_ambiguous(appliance, operators):
    for number in (1, 2):
        operators.post("/v1/nodes", json={"name": f"n{number}", "driver": "fake"})
        with appliance.database.write() as session:
            row = session.scalars(select(Node).where(Node.name == f"n{number}")).one()
            row.uuid = f"abcd{number}111-0000-4000-8000-000000000001"
    answer = operators.get("/v1/nodes/abcd")
    assert answer.status_code == 409
    assert error_of(answer)["code"] == "ambiguous"
    assert operators.get("/v1/nodes/abcd1").get_json()["name"] == "n1"


def test_a_change_of_a_version_that_is_gone_is_refused(operators):
    seen = operators.post("/v1/nodes", json=NODE).get_json()["version"]
    assert operators.patch("/v1/nodes/n1", json={"rack": "r01", "version": seen}).status_code == 200
    refused = operators.patch("/v1/nodes/n1", json={"rack": "r02", "version": seen})
    assert refused.status_code == 409
    assert "version" in error_of(refused)["why"]
    assert operators.get("/v1/nodes/n1").get_json()["rack"] == "r01"
    assert operators.patch("/v1/nodes/n1", json={"version": "1"}).status_code == 400


def test_the_verbs_of_an_instance_that_stays(appliance, operators):
    operators.post("/v1/nodes", json=NODE)
    with appliance.database.write() as session:
        session.scalars(select(Node)).one().provision_state = "active"
    for body in ({}, {"rescue_password": ""}, {"rescue_password": CANARY, "more": 1}):
        assert operators.post("/v1/nodes/n1/rescue", json=body).status_code == 400
    assert operators.post("/v1/nodes/n1/service", json={"service_steps": [{"step": "magic"}]}).status_code == 400
    assert operators.post("/v1/nodes/n1/unhold", json={}).status_code == 409
    answer = operators.post("/v1/nodes/n1/rescue", json={"rescue_password": CANARY})
    assert (answer.status_code, answer.get_json()["node"]["provision_state"]) == (202, "rescuing")
    for path in ("", "/timeline", "/why"):
        assert CANARY not in operators.get(f"/v1/nodes/n1{path}").get_data(as_text=True)
    with appliance.database.read() as session:
        node = session.scalars(select(Node)).one()
        assert CANARY.encode() not in (node.instance_secret or b"")
