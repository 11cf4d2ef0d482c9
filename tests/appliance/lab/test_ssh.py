import stat

import pytest

from appliance.lab import ssh
from images import tools


def test_a_key_is_made_once_and_is_private(tmp_path):
    key = ssh.make_key(tmp_path / "ssh")
    assert key.public.startswith("ssh-ed25519 ")
    assert stat.S_IMODE(key.private.stat().st_mode) == 0o600
    assert ssh.make_key(tmp_path / "ssh") == key
    assert ssh.make_key(tmp_path / "other") != key


def test_openssh_reads_the_key(tmp_path):
    key = ssh.make_key(tmp_path)
    said = tools.run(["ssh-keygen", "-y", "-f", str(key.private)], timeout_s=20)
    assert said.split()[:2] == key.public.split()[:2]


def test_a_login_that_is_refused_fails_with_a_reason(tmp_path):
    key = ssh.make_key(tmp_path)
    with pytest.raises(tools.ToolFailed):
        ssh.run(1, key, "true", limit_s=20)


def test_the_line_for_people_holds_key_and_port(tmp_path):
    words = ssh.words(40022, ssh.make_key(tmp_path))
    assert words[0] == "ssh"
    assert words[-1] == "debian@127.0.0.1"
    assert "40022" in words
