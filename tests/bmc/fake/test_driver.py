import dataclasses

import pytest

from bmc.api import HasConsole, HasVirtualMedia
from bmc.errors import BmcError, Busy, Unreachable, Unsupported
from bmc.fake.driver import FakeBmc, FakeMachines
from bmc.types import BmcTarget, BootDevice, BootOverride, PowerAction, PowerState
from tests.contracts.bmc_contract import BmcContract, MediaContract

TARGET = BmcTarget(driver="fake", address="fake-1")


def fake(machines=None, **options):
    return FakeBmc(dataclasses.replace(TARGET, options=options), machines or FakeMachines())


class TestContract(BmcContract, MediaContract):
    further = (HasConsole, HasVirtualMedia)

    @pytest.fixture
    def bmc(self):
        return fake()


def test_state_is_kept_per_address():
    machines = FakeMachines()
    fake(machines).power(PowerAction.ON)
    assert fake(machines).power_state() is PowerState.ON


def test_failures_repeat_with_the_seed():
    def failures(seed):
        bmc = fake(fail={"power_state": 0.4}, seed=seed, error="busy")
        out = []
        for _ in range(50):
            try:
                bmc.power_state()
            except Busy:
                out.append(True)
            else:
                out.append(False)
        return out

    assert failures(1) == failures(1)
    assert failures(1) != failures(2)
    assert 8 < sum(failures(1)) < 32


def test_a_delay_past_the_deadline_is_a_timeout():
    with pytest.raises(Unreachable):
        fake(delay_s=5).power_state(deadline_s=0.01)
    fake(delay_s=0.001).power_state()


def test_it_can_lie():
    bmc = fake(ignore=["power", "set_boot_override"])
    bmc.power(PowerAction.ON)
    assert bmc.power_state() is PowerState.OFF
    with pytest.raises(Unsupported):
        bmc.set_boot_override(BootOverride(device=BootDevice.PXE))


def test_it_starts_on_when_asked():
    assert fake(power="on").power_state() is PowerState.ON


def test_a_closed_console_refuses():
    console = fake().open_console(lambda _data: None)
    console.close()
    with pytest.raises(BmcError):
        console.write(b"x")


def test_what_the_record_newly_says_is_believed_once():
    machines = FakeMachines()
    assert fake(machines, power="on").power_state() is PowerState.ON
    fake(machines, power="on").power(PowerAction.OFF)
    assert fake(machines, power="on").power_state() is PowerState.OFF, "an old word does not undo what was done since"
    assert fake(machines, power="off").power_state() is PowerState.OFF
    assert fake(machines, power="on").power_state() is PowerState.ON
