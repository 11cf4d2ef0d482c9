"""/v1/deploy_templates."""

import pytest

from appliance.domain.access import Role
from appliance.services import deploy_templates
from tests.fakes.ironic_client import fault
from tests.fakes.rack import vault

STEP = {"interface": "bios", "step": "apply_configuration", "args": {"settings": []}, "priority": 150}
TEMPLATE = {"name": "CUSTOM_FAST", "steps": [STEP]}


def test_a_template_is_made_shown_changed_and_goes(ironic):
    made = ironic.post("/v1/deploy_templates", {**TEMPLATE, "extra": {"a": 1}})
    assert made.status_code == 201
    template = made.get_json()
    assert template["steps"] == [STEP]
    assert ironic.get("/v1/deploy_templates/CUSTOM_FAST").get_json() == template
    assert ironic.get("/v1/deploy_templates?detail=True").get_json()["deploy_templates"] == [template]
    assert set(ironic.get("/v1/deploy_templates").get_json()["deploy_templates"][0]) == {"uuid", "name", "links"}
    path = f"/v1/deploy_templates/{template['uuid']}"
    patch = [
        {"op": "replace", "path": "/name", "value": "HW_CPU_X86_VMX"},
        {"op": "replace", "path": "/steps/0/priority", "value": 9},
    ]
    changed = ironic.patch(path, patch).get_json()
    assert (changed["name"], changed["steps"][0]["priority"]) == ("HW_CPU_X86_VMX", 9)
    assert ironic.delete(path).status_code == 204
    assert ironic.get(path).status_code == 404


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"name": "fast"}, 400, "trait"),
        ({"name": "CUSTOM_TAKEN"}, 409, "CUSTOM_TAKEN"),
        ({"steps": []}, 400, "steps"),
        ({"steps": [STEP, STEP]}, 400, "Duplicate"),
        ({"steps": [{**STEP, "interface": "console"}]}, 400, "not one of"),
        ({"steps": [{**STEP, "priority": -1}]}, 400, "priority"),
        ({"steps": [{**STEP, "priority": True}]}, 400, "priority"),
        ({"steps": [{**STEP, "args": []}]}, 400, "args"),
        ({"steps": [{**STEP, "step": ""}]}, 400, "step"),
        ({"steps": [{**STEP, "x": 1}]}, 400, "unexpected"),
        ({"steps": [{"step": "a"}]}, 400, "required"),
        ({"steps": [STEP] * 101}, 400, "100"),
        ({"colour": 1}, 400, "unexpected"),
    ],
)
def test_what_cannot_be_a_template_is_refused(ironic, changes, status, said):
    ironic.post("/v1/deploy_templates", {**TEMPLATE, "name": "CUSTOM_TAKEN"})
    answer = ironic.post("/v1/deploy_templates", {**TEMPLATE, **changes})
    assert answer.status_code == status
    assert said in fault(answer)["faultstring"]


def test_secrets_in_arguments_are_masked(ironic, database):
    step = {**STEP, "args": {"bmc_password": "canary", "deep": [{"token": "canary"}]}}
    made = ironic.post("/v1/deploy_templates", {**TEMPLATE, "steps": [step]})
    assert b"canary" not in made.data + ironic.get("/v1/deploy_templates/CUSTOM_FAST").data
    patch = [{"op": "replace", "path": "/extra", "value": {"a": 1}}]
    assert b"canary" not in ironic.patch("/v1/deploy_templates/CUSTOM_FAST", patch).data
    masked = [{"op": "replace", "path": "/steps/0/priority", "value": 1}]
    assert ironic.patch("/v1/deploy_templates/CUSTOM_FAST", masked).status_code == 200
    with database.read() as session:
        (kept,) = deploy_templates.steps_for(session, vault(), ["CUSTOM_FAST"])
    assert kept == {**step, "priority": 1}
    shown = ironic.get("/v1/deploy_templates/CUSTOM_FAST").get_json()["steps"]
    back = [{"op": "replace", "path": "/steps", "value": shown}]
    assert "mask" in fault(ironic.patch("/v1/deploy_templates/CUSTOM_FAST", back))["faultstring"]


def test_templates_are_the_systems_and_come_with_55(appliance, ironic, client_for):
    assert ironic.get("/v1/deploy_templates", version="1.54").status_code == 404
    client = client_for(appliance.project_token(Role.ADMIN)[0])
    assert client.get("/v1/deploy_templates").status_code == 403
    assert client_for(appliance.token(Role.MEMBER)).post("/v1/deploy_templates", TEMPLATE).status_code == 403
