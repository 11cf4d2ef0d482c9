"""A machine's power, console and boot order, with a stand-in for QEMU (tests/fakes/lab_qemu.py)."""

import json
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from appliance.lab import hardware, qemu, spec
from appliance.lab.hardware import Hardware, PowerEvent, StartFailed
from bmc.types import BootDevice
from tests.fakes import lab_qemu

NODE = spec.rack(["bios"], disk_gib=1).nodes[0]


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine whose events and POSTs can be waited for."""
    monkeypatch.setattr(qemu, "argv", _stand_in)
    probe = Probe(tmp_path)
    # How long a burst of resets lasts is up to the tests: a busy machine would draw one out into several.
    monkeypatch.setattr(hardware, "threading", SimpleNamespace(**vars(threading) | {"Timer": probe.hold}))
    probe.hardware = Hardware(NODE, tmp_path, has_kcs=False, on_event=probe.take)
    yield probe
    probe.hardware.close()


def _stand_in(_node, order, *, qmp_fd, serial_fd, has_kcs):
    first = json.dumps({qemu.NIC_PATH: order.nic, qemu.DISK_PATH: order.disk})
    return [sys.executable, lab_qemu.__file__, str(qmp_fd), str(serial_fd), first]


class Probe:
    def __init__(self, directory):
        self.directory = directory
        self.events = []
        self._changed = threading.Condition()
        self._console = b""
        self._held = []

    def take(self, event):
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def console(self, data):
        with self._changed:
            self._console += data
            self._changed.notify_all()

    def hold(self, _seconds, function, arguments):
        """A timer that runs in `settle`."""

        def start():
            with self._changed:
                self._held.append(lambda: function(*arguments))
                self._changed.notify_all()

        return SimpleNamespace(daemon=True, start=start)

    def settle(self, *, resets=1 + lab_qemu.RESETS_OF_SEABIOS):
        """So many resets, and then enough time for them to count as one POST."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self._held) == resets, 30), self._held
            held, self._held = self._held, []
        for ring in held:
            ring()
        self.hardware._keeper.submit(lambda: None).result(30)

    def wait_event(self, event):
        with self._changed:
            assert self._changed.wait_for(lambda: event in self.events, 30), self.events

    def wait_console(self, text):
        with self._changed:
            assert self._changed.wait_for(lambda: text in self._console, 30), self._console

    def boots(self):
        return (self.directory / "boots.txt").read_text().split()


def test_on_and_off(machine):
    assert not machine.hardware.is_on()
    assert machine.hardware.process_id() is None
    machine.hardware.power_on()
    machine.hardware.power_on()
    pid = machine.hardware.process_id()
    assert machine.hardware.is_on()
    machine.hardware.power_off()
    machine.hardware.power_off()
    assert not machine.hardware.is_on()
    assert not Path(f"/proc/{pid}").exists()
    assert machine.boots() == ["nic"]
    assert machine.events == [], "the BMC logs its own commands itself"


def test_the_button_switches_on_and_then_asks_the_system_to_stop(machine):
    machine.hardware.press_button()
    machine.wait_event(PowerEvent.BUTTON)
    machine.hardware.press_button()
    machine.wait_event(PowerEvent.SELF_OFF)
    assert not machine.hardware.is_on()


def test_an_override_for_one_boot_is_used_by_the_first_power_on_only(machine):
    machine.hardware.set_boot_order(once=BootDevice.DISK, persistent=BootDevice.NONE)
    machine.hardware.power_on()
    machine.hardware.pulse_nmi()
    machine.wait_event(PowerEvent.SELF_RESET)
    assert machine.boots() == ["disk", "nic"]


def test_an_override_survives_the_resets_that_seabios_adds(machine):
    machine.hardware.power_on()
    machine.hardware.set_boot_order(once=BootDevice.DISK, persistent=BootDevice.NONE)
    machine.hardware.reset()
    machine.settle()
    assert machine.boots() == ["nic", "disk", "disk", "disk"]
    machine.hardware.reset()
    machine.settle()
    assert machine.boots()[4:] == ["nic"] * 3
    assert PowerEvent.SELF_RESET not in machine.events, "SeaBIOS's own resets are not the system's"


def test_an_order_given_right_after_a_reset_is_for_the_next_boot(machine):
    machine.hardware.power_on()
    machine.hardware.reset()
    machine.hardware.set_boot_order(once=BootDevice.DISK, persistent=BootDevice.NONE)
    machine.settle()
    machine.hardware.pulse_nmi()
    machine.wait_event(PowerEvent.SELF_RESET)
    assert machine.boots()[-1] == "disk"


def test_a_persistent_order_stays_over_power_cuts_and_an_override_does_not(machine):
    machine.hardware.set_boot_order(once=BootDevice.PXE, persistent=BootDevice.DISK)
    machine.hardware.pull_plug()
    machine.hardware.power_on()
    machine.hardware.set_boot_order(once=BootDevice.PXE, persistent=BootDevice.DISK)
    machine.hardware.pull_plug()
    assert not machine.hardware.is_on()
    machine.hardware.power_on()
    assert machine.boots() == ["disk", "disk"]


def test_the_console_goes_both_ways_and_no_further_than_asked(machine):
    machine.hardware.console_write(b"lost, the machine is off")
    machine.hardware.on_console(machine.console)
    machine.hardware.power_on()
    machine.hardware.console_write(b"hello")
    machine.wait_console(b"HELLO")
    machine.hardware.on_console(None)
    machine.hardware.console_write(b"more")


def test_a_qemu_that_cannot_start_is_an_error_and_can_be_tried_again(machine, monkeypatch):
    monkeypatch.setattr(qemu, "argv", lambda *a, **k: [*_stand_in(*a, **k), "die"])
    with pytest.raises(StartFailed, match=r"qemu\.log"):
        machine.hardware.power_on()
    assert not machine.hardware.is_on()
    monkeypatch.setattr(qemu, "argv", _stand_in)
    machine.hardware.power_on()
    assert machine.hardware.is_on()


def test_disk_and_firmware_variables_are_made_once(tmp_path):
    node = spec.rack(["uefi"], disk_gib=2).nodes[0]
    hardware.prepare_files(node, tmp_path)
    disk = tmp_path / qemu.DISK_FILE
    assert disk.stat().st_size == 2 * 1024**3
    assert disk.stat().st_blocks == 0, "sparse"
    disk.write_bytes(b"kept")
    (tmp_path / qemu.VARS_FILE).write_bytes(b"kept")
    hardware.prepare_files(node, tmp_path)
    assert disk.read_bytes() == (tmp_path / qemu.VARS_FILE).read_bytes() == b"kept"
