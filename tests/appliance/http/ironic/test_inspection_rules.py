"""/v1/inspection_rules."""

import pytest

from appliance.domain.access import Role
from tests.fakes.ironic_client import fault

ACTION = {"op": "set-attribute", "args": {"path": "/properties/x", "value": "canary"}}
CONDITION = {"op": "eq", "args": {"values": ["{inventory[cpu][count]}", 4]}}
RULE = {"actions": [ACTION], "conditions": [CONDITION], "description": "four", "priority": 5}


def test_a_rule_is_made_shown_changed_and_goes(ironic):
    rule = ironic.post("/v1/inspection_rules", RULE).get_json()
    path = f"/v1/inspection_rules/{rule['uuid']}"
    assert rule == ironic.get(path).get_json()
    assert (rule["actions"], rule["conditions"], rule["phase"]) == ([ACTION], [CONDITION], "main")
    listed = ironic.get("/v1/inspection_rules").get_json()["inspection_rules"]
    assert set(listed[0]) == {"uuid", "description", "phase", "priority", "links"}
    patch = [{"op": "replace", "path": "/priority", "value": 7}, {"op": "add", "path": "/actions/-", "value": ACTION}]
    changed = ironic.patch(path, patch).get_json()
    assert (changed["priority"], len(changed["actions"])) == (7, 2)
    assert ironic.delete(path).status_code == 204
    ironic.post("/v1/inspection_rules", RULE)
    assert ironic.delete("/v1/inspection_rules").status_code == 204
    assert ironic.get("/v1/inspection_rules").get_json()["inspection_rules"] == []


def test_a_sensitive_rule_is_not_shown(ironic):
    made = ironic.post("/v1/inspection_rules", {**RULE, "sensitive": True})
    path = f"/v1/inspection_rules/{made.get_json()['uuid']}"
    assert b"canary" not in made.data + ironic.get(path).data + ironic.get("/v1/inspection_rules?detail=True").data
    assert made.get_json()["actions"] is None
    assert ironic.patch(path, [{"op": "replace", "path": "/sensitive", "value": False}]).status_code == 400
    assert b"canary" not in ironic.patch(path, [{"op": "replace", "path": "/priority", "value": 1}]).data


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"actions": []}, "at least one"), ({"actions": None}, "actions"),
        ({"conditions": [{"op": "x"}]}, "Unsupported"),
        ({"actions": [{"op": "run", "args": {}}]}, "Unsupported action"), ({"phase": "early"}, "Invalid phase"),
        ({"priority": -1}, "negative"), ({"priority": 10000}, "9999"), ({"priority": "10000"}, "9999"),
        ({"priority": "high"}, "whole number"),
        ({"sensitive": "x"}, "true, false"),
        ({"uuid": "x"}, "UUID"), ({"description": "d" * 256}, "longer"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_rule_is_refused(ironic, changes, said):
    answer = ironic.post("/v1/inspection_rules", {**RULE, **changes})
    assert answer.status_code == 400
    assert said in fault(answer)["faultstring"]


def test_priority_and_sensitivity_as_the_stock_command_sends_them(ironic):
    made = ironic.post("/v1/inspection_rules", {**RULE, "priority": "7", "sensitive": "true"}).get_json()
    assert (made["priority"], made["sensitive"], made["actions"]) == (7, True, None)


def test_rules_are_the_systems_and_come_with_96(appliance, ironic, client_for):
    assert ironic.get("/v1/inspection_rules", version="1.95").status_code == 404
    client = client_for(appliance.project_token(Role.ADMIN)[0])
    assert client.get("/v1/inspection_rules").status_code == 403
    assert client_for(appliance.token(Role.MEMBER)).post("/v1/inspection_rules", RULE).status_code == 403
