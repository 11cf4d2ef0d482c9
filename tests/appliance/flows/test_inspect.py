from sqlalchemy import select

from appliance.domain.lifecycle import Verb
from appliance.models.inspection_rule import InspectionRule
from appliance.models.node import Inventory
from tests.appliance.flows.harness import Rig
from tests.fakes.machines import INVENTORY


def test_the_report_becomes_inventory_and_properties(made: Rig) -> None:
    made.add_node("manageable", properties={"root_device": {"serial": "x"}})
    made.ask(Verb.INSPECT)
    made.drive()
    node = made.node()
    expected = {"cpus": 8, "cpu_arch": "x86_64", "memory_mb": 16384, "local_gb": 10, "capabilities": "boot_mode:uefi"}
    assert node.properties == {"root_device": {"serial": "x"}, **expected}
    assert node.boot_mode == "uefi"
    assert made._rows(select(Inventory))[0].report == INVENTORY


def test_a_second_inspection_replaces_the_first(made: Rig) -> None:
    made.add_node("manageable")
    for _ in range(2):
        made.ask(Verb.INSPECT)
        made.drive()
        made.clock.advance(60)
    assert len(made._rows(select(Inventory))) == 1


def test_a_rule_that_fails_ends_the_inspection(made: Rig) -> None:
    made.add_node("manageable")
    rule = InspectionRule(
        conditions=[{"op": "lt", "args": {"values": ["{inventory[memory][physical_mb]}", 32768]}}],
        actions=[{"op": "fail", "args": {"msg": "too little memory"}}],
        created_at=made.clock(),
    )
    with made.database.write() as session:
        session.add(rule)
    made.ask(Verb.INSPECT)
    made.drive()
    assert made.node().provision_state == "inspect failed"
    assert "too little memory" in str(made.node().last_error)
