"""`node enroll` and `node set` against a fake appliance."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fakes.fake_api import FakeApi, Refusal

HEADER = "name,driver,bmc_address,bmc_username,bmc_password,macs\n"


def forty() -> str:
    return HEADER + "".join(f"n{i},ipmi,10.0.0.{i},admin,s3cret{i},52:54:00:00:01:{i:02x}\n" for i in range(1, 41))


def test_one_machine(api: FakeApi, run: Callable, tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("calvin\n")
    ended = run(
        "node", "enroll", "n1", "--driver", "ipmi", "--bmc", "10.0.0.5:6230", "--username", "root", "--password-file",
        str(tmp_path / "pw"), "--mac", "52-54-00-12-34-56", "--rack", "r1", "--unit", "7", "--property", "owner=me",
        "-o", "json",
    )  # fmt: skip
    assert ended.code == 0
    assert api.requests[-1] == ("POST", "/v1/nodes", {
        "name": "n1", "driver": "ipmi", "macs": ["52:54:00:12:34:56"], "rack": "r1", "rack_unit": 7,
        "bmc": {"address": "10.0.0.5", "udp_port": 6230, "username": "root", "password": "calvin"},
        "properties": {"owner": "me"},
    })  # fmt: skip
    assert "calvin" not in ended.out + ended.err


def test_what_the_driver_wants_to_know(api: FakeApi, run: Callable) -> None:
    ended = run(
        "node", "enroll", "n1", "--driver", "redfish", "--bmc", "10.0.0.5",
        "--driver-option", "system=/redfish/v1/Systems/1", "--driver-option", "verify_ca=false",
    )  # fmt: skip
    assert ended.code == 0
    assert api.requests[-1][2]["driver_options"] == {"system": "/redfish/v1/Systems/1", "verify_ca": False}


@pytest.mark.parametrize(
    "argv",
    [(), ("n1", "--file", "x"), ("n1", "--check"), ("n1", "--mac", "zz"), ("n1", "--bmc", "a b"), ("n1", "--unit", "0"),
     ("n1", "--bmc", "10.0.0.5:x"), ("n1", "--property", "x"), ("--file", "/none.csv"), ("--file", "x", "--rack", "r")],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_before_anything_is_sent(
    api: FakeApi, run: Callable, argv: tuple[str, ...]
) -> None:
    assert run("node", "enroll", *argv).code == 2
    assert api.requests == []


def test_the_password_is_asked_for(api: FakeApi, terminal: Callable) -> None:
    session = terminal("node", "enroll", "n1", "--bmc", "10.0.0.5", "--username", "root")
    session.read_until("BMC password: ")
    session.type("calvin\n")
    ended = session.end()
    assert (ended.code, "calvin" in ended.out) == (0, False)
    assert api.requests[-1][2]["bmc"]["password"] == "calvin"


def test_a_machine_that_was_found_is_completed(api: FakeApi, run: Callable) -> None:
    found = api.add_node("found-1", "enroll")
    ended = run("node", "enroll", "web1", "--bmc", "10.0.0.5", "--mac", found["macs"][0], "--password-file", "-",
                "--username", "root", stdin="calvin\n")  # fmt: skip
    assert ended.code == 0
    assert "completing found-1" in ended.err
    assert (found["name"], found["bmc"]["address"], len(api.nodes)) == ("web1", "10.0.0.5", 1)


def test_a_machine_in_use_is_not_taken_over(api: FakeApi, run: Callable) -> None:
    used = api.add_node("db1", "active")
    ended = run("node", "enroll", "web1", "--driver", "fake", "--mac", used["macs"][0])
    assert (ended.code, used["name"]) == (5, "db1")


def test_set_changes_only_what_is_named(api: FakeApi, run: Callable) -> None:
    node = api.add_node("n1")
    node["bmc"] |= {"address": "10.0.0.5", "username": "root", "password": "******"}
    assert run("node", "set", "n1", "--password-file", "-", stdin="new\n").code == 0
    (body,) = [body for method, _, body in api.requests if method == "PATCH"]
    assert body == {"bmc": {"address": "10.0.0.5", "udp_port": 623, "username": "root", "password": "new"}}
    assert run("node", "set", "n1").code == 2
    assert run("node", "set", "n1", "--name", "n2", "-o", "name").out == "n2\n"


def test_forty_machines_with_bad_lines(api: FakeApi, run: Callable, tmp_path: Path) -> None:
    lines = forty().splitlines()
    lines[5] = "n5,ipmi,nowhere at all,admin,s3cret5,"
    lines[9] = "n9,ipmi,10.0.0.9,admin,s3cret9,52:54:00:00:01:01"
    file = tmp_path / "nodes.csv"
    file.write_text("\ufeff" + "\r\n".join(lines), encoding="utf-8")
    ended = run("node", "enroll", "--file", str(file), "-o", "csv", "--fields", "line,name,result,reason")
    rows = list(csv.DictReader(io.StringIO(ended.out)))
    assert ended.code == 6
    assert [(row["line"], row["reason"]) for row in rows if row["result"] == "bad"] == [
        ("6", "bmc_address is not an IP address or host name"), ("10", "the same MAC address as on line 2"),
    ]  # fmt: skip
    assert len(api.nodes) == 38
    assert ended.err == "38 enrolled, 0 already there, 2 bad lines\n"
    assert "s3cret" not in ended.out + ended.err
    assert [path for _, path, _ in api.requests] == ["/v1/nodes/bulk"]


def test_running_again_enrolls_nothing_twice(api: FakeApi, run: Callable, tmp_path: Path) -> None:
    file = tmp_path / "nodes.csv"
    file.write_text(forty())
    assert run("node", "enroll", "--file", str(file)).code == 0
    ended = run("node", "enroll", "--file", str(file))
    assert (ended.code, ended.err) == (0, "0 enrolled, 40 already there, 0 bad lines\n")
    assert len(api.nodes) == 40


def test_a_name_that_another_machine_has_is_a_bad_line(api: FakeApi, run: Callable) -> None:
    api.add_node("n1")
    ended = run(
        "node", "enroll", "--file", "-", "--no-headers", stdin=HEADER + "n1,ipmi,10.0.0.1,a,b,52:54:00:00:09:09\n"
    )
    assert (ended.code, ended.out) == (2, "2\tn1\tbad\tthe name n1 is taken\n")


def test_check_enrolls_nothing(api: FakeApi, run: Callable) -> None:
    ended = run("node", "enroll", "--file", "-", "--check", stdin=forty() + "bad name,,,,,\n")
    assert ended.code == 6
    assert "40 would be enrolled" in ended.err
    assert api.nodes == {}


def test_the_appliance_may_refuse_a_line_too_and_no_secret_is_repeated(api: FakeApi, run: Callable) -> None:
    refusal = Refusal(400, "invalid", "password s3cret1 is too short", why="4 to 20 characters")
    api._create = lambda body: (_ for _ in ()).throw(refusal)  # type: ignore[method-assign]
    ended = run("node", "enroll", "--file", "-", "--no-headers", stdin=HEADER + "n1,ipmi,10.0.0.1,a,s3cret1,\n")
    assert ended.out == "2\tn1\tbad\tpassword ****** is too short; 4 to 20 characters\n"


def test_many_lines_go_in_batches(api: FakeApi, run: Callable) -> None:
    text = "name,driver\n" + "".join(f"n{i},manual\n" for i in range(450))
    ended = run("node", "enroll", "--file", "-", "-o", "name", stdin=text)
    assert ended.code == 0
    assert len(ended.out.split()) == 450
    assert len(api.requests) == 3


def test_defaults_for_every_line(api: FakeApi, run: Callable, tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("calvin\n")
    text = "name;bmc\nn1;10.0.0.1\n"
    ended = run(
        "node", "enroll", "--file", "-", "--username", "root", "--password-file", str(tmp_path / "pw"), stdin=text
    )
    assert ended.code == 0
    assert api.requests[0][2]["nodes"][0]["bmc"] == {"address": "10.0.0.1", "username": "root", "password": "calvin"}
