from typing import Any

import pytest
from sqlalchemy import select

from appliance.domain.lifecycle import Verb
from appliance.flows.inspect import properties_of
from appliance.models.node import Inventory
from tests.appliance.flows.harness import Rig
from tests.fakes.machines import INVENTORY


def test_the_report_becomes_inventory_and_properties(made: Rig) -> None:
    made.add_node("manageable", properties={"root_device": {"serial": "x"}})
    made.ask(Verb.INSPECT)
    made.drive()
    node = made.node()
    expected = {"cpus": 8, "cpu_arch": "x86_64", "memory_mb": 16384, "local_gb": 10}
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


@pytest.mark.parametrize(
    ("report", "expected"),
    [({}, {"local_gb": 0}), ({"cpu": {"cores": 4}, "disks": [{"size_bytes": None}]}, {"cpus": 4, "local_gb": 0})],
)
def test_a_poor_report_gives_what_it_has(report: dict[str, Any], expected: dict[str, Any]) -> None:
    assert properties_of(report) == expected
