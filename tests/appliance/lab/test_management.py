from pathlib import Path

import pytest

from appliance.lab import spec
from appliance.lab.hardware import PowerEvent
from appliance.lab.management import Management, lan_settings

NODES = spec.rack(["bios", "uefi"]).nodes


class DarkMachine:
    """A machine that is off."""

    def is_on(self):
        return False

    def on_console(self, sink):
        pass


@pytest.fixture
def management():
    return Management(NODES[0], DarkMachine(), kcs_path=Path("never.sock"))


def test_each_bmc_has_an_address_and_a_mac_of_its_own():
    shown = [lan_settings(node) for node in NODES]
    assert [lan.address for lan in shown] == ["10.77.0.201", "10.77.0.202"]
    assert len({lan.mac for lan in shown} | {node.mac for node in NODES}) == 4


@pytest.mark.parametrize(
    ("event", "sensor_type", "is_deassertion"),
    [(PowerEvent.BUTTON, 0x09, True), (PowerEvent.SELF_OFF, 0x09, False), (PowerEvent.SELF_RESET, 0x1D, False)],
)
def test_what_the_machine_does_by_itself_is_in_the_event_log(management, event, sensor_type, is_deassertion):
    management.record(event)
    log = management._bmc.controller.events
    assert len(log) == 1
    _, record = log.entry(0)
    assert record[10] == sensor_type
    assert bool(record[12] & 0x80) == is_deassertion


def test_a_bmc_that_never_started_can_be_stopped(management):
    assert not management.is_running()
    management.stop()
