"""What every driver with all capabilities does. A test module derives from it and gives the fixture `bmc`."""

import threading
from collections.abc import Callable
from typing import Protocol

import pytest

from bmc.api import (
    Bmc,
    ConsoleStream,
    HasConsole,
    HasEventLog,
    HasFru,
    HasIdentify,
    HasIdentity,
    HasIndicators,
    HasInterrupt,
    HasSecureBoot,
    HasSensors,
    HasVirtualMedia,
)
from bmc.errors import BmcError, Unsupported
from bmc.types import BootDevice, BootOverride, MediaKind, PowerAction, PowerState


class FullBmc(Bmc, HasIdentity, HasSensors, HasEventLog, HasFru, HasIdentify, HasConsole, Protocol):
    """A driver with every capability."""


USUAL = (Bmc, HasIdentity, HasSensors, HasEventLog, HasFru, HasIdentify)
FURTHER = (HasConsole, HasInterrupt, HasVirtualMedia, HasSecureBoot, HasIndicators)


class QuietBmcContract:
    """All but the serial console. further: what the driver has beyond the usual; the tests for it are classes here."""

    further: tuple[type, ...] = ()

    @pytest.fixture
    def bmc(self) -> FullBmc:
        raise AssertionError("the deriving class gives the BMC, with its machine off")

    def test_has_these_capabilities_and_no_others(self, bmc: FullBmc) -> None:
        assert tuple(one for one in (*USUAL, *FURTHER) if isinstance(bmc, one)) == (*USUAL, *self.further)

    def test_power_on_and_off_are_seen_and_harmless_to_repeat(self, bmc: FullBmc) -> None:
        assert bmc.power_state() is PowerState.OFF
        for _ in range(2):
            bmc.power(PowerAction.ON)
            assert bmc.power_state() is PowerState.ON
        for _ in range(2):
            bmc.power(PowerAction.OFF)
            assert bmc.power_state() is PowerState.OFF

    @pytest.mark.parametrize("action", [PowerAction.RESET, PowerAction.CYCLE])
    def test_restart_keeps_a_machine_on(self, bmc: FullBmc, action: PowerAction) -> None:
        bmc.power(PowerAction.ON)
        bmc.power(action)
        assert bmc.power_state() is PowerState.ON

    @pytest.mark.parametrize("action", [PowerAction.RESET, PowerAction.CYCLE])
    def test_restart_of_a_machine_that_is_off_is_refused(self, bmc: FullBmc, action: PowerAction) -> None:
        with pytest.raises(Unsupported, match="off"):
            bmc.power(action)
        assert bmc.power_state() is PowerState.OFF

    def test_soft_off_of_a_machine_that_is_off_is_harmless(self, bmc: FullBmc) -> None:
        bmc.power(PowerAction.SOFT_OFF)
        assert bmc.power_state() is PowerState.OFF

    @pytest.mark.parametrize("device", [BootDevice.PXE, BootDevice.DISK, BootDevice.CDROM, BootDevice.BIOS])
    @pytest.mark.parametrize("persistent", [False, True])
    @pytest.mark.parametrize("is_uefi", [False, True])
    def test_boot_device_is_read_back(self, bmc: FullBmc, device: BootDevice, persistent: bool, is_uefi: bool) -> None:
        wanted = BootOverride(device=device, persistent=persistent, is_uefi=is_uefi)
        bmc.set_boot_override(wanted)
        assert bmc.boot_override() == wanted

    def test_boot_device_once_is_gone_after_the_start_and_a_persistent_one_stays(self, bmc: FullBmc) -> None:
        once = BootOverride(device=BootDevice.PXE)
        bmc.set_boot_override(once)
        bmc.power(PowerAction.ON)
        assert bmc.boot_override() == BootOverride(device=BootDevice.NONE)
        always = BootOverride(device=BootDevice.DISK, persistent=True)
        bmc.set_boot_override(always)
        bmc.power(PowerAction.RESET)
        assert bmc.boot_override() == always

    def test_boot_device_is_cleared(self, bmc: FullBmc) -> None:
        bmc.set_boot_override(BootOverride(device=BootDevice.PXE, persistent=True))
        bmc.set_boot_override(BootOverride(device=BootDevice.NONE))
        assert bmc.boot_override() == BootOverride(device=BootDevice.NONE)

    def test_says_who_it_is(self, bmc: FullBmc) -> None:
        assert bmc.info().firmware_version == "1.00"
        lan = bmc.lan()
        assert lan.mac.count(":") == 5
        assert lan.netmask == "255.255.255.0"

    def test_sensors_have_names_and_units(self, bmc: FullBmc) -> None:
        bmc.power(PowerAction.ON)
        sensors = {sensor.name: sensor for sensor in bmc.sensors()}
        assert sensors["Inlet Temp"].value == pytest.approx(23.0)
        assert sensors["Inlet Temp"].unit == "°C"
        assert sensors["Fan 1"].unit == "RPM"
        assert all(sensor.health in ("ok", "unknown") for sensor in sensors.values())

    def test_power_leaves_traces_in_the_event_log(self, bmc: FullBmc) -> None:
        assert bmc.event_log() == []
        bmc.power(PowerAction.ON)
        bmc.power(PowerAction.OFF)
        log = bmc.event_log()
        assert [entry.record_id for entry in log] == [1, 2]
        assert "off" in log[1].event.lower()

    def test_fru_names_the_serial(self, bmc: FullBmc) -> None:
        assert bmc.fru()["Serial Number"]

    def test_identify_is_accepted(self, bmc: FullBmc) -> None:
        bmc.identify(on_s=5)
        bmc.identify(on_s=0)

    def test_many_threads_may_ask_at_once(self, bmc: FullBmc) -> None:
        states = []
        threads = [threading.Thread(target=lambda: states.append(bmc.power_state())) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert states == [PowerState.OFF] * 8


class InterruptContract:
    """Gives `bmc`, and `interrupts`: how often the machine behind it was interrupted."""

    def test_a_machine_that_runs_is_interrupted_once(self, bmc: HasInterrupt, interrupts: Callable[[], int]) -> None:
        assert isinstance(bmc, Bmc)
        bmc.power(PowerAction.ON)
        bmc.interrupt()
        assert interrupts() == 1
        assert bmc.power_state() is PowerState.ON

    def test_one_that_is_off_is_not(self, bmc: HasInterrupt, interrupts: Callable[[], int]) -> None:
        with pytest.raises(Unsupported, match="off"):
            bmc.interrupt()
        assert interrupts() == 0


class MediaContract:
    def test_what_is_put_in_is_shown_until_it_is_taken_out(self, bmc: HasVirtualMedia) -> None:
        assert not any(slot.is_inserted for slot in bmc.media())
        for kind, types in ((MediaKind.CDROM, "CD"), (MediaKind.DISK, "USBStick")):
            bmc.insert_media(kind, f"http://192.0.2.1/{kind.value}.iso")
            held = [slot for slot in bmc.media() if slot.image == f"http://192.0.2.1/{kind.value}.iso"]
            assert [slot.is_inserted for slot in held] == [True]
            assert types in held[0].types
        bmc.eject_media([MediaKind.CDROM])
        assert [slot.image for slot in bmc.media() if slot.is_inserted] == ["http://192.0.2.1/disk.iso"]
        bmc.eject_media()
        bmc.eject_media()
        assert not any(slot.is_inserted or slot.image for slot in bmc.media())

    def test_a_second_image_takes_the_place_of_the_first(self, bmc: HasVirtualMedia) -> None:
        bmc.insert_media(MediaKind.CDROM, "http://192.0.2.1/a.iso")
        bmc.insert_media(MediaKind.CDROM, "http://192.0.2.1/b.iso")
        assert [slot.image for slot in bmc.media() if slot.is_inserted] == ["http://192.0.2.1/b.iso"]


class BmcContract(QuietBmcContract):
    """With a serial console, over IPMI."""

    further = (HasConsole,)

    def test_speaks_ipmi_2(self, bmc: FullBmc) -> None:
        assert bmc.info().ipmi_version == "2.0"

    def test_console_carries_bytes_both_ways(self, bmc: FullBmc) -> None:
        arrived = threading.Event()
        heard = bytearray()

        def listen(data: bytes) -> None:
            heard.extend(data)
            if b"ping" in bytes(heard).lower():
                arrived.set()

        console = bmc.open_console(listen)
        assert console.is_open
        console.write(b"ping")
        assert arrived.wait(30)
        console.close()
        with pytest.raises(BmcError):
            write_until_closed(console)


def write_until_closed(console: ConsoleStream) -> None:
    for _ in range(200):
        console.write(b"x")
        threading.Event().wait(0.01)
