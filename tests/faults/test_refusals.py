"""What forbids a start: a second `serve`, a taken port, a state directory that cannot be used."""

import os
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.fakes import served as fake
from tests.fakes.served import Ports, Served

NOBODY = 65534


def serve(state: Path, *before: str) -> fake.Said:
    """A `serve` that must end by itself. before: a command that starts the command."""
    one = Served(state, Ports.free())
    process = subprocess.Popen(
        [*before, sys.executable, "-m", "appliance", "serve", "--state", str(state)],
        env=fake.ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=fake.ROOT,
    )  # fmt: skip
    one.process = process
    try:
        out, err = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        one.clean_up()
        raise
    return fake.Said(code=process.returncode, out=out, err=err)


def taken(port: int = 0) -> socket.socket:
    """A TCP port of 127.0.0.1 that somebody else listens on."""
    holder = socket.create_server(("127.0.0.1", port))
    holder.listen()
    return holder


def test_a_second_serve_is_refused_and_the_first_serves_on(start, state):
    appliance = start()
    second = serve(state)
    assert second.code == 5
    assert f"{state} is served by process {appliance.pid('guard')} already" in second.err
    assert "why: two control processes on one database would undo each other's work" in second.err
    assert f"next: stop it with `kill {appliance.pid('guard')}`" in second.err
    assert appliance.call("GET", "/v1/nodes") == {"items": [], "next": None}


@pytest.mark.parametrize("which", ["api", "agent"])
def test_a_taken_port_of_the_api_or_the_agents(state, which):
    with closing(taken()) as holder:
        port = holder.getsockname()[1]
        free = Ports.free()
        ports = Ports(**{name: getattr(free, name) for name in Ports.__slots__} | {which: port})
        fake.configure(state, ports)
        said = serve(state)
    assert said.code == 1
    assert f"port {port} is in use: nothing else can listen on 127.0.0.1:{port}" in said.err
    assert f"(pid {os.getpid()}) listens there" in said.err
    assert f"next: see who with `ss -ltnp 'sport = :{port}'`" in said.err
    assert "Traceback" not in said.err


def test_a_taken_boot_port_does_not_stop_the_appliance_and_is_told(start, state):
    with closing(taken()) as holder:
        port = holder.getsockname()[1]
        appliance = start(netboot={"http_port": str(port)})
        appliance.until(
            lambda: any(
                not check["ok"] and str(port) in check["detail"] for check in appliance.get("/v1/doctor")["checks"]
            ),
            within_s=60,
            what="doctor names the port",
        )
        said = appliance.cli("doctor")
        assert said.code == 1
        assert f"port {port}" in said.out
        assert "another program listens there" in said.out
    appliance.until(
        lambda: not any(str(port) in check["detail"] for check in appliance.get("/v1/doctor")["checks"]),
        within_s=60,
        what="netboot takes the port once it is free",
    )


@pytest.mark.parametrize("service", ["dhcp", "tftp", "dns"])
def test_a_taken_port_of_a_subnet_is_told_and_taken_when_it_is_free(start, service):
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as holder:
        holder.bind(("0.0.0.0", 0))
        port = holder.getsockname()[1]
        appliance = start(netboot={f"{service}_port": str(port)})
        subnet = {"name": "s", "cidr": "127.0.0.0/24", "pool": "127.0.0.50-127.0.0.60"}
        appliance.call("POST", "/v1/subnets", {**subnet, "interface": "lo"})
        appliance.until(lambda: str(port) in netboot_check(appliance)["detail"], within_s=60, what="it is told")
        check = netboot_check(appliance)
        assert not check["ok"]
        assert f"port {port}: another program listens there" in check["detail"]
        assert check["next"]
    appliance.until(lambda: netboot_check(appliance)["ok"], within_s=60, what="netboot takes the port")


def netboot_check(appliance: Served) -> dict:
    return next(check for check in appliance.get("/v1/doctor")["checks"] if check["name"] == "netboot")


def test_a_state_directory_that_is_none(tmp_path):
    said = serve(tmp_path / "nowhere")
    assert said.code == 1
    assert f"{tmp_path}/nowhere/rackwright.toml does not exist" in said.err
    assert "why: the state directory was never initialised, or is another one" in said.err
    assert f"next: run `rackwright init --state {tmp_path}/nowhere`" in said.err


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ("rackwright.toml", "rackwright.toml is not a file"),
        ("rackwright.db", "rackwright.db"),
        ("master.key", "master.key"),
        ("tls/ca.key", "ca.key"),
        ("run", "run"),
    ],
)
def test_a_part_of_the_state_directory_that_is_something_else(state, broken, words):
    """Root reads everything, so "unreadable" is played by a directory in the place of a file, and the other way."""
    fake.configure(state, Ports.free())
    place = state / broken
    if place.is_dir():
        place.rmdir()
        place.write_text("not a directory")
    else:
        place.unlink()
        place.mkdir()
    said = serve(state)
    assert said.code == 1, said
    assert words in said.err
    assert "next: " in said.err
    assert "Traceback" not in said.err


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a directory to somebody else")
def test_a_state_directory_of_another_user(state):
    fake.configure(state, Ports.free())
    for path in (state, *state.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    said = serve(state, "setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all", "--")
    assert said.code == 1
    assert f"{state}/rackwright.toml cannot be read: Permission denied" in said.err
    assert "next: run as the user who owns the state directory" in said.err


def test_without_a_directory_for_logs_it_serves_and_says_so(start, state):
    (state / "log").rmdir()
    (state / "log").write_text("not a directory")
    appliance = start()
    assert appliance.call("GET", "/v1/nodes")["items"] == []
    assert "log" in appliance.said()


@pytest.mark.parametrize("fault", ["missing", "foreign", "garbage"])
def test_a_lost_or_foreign_master_key(state, tmp_path, fault):
    fake.configure(state, Ports.free())
    key = state / "master.key"
    if fault == "missing":
        key.unlink()
    elif fault == "foreign":
        other = fake.make_state(tmp_path / "other")
        key.write_bytes((other / "master.key").read_bytes())
    else:
        key.write_text("nonsense\n")
    said = serve(state)
    assert said.code == 1
    assert "master.key" in said.err or "master key" in said.err
    assert "next: " in said.err
    assert fault == "missing" or key.exists()
    assert fault != "missing" or not key.exists(), "it is never made anew silently"


def test_a_database_that_is_none(state):
    fake.configure(state, Ports.free())
    for suffix in ("-wal", "-shm"):
        (state / f"rackwright.db{suffix}").unlink(missing_ok=True)
    (state / "rackwright.db").write_bytes(b"this is not a database" * 1000)
    said = serve(state)
    assert said.code == 1
    assert "rackwright.db" in said.err
    assert "next: " in said.err
    assert "Traceback" not in said.err
