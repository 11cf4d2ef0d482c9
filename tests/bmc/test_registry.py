import dataclasses

import pytest

from bmc.errors import Denied, Unsupported
from bmc.registry import DRIVER_NAMES, Connections
from bmc.types import BmcTarget, PowerAction, PowerState
from tests.fakes.bmcs import rig

FAKE = BmcTarget(driver="fake", address="fake-1")


@pytest.fixture
def connections():
    made = Connections()
    yield made
    made.close()


@pytest.mark.parametrize("name", DRIVER_NAMES)
def test_every_driver_connects_without_an_exchange(connections, name):
    target = BmcTarget(driver=name, address="127.0.0.98", username="u", password="p")
    assert connections.connect(target) is connections.connect(target)


def test_an_unknown_driver_is_refused_with_the_names(connections):
    with pytest.raises(Unsupported, match="ipmi, redfish, manual, fake"):
        connections.connect(BmcTarget(driver="telepathy", address="x"))


def test_other_options_make_another_connection_to_the_same_machine(connections):
    first = connections.connect(FAKE)
    first.power(PowerAction.ON)
    second = connections.connect(dataclasses.replace(FAKE, options={"delay_s": 0}))
    assert second is not first
    assert second.power_state() is PowerState.ON


def test_a_corrected_password_works_at_once(connections):
    with rig() as one:
        wrong = dataclasses.replace(one.target, password="wrong")
        with pytest.raises(Denied):
            connections.connect(wrong).power_state()
        assert connections.connect(one.target).power_state() is PowerState.OFF
        connections.forget(one.target)
        assert connections.connect(one.target).power_state() is PowerState.OFF
        connections.close()
