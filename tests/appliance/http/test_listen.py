import errno
import os
import socket
import stat
from pathlib import Path

import pytest

from appliance.domain.values import Endpoint
from appliance.http.listen import CannotListen, holder_of, listen_tcp, listen_unix


def test_a_taken_port_names_its_holder_and_how_to_look():
    with listen_tcp(Endpoint("127.0.0.1", 0)) as first:
        port = first.getsockname()[1]
        with pytest.raises(CannotListen, match=f"port {port} is in use") as caught:
            listen_tcp(Endpoint("127.0.0.1", port))
        assert f"(pid {os.getpid()})" in caught.value.why
        assert f"sport = :{port}" in caught.value.next_step
    assert holder_of(port) == ""


def test_an_address_of_another_machine():
    with pytest.raises(CannotListen, match=r"does not have the address 192\.0\.2\.1"):
        listen_tcp(Endpoint("192.0.2.1", 0))


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOBUFS])
def test_other_faults_are_sentences(monkeypatch: pytest.MonkeyPatch, number: int):
    def refuse(*_args: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(CannotListen):
        listen_tcp(Endpoint("127.0.0.1", 80))


def test_every_address_takes_ipv4_and_ipv6():
    with listen_tcp(Endpoint("::", 0)) as sock:
        port = sock.getsockname()[1]
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, port), 2).close()


def test_a_unix_socket_is_private_and_replaces_a_dead_one(tmp_path: Path):
    path = tmp_path / "s"
    listen_unix(path, 0o600).close()
    with listen_unix(path, 0o600):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert list(tmp_path.iterdir()) == [path]
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


def test_a_path_that_is_too_long(tmp_path: Path):
    with pytest.raises(CannotListen) as caught:
        listen_unix(tmp_path / ("x" * 120), 0o600)
    assert "shorter path" in caught.value.next_step
