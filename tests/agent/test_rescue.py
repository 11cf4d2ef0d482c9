import os
import stat

import pytest

from agent import commands
from agent.errors import ProgramFailed, Refused
from agent.host import Host
from agent.loop import Outcome, Task
from agent.rescue import open_door

HASH = "$6$salt$" + "a" * 86
KEY_SAYS = "Public key portion is:\nssh-ed25519 AAAA root@x\nFingerprint: SHA256:abc\n"


class PretendHost(Host):
    """The programs of the ramdisk: what they were asked, and what they leave behind."""

    def __init__(self, root):
        super().__init__(root)
        self.asked = []
        self.said = KEY_SAYS

    def run(self, argv, *, timeout_s, stdin=None):
        self.asked.append(argv[0] if argv[0] != "dropbearkey" else f"dropbearkey {argv[1]}")
        if argv[:2] == ["dropbearkey", "-t"]:
            self.path("/etc/dropbear/dropbear_ed25519_host_key").write_bytes(b"key")
        return self.said


@pytest.fixture
def host(tmp_path):
    (tmp_path / "run/rackwright").mkdir(parents=True)
    return PretendHost(tmp_path)


def test_the_door_opens_for_one_account_alone(host):
    assert open_door(host, HASH) == {"user": "rescue", "port": 22, "fingerprint": "SHA256:abc"}
    shadow = host.path("/etc/shadow")
    assert stat.S_IMODE(shadow.stat().st_mode) == 0o600
    accounts = dict(line.split(":")[:2] for line in shadow.read_text().splitlines())
    assert accounts == {"root": "*", "rescue": HASH}
    assert host.asked == ["dropbearkey -t", "dropbear"]


def test_again_it_takes_the_new_password_and_keeps_the_key(host):
    open_door(host, HASH)
    open_door(host, HASH.replace("salt", "other"))
    assert host.asked == ["dropbearkey -t", "dropbear", "dropbearkey -y", "dropbear"]
    assert "$6$other$" in host.path("/etc/shadow").read_text()


def test_a_server_that_runs_is_left_alone(host, monkeypatch):
    open_door(host, HASH)
    host.path("/run/rackwright/sshd.pid").write_text(f"{os.getpid()}\n")
    monkeypatch.setattr("agent.rescue._runs", lambda _host: True)
    open_door(host, HASH)
    assert host.asked[-1] == "dropbearkey -y"


def test_the_number_of_another_process_is_no_server(host):
    open_door(host, HASH)
    host.path("/run/rackwright/sshd.pid").write_text(f"{os.getpid()}\n")
    open_door(host, HASH)
    assert host.asked[-1] == "dropbear"


@pytest.mark.parametrize("value", [None, "", "secret", "$6$salt$" + "a" * 85, HASH + "\nroot2::0:", 7])
def test_what_is_no_hash_is_refused_and_not_repeated(host, value):
    with pytest.raises(Refused) as refusal:
        open_door(host, value)
    assert "secret" not in str(refusal.value)
    assert not host.path("/etc/shadow").exists()


def test_a_key_without_fingerprint_is_a_failure(host):
    host.said = ""
    with pytest.raises(ProgramFailed):
        open_door(host, HASH)


def test_it_is_a_command(host):
    host.path("/run/rackwright/coldplug").touch()
    context = commands.Context(host, lambda _progress: None, lambda: False, dict)
    done = commands.execute(Task("a1", "rescue", {"password_hash": HASH}), context)
    assert done == Outcome({"user": "rescue", "port": 22, "fingerprint": "SHA256:abc"})
