"""The agent as the ramdisk starts it, a zip application in its own process, against a pretend machine and appliance."""

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from images.ramdisk import zip_application
from tests.fakes.fake_control import FakeControl
from tests.fakes.machine_tree import MachineTree

_MIB = 1024 * 1024


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    path = tmp_path_factory.mktemp("agent") / "agent.pyz"
    path.write_bytes(zip_application(Path(__file__).parents[2]))
    return path


@pytest.fixture
def machine(tmp_path):
    (tmp_path / "machine").mkdir()
    tree = MachineTree(tmp_path / "machine")
    tree.nic("eth0", "52:54:00:00:00:01")
    tree.disk("vda", 4 * _MIB, serial="S-1")
    tree.ready()
    return tree


@pytest.fixture
def control(tmp_path):
    with FakeControl(tmp_path).running() as running:
        yield running


@contextmanager
def _agent(program, machine, control, *, words=None):
    machine.write("proc/cmdline", f"console=ttyS0 {words or control.kernel_words()}\n")
    argv = [sys.executable, "-I", "-S", str(program), "--root", str(machine.root)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_from_the_first_call_to_leaving(program, machine, control):
    control.heartbeat_s = 1
    with _agent(program, machine, control) as process:
        control.await_that(lambda: control.inventories)
        assert control.lookups == [
            {
                "boot_secret": control.secret,
                "macs": ["52:54:00:00:00:01"],
                "agent_version": "1",
                "boot_mac": "52:54:00:00:00:01",
            }
        ]
        inventory = control.inventories[0]
        assert (inventory["serial"], inventory["boot_mac"]) == ("SN-1", "52:54:00:00:00:01")
        assert inventory["timings"].keys() == {"init", "network", "agent"}
        control.order("a1", "inspect")
        control.await_that(lambda: control.final("a1"))
        assert control.final("a1")["result"]["inventory"]["disks"][0]["serial"] == "S-1"
        control.order("a2", "erase", {"method": "metadata", "skip": ["other"]})
        control.await_that(lambda: control.final("a2"))
        assert control.final("a2")["result"]["disks"][0]["status"] == "erased"
        assert not any((machine.root / "dev/vda").read_bytes()[:_MIB])
        control.await_that(lambda: any("command ended name=erase" in line for line in control.lines))
        control.await_that(lambda: any(told["busy"] is None for told in control.heartbeats))
        control.order("a3", "power_off")
        control.await_that(lambda: control.final("a3"))
        said = process.communicate(timeout=30)[0]
        assert process.returncode == 0
    assert (machine.root / "run/rackwright/left").read_text() == "power_off"
    for text in (said, "\n".join(control.lines)):
        assert control.secret not in text
        assert "session-1" not in text


def test_the_appliance_restarts_and_forgets_its_answers(program, machine, control):
    with _agent(program, machine, control):
        control.await_that(lambda: control.inventories)
        control.stop()
        control.order("b1", "inspect")
        control.faults = [503, 0, 500]
        control.start()
        control.await_that(lambda: control.final("b1"))
        assert len(control.lookups) == 1


def test_a_result_is_repeated_until_it_is_taken(program, machine, control):
    with _agent(program, machine, control):
        control.await_that(lambda: control.inventories)
        control.order("c1", "erase", {"method": "metadata"})
        control.await_that(lambda: control.paths and control.paths[-1].startswith("/agent/v1/command?"))
        with control.changed:
            control.faults = [500, 0, 503]
        control.await_that(lambda: control.final("c1"))
        assert control.final("c1")["status"] == "done"


def test_another_process_of_the_same_boot_uses_the_session_again(program, machine, control):
    with _agent(program, machine, control):
        control.await_that(lambda: control.inventories)
    with _agent(program, machine, control):
        control.await_that(lambda: len(control.inventories) == 2)
    assert len(control.lookups) == 1


def test_bad_parameters_and_unknown_commands_fail_without_showing_secrets(program, machine, control):
    with _agent(program, machine, control):
        control.order("d1", "setup_bmc", {"username": "x", "password": "hush-hush"})
        control.await_that(lambda: control.final("d1"))
        assert "no management controller" in control.final("d1")["error"]
        control.order("d2", "sing")
        control.await_that(lambda: control.final("d2"))
        assert control.final("d2")["status"] == "failed"
        control.await_that(lambda: any("name=sing" in line for line in control.lines))
    assert "hush-hush" not in "\n".join(control.lines)


def test_a_wrong_authority_is_never_spoken_to(program, machine, control):
    words = control.kernel_words().replace(control.authority.sha256, "00" * 32)
    with _agent(program, machine, control, words=words) as process:
        assert "is not the one that the boot script named" in process.stdout.readline()
    assert control.paths == []


def test_without_its_kernel_words_it_says_so_and_ends(program, machine, control):
    with _agent(program, machine, control, words="quiet") as process:
        said = process.communicate(timeout=30)[0]
        assert (process.returncode, "rackwright.api is missing" in said) == (1, True)
