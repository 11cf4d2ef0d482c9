"""`kill -9` of each process in the middle of the deploys of several machines: all go on by themselves, once each."""

import pytest

from tests.fakes.served import Served

NODES = 4


def all_active_once(appliance: Served, refs: list[str]) -> None:
    for ref in refs:
        node = appliance.rest(ref, within_s=90)
        assert node["provision_state"] == "active", node["failure"] or node["last_error"]
        assert node["failure"] is None
        moves = [event["data"] for event in appliance.events(ref) if event["kind"] == "state"]
        assert [(move["from"], move["to"]) for move in moves].count(("available", "deploying")) == 1
        assert [move["to"] for move in moves].count("active") == 1, "exactly once"
    flows = [flow for flow in appliance.get("/v1/flows?state=all")["items"] if flow["kind"] == "deploy"]
    assert [flow["status"] for flow in flows] == ["done"] * len(refs)


@pytest.mark.parametrize("name", ["control", "netboot", "supervisor", "guard"])
def test_a_killed_process_loses_no_deploy(start, name):
    appliance = start()
    appliance.add_image("small")
    refs = appliance.fleet(NODES)
    for ref in refs:
        options = {"driver_options": {"agent_delay_s": 1.0}}
        appliance.call("PATCH", f"/v1/nodes/{ref}", options)
        appliance.call("POST", f"/v1/nodes/{ref}/deploy", {"image": "small"})
    appliance.until(
        lambda: any(appliance.node(ref)["provision_state"] == "wait call-back" for ref in refs),
        within_s=60,
        what="the deploys are under way",
    )
    killed = appliance.kill(name)
    if name == "guard":
        appliance.start(wait=False)  # what systemd does; it relieves the supervisor that lost its guard
    all_active_once(appliance, refs)
    appliance.until(lambda: appliance.status().get("is_ready"), within_s=60, what="all serve again")
    assert appliance.pid(name) != killed


def test_a_control_that_is_killed_again_and_again_gets_there(either):
    appliance = either
    appliance.add_image("small")
    refs = appliance.fleet(NODES)
    for ref in refs:
        appliance.call("PATCH", f"/v1/nodes/{ref}", {"driver_options": {"agent_delay_s": 1.5}})
        appliance.call("POST", f"/v1/nodes/{ref}/deploy", {"image": "small"})
    for _ in range(3):
        seen = {ref: appliance.node(ref)["updated_at"] for ref in refs}
        appliance.until(
            lambda seen=seen: any(appliance.node(ref)["updated_at"] != at for ref, at in seen.items()),
            within_s=60,
            what="one of them moves on",
        )
        appliance.kill("control")
    all_active_once(appliance, refs)
