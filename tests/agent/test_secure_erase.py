from pathlib import Path

import pytest

from agent import secure_erase
from agent.errors import ProgramFailed

_READY = """
/dev/sda:

ATA device, with non-removable media
Security:
\tMaster password revision code = 65534
\t\tsupported
\tnot\tenabled
\tnot\tlocked
\tnot\tfrozen
\tnot\texpired: security count
\t\tsupported: enhanced erase
\t6min for SECURITY ERASE UNIT. 32min for ENHANCED SECURITY ERASE UNIT.
Logical Unit WWN Device Identifier: 5002538
"""


class _Host:
    def __init__(self, identity, fail=()):
        self.identity, self.fail, self.calls = identity, fail, []

    def run(self, argv, *, timeout_s, stdin=None):
        self.calls.append((argv, timeout_s))
        if any(word in self.fail for word in argv):
            raise ProgramFailed("hdparm", 5, "")
        return self.identity if "-I" in argv else ""


def _attempt(host):
    return secure_erase.attempt(host, {"bus": "sata", "name": "/dev/sda"}, Path("/dev/sda"))


def _options(host):
    return [next(word for word in argv if word.startswith(("-I", "--security"))) for argv, _ in host.calls]


def test_a_ready_disk_gets_the_enhanced_erase_and_the_time_it_asks_for():
    host = _Host(_READY)
    assert _attempt(host) == "ATA secure erase"
    assert _options(host) == ["-I", "--security-set-pass", "--security-erase-enhanced"]
    assert host.calls[-1][1] == 32 * 60 * 2


@pytest.mark.parametrize(
    ("old", "new"),
    [("not\tfrozen", "\tfrozen"), ("not\tlocked", "\tlocked"), ("not\tenabled", "\tenabled"), ("Security:", "")],
)
def test_a_disk_that_cannot_is_left_alone(old, new):
    host = _Host(_READY.replace(old, new))
    assert _attempt(host) is None
    assert _options(host) == ["-I"]


def test_a_failed_erase_leaves_no_password_behind():
    host = _Host(_READY, fail=("--security-erase-enhanced",))
    assert _attempt(host) is None
    assert _options(host)[-1] == "--security-disable"


def test_other_disks_have_no_such_thing():
    assert secure_erase.attempt(_Host(""), {"bus": "virtio", "name": "/dev/vda"}, Path("/dev/vda")) is None
