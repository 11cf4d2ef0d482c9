import dataclasses

import pytest

from bmc.api import Bmc, HasSensors
from bmc.errors import Unsupported
from bmc.manual.driver import SENTENCES, ManualBmc, ManualRecords
from bmc.types import BmcTarget, BootDevice, BootOverride, PowerAction, PowerState

TARGET = BmcTarget(driver="manual", address="desk-1")


@pytest.fixture
def bmc():
    return ManualBmc(TARGET, ManualRecords())


def test_it_offers_the_least_and_no_more(bmc):
    assert isinstance(bmc, Bmc)
    assert not isinstance(bmc, HasSensors)


def test_nothing_is_guessed(bmc):
    with pytest.raises(Unsupported, match="nobody has said"):
        bmc.power_state()


@pytest.mark.parametrize("action", PowerAction)
def test_the_operator_is_told_what_to_do_and_says_when_it_is_done(bmc, action):
    with pytest.raises(Unsupported) as told:
        bmc.power(action)
    assert SENTENCES[action] in str(told.value)
    assert bmc.requested is action
    bmc.confirm(action)
    assert bmc.requested is None
    bmc.power_state()


def test_what_is_already_so_needs_no_operator(bmc):
    bmc.confirm(PowerAction.ON)
    bmc.power(PowerAction.ON)
    assert bmc.requested is None


def test_a_state_may_be_assumed():
    target = dataclasses.replace(TARGET, options={"power": "on"})
    assert ManualBmc(target, ManualRecords()).power_state() is PowerState.ON


def test_the_boot_device_is_remembered(bmc):
    wanted = BootOverride(device=BootDevice.PXE, persistent=True)
    bmc.set_boot_override(wanted)
    assert bmc.boot_override() == wanted
