import sys
from types import SimpleNamespace

import pytest

from agent import commands
from agent.errors import Refused
from agent.host import Host
from agent.loop import Outcome, Task
from agent.wire import CommandName
from tests.fakes.machine_tree import MachineTree


@pytest.fixture
def context(tmp_path):
    MachineTree(tmp_path).ready()
    return commands.Context(Host(tmp_path), lambda _progress: None, lambda: False, lambda: {"disks": []})


def _do(context, name, **params):
    return commands.execute(Task("a1", name, params), context)


def test_every_command_of_the_protocol_is_known():
    assert set(commands.COMMANDS) == set(CommandName.__args__)


def test_inspect(context):
    assert _do(context, "inspect") == Outcome({"inventory": {"disks": []}})


@pytest.mark.parametrize("how", ["reboot", "power_off"])
def test_leaving(context, how):
    assert _do(context, how) == Outcome({}, then=how)


def test_boot_disk_by_reboot_needs_no_image_code(context):
    assert _do(context, "boot_disk", method="reboot") == Outcome({}, then="reboot")


def test_images_are_handed_on(context, monkeypatch):
    seen = []
    pretend = SimpleNamespace(
        write_image=lambda params, _report, _is_cancelled, root: seen.append((params, root)) or {"bytes": 5},
        load_kexec=lambda params, _report, _is_cancelled, root: {"kernel": "6.1"},
    )
    monkeypatch.setitem(sys.modules, "agent.imaging", pretend)
    assert _do(context, "write_image", stream={}) == Outcome({"bytes": 5})
    assert seen == [({"stream": {}}, context.host.root)], "never the disk of the computer that runs a test"
    assert _do(context, "boot_disk", method="kexec") == Outcome({"kernel": "6.1"}, then="kexec")


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("format_everything", {}),
        ("erase", {}),
        ("erase", {"method": "fire"}),
        ("erase", {"method": "metadata", "disks": "S-1"}),
        ("erase", {"method": "metadata", "skip": [1]}),
        ("boot_disk", {}),
        ("setup_bmc", {"username": "x", "password": "y"}),
    ],
)
def test_what_is_refused(context, name, params):
    with pytest.raises(Refused):
        _do(context, name, **params)


def test_a_failed_disk_fails_the_command_and_keeps_the_results(context):
    tree = MachineTree.__new__(MachineTree)
    tree.root = context.host.root
    tree.disk("vda", 4096, serial="A").unlink()
    outcome = _do(context, "erase", method="metadata")
    assert outcome.error.startswith("/dev/vda: ")
    assert outcome.result["disks"][0]["status"] == "failed"
