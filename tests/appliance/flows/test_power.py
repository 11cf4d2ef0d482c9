"""Aiming a machine at what it boots from next."""

from types import SimpleNamespace

import pytest

from appliance.flows.power import aim
from bmc.errors import Unreachable, Unsupported
from bmc.types import BootDevice, BootOverride


def turn(read):
    """read: what the BMC says, or the error that it ends with."""
    done = []

    def boot_override():
        if isinstance(read, Exception):
            raise read
        return read

    bmc = SimpleNamespace(boot_override=boot_override, set_boot_override=done.append)
    return SimpleNamespace(bmc=bmc, node=SimpleNamespace(boot_mode="uefi"), check=lambda: None), done


def test_what_is_set_is_not_set_again():
    wanted = BootOverride(device=BootDevice.PXE, is_uefi=True)
    for read, count in ((wanted, 0), (BootOverride(device=BootDevice.DISK), 1)):
        one, done = turn(read)
        aim(one, BootDevice.PXE)
        assert done == [wanted] * count


def test_a_device_without_a_name_here_gives_way():
    one, done = turn(Unsupported("set to boot from a device we do not know: UefiTarget"))
    aim(one, BootDevice.DISK)
    assert done == [BootOverride(device=BootDevice.DISK, persistent=True, is_uefi=True)]


def test_a_bmc_that_does_not_answer_is_not_told_anything():
    one, done = turn(Unreachable())
    with pytest.raises(Unreachable):
        aim(one, BootDevice.PXE)
    assert done == []
