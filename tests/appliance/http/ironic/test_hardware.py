import pytest

from appliance.http.ironic import hardware
from appliance.http.ironic.errors import BadRequest
from bmc.registry import DRIVER_NAMES


def test_each_driver_has_a_name_of_the_field_and_finds_back():
    for ours in DRIVER_NAMES:
        assert hardware.to_ours(hardware.to_wire(ours)) == ours
    assert {"ipmi", "redfish", "fake-hardware", "manual-management"} == set(hardware.names())


@pytest.mark.parametrize("wire", ["fake", "manual", "none", "", None, 7])
def test_our_own_words_are_no_drivers(wire):
    with pytest.raises(BadRequest, match="No valid host was found"):
        hardware.driver(wire)


@pytest.mark.parametrize("ours", DRIVER_NAMES)
def test_each_driver_has_a_way_of_each_kind(ours):
    ways = hardware.ways(ours)
    assert set(ways) == set(hardware.KINDS)
    for kind, possible in ways.items():
        hardware.check(ours, kind, possible[0])
    with pytest.raises(BadRequest, match="Valid interfaces are"):
        hardware.check(ours, "deploy", "ansible")
