"""The commands against a fake appliance: what they ask for, what they say, and how they end."""

import fcntl
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.main.cli.exits import MEANINGS
from appliance.main.cli.registry import COMMANDS, Entry
from bmc.errors import BmcError
from tests.fakes.fake_api import MIB, FakeApi, Refusal

SSH_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIexample me@here"


def asked(api: FakeApi, method: str) -> list[tuple[str, object]]:
    return [(path, body) for used, path, body in api.requests if used == method]


# -- finding the way


def leaves(table: dict[str, Entry], words: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name, entry in table.items():
        found += leaves(dict(entry.table), (*words, name)) if entry.table else [(*words, name)]
    return found


@pytest.mark.parametrize("words", leaves(dict(COMMANDS)), ids=" ".join)
def test_every_help_opens_with_an_example_of_the_command(words: tuple[str, ...], run: Callable) -> None:
    ended = run(*words, "--help")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[0].startswith(" ".join(["rackwright", *words]))
    assert "Usage: rackwright " + " ".join(words) in ended.out


def test_the_groups_name_their_commands(run: Callable) -> None:
    assert "Machines." in run("--help").out
    listed = run("node", "--help").out
    assert all(f"  {name} " in listed for name in COMMANDS["node"].table or {})


@pytest.mark.parametrize("argv", [("--version",), ("-V",)])
def test_version(run: Callable, argv: tuple[str, ...]) -> None:
    ended = run(*argv)
    assert ended.code == 0
    assert ended.out.startswith("rackwright ")


@pytest.mark.parametrize(
    ("argv", "hint"),
    [
        (("nod", "list"), "did you mean 'node'"),
        (("node", "depoly"), "did you mean 'deploy'"),
        (("node", "xyzzy"), "rackwright node --help"),
        (("node", "list", "--feilds", "x"), "--fields"),
        (("node", "list", "-l", "stat:x"), "did you mean 'state'"),
        (("help", "exit-code"), "did you mean 'exit-codes'"),
    ],
)
def test_a_slip_is_answered_with_a_suggestion(run: Callable, argv: tuple[str, ...], hint: str) -> None:
    ended = run(*argv)
    assert (ended.code, ended.out) == (2, "")
    assert hint in ended.err


# -- exit codes


def test_exit_codes_are_documented(run: Callable) -> None:
    assert [line.split("\t")[0] for line in run("help", "exit-codes", "--no-headers").out.splitlines()] == [
        str(int(code)) for code in MEANINGS
    ]


@pytest.mark.parametrize(
    ("status", "code", "exit_code"),
    [(400, "invalid", 2), (401, "unauthenticated", 4), (403, "forbidden", 4), (404, "not-found", 3),
     (409, "illegal-move", 5), (409, "ambiguous", 2), (413, "too-large", 2), (500, "internal", 1),
     (424, "bmc-unreachable", 1), (503, "unavailable", 1), (507, "storage-full", 1)],
)  # fmt: skip
def test_each_refusal_has_its_exit_code(api: FakeApi, run: Callable, status: int, code: str, exit_code: int) -> None:
    api.add_node("n1")
    api.fail_next["POST", "/v1/nodes/n1/manage"] = Refusal(status, code, "no", why="because", then="do this")
    ended = run("node", "manage", "n1")
    assert ended.code == exit_code
    assert (ended.out, ended.err) == ("", "error: no\nwhy: because\nnext: do this\nrequest req-1\n")


def test_errors_are_json_when_the_output_is(api: FakeApi, run: Callable) -> None:
    ended = run("node", "show", "nix", "--json")
    assert ended == run("node", "show", "nix", "-o", "json")
    assert (ended.code, ended.out) == (3, "")
    assert json.loads(ended.err)["error"] | {"next": ""} == {
        "code": "not-found", "message": "there is no node 'nix'", "why": "", "next": "", "request_id": "req-1",
        "exit_code": 3,
    }  # fmt: skip
    assert json.loads(run("node", "list", "--bogus", "--output=json").err)["error"]["exit_code"] == 2


def test_json_is_short_for_that_output(api: FakeApi, run: Callable) -> None:
    api.add_node("n1")
    ended = run("node", "list", "--json")
    assert (ended.code, [item["name"] for item in json.loads(ended.out)["items"]]) == (0, ["n1"])


def test_a_node_that_is_not_there_is_suggested(api: FakeApi, run: Callable) -> None:
    api.add_node("r1-n1")
    assert "next: did you mean r1-n1?" in run("node", "why", "r1-n11").err
    assert "next: did you mean r1-n1?" in run("node", "deploy", "r1n1", "--image", "x").err
    api.fail_next["POST", "/v1/nodes/r1-n1/deploy"] = Refusal(404, "not-found", "there is no image 'x'")
    assert "next:" not in run("node", "deploy", "r1-n1", "--image", "x").err


def test_nobody_there(run: Callable) -> None:
    ended = run("node", "list", "--url", "https://127.0.0.1:9")
    assert ended.code == 8
    assert ended.err.startswith("error: the appliance at https://127.0.0.1:9 does not answer\nwhy: ")


def test_a_certificate_that_we_do_not_know(place: tuple[str, Path], pipe: Callable, tmp_path: Path) -> None:
    ended = pipe("whoami", RACKWRIGHT_CA="")
    assert (ended.code, "certificate" in ended.err, "--ca" in ended.err) == (8, True, True)
    ended = pipe("whoami", "--ca", str(tmp_path / "none.pem"))
    assert (ended.code, "cannot be used" in ended.err) == (8, True)


def test_plain_http_is_refused(run: Callable) -> None:
    ended = run("whoami", "--url", "http://127.0.0.1:1")
    assert ended.code == 8
    assert "https://" in ended.err


# -- sessions


def test_login_saves_a_token_that_the_next_command_uses(api: FakeApi, pipe: Callable, tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("one-time\n")
    anonymous = {"RACKWRIGHT_TOKEN": ""}
    ended = pipe("whoami", **anonymous)
    assert (ended.code, "rackwright login" in ended.err) == (4, True)
    ended = pipe("login", "--password-file", str(tmp_path / "pw"), **anonymous)
    assert (ended.code, ended.out) == (0, "")
    assert "one-time" not in ended.err
    file = tmp_path / ".config/rackwright/config.toml"
    assert file.stat().st_mode & 0o777 == 0o600
    assert pipe("whoami", "--fields", "username", "--no-headers", **anonymous).out == "username\tadmin\n"
    saved_only = {"RACKWRIGHT_URL": "", "RACKWRIGHT_CA": "", **anonymous}
    assert pipe("whoami", **saved_only).code == 0
    assert pipe("logout", **saved_only).code == 0
    assert pipe("whoami", **saved_only).code == 4


def test_the_first_password_is_changed_at_login(
    api: FakeApi, run: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pw").write_text("one-time")
    (tmp_path / "new").write_text("much better\n")
    assert "first login only" in run("login", "--password-file", str(tmp_path / "pw")).err
    ended = run("login", "--password-file", str(tmp_path / "pw"), "--new-password-file", str(tmp_path / "new"))
    assert ended.code == 0
    assert api.password == "much better"
    monkeypatch.delenv("RACKWRIGHT_TOKEN")
    assert run("whoami").code == 0
    assert "better" not in ended.err


def test_a_refused_new_password_is_asked_for_again(api: FakeApi, terminal: Callable) -> None:
    api.fail_next["POST", "/v1/password"] = Refusal(400, "invalid", "a password has 8 to 4096 characters")
    session = terminal("login", RACKWRIGHT_TOKEN="")
    for prompt, answer in (
        ("Password of admin", "one-time"), ("New password: ", "short"), ("again: ", "short"),
        ("choose another one", ""), ("New password: ", "long enough"), ("again: ", "long enough"),
    ):  # fmt: skip
        session.read_until(prompt)
        session.seen = session.seen.rpartition(prompt.encode())[2]
        if answer:
            session.type(f"{answer}\n")
    ended = session.end()
    assert (ended.code, api.password) == (0, "long enough")


def test_login_waits_for_a_serve_that_was_just_started(
    api: FakeApi, place: tuple[str, Path], run: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, ca = place
    (tmp_path / "cli.json").write_text(json.dumps({"url": "https://127.0.0.1:9", "ca": str(ca)}))
    (tmp_path / "pw").write_text("one-time")
    words = ("login", "--state", str(tmp_path), "--password-file", str(tmp_path / "pw"), "--print-token")
    assert run(*words).code == 8, "nobody serves"
    (tmp_path / "run").mkdir()
    looks: list[float] = []
    with (tmp_path / "run" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        monkeypatch.setattr("appliance.main.cli.sessions.time.sleep", looks.append)
        monkeypatch.setattr("appliance.main.cli.sessions.START_LIMIT_S", 0.2)
        assert run(*words).code == 8
        assert looks
        (tmp_path / "cli.json").write_text(json.dumps({"url": url, "ca": str(ca)}))
        assert run(*words).code == 0


def test_a_wrong_password_is_exit_code_4(run: Callable) -> None:
    ended = run("login", "--password-file", "-", stdin="wrong\n")
    assert (ended.code, ended.out) == (4, "")
    assert "wrong\n" not in ended.err.replace("is wrong\n", "")


def test_a_password_is_asked_for_on_a_terminal_and_not_shown(api: FakeApi, terminal: Callable, tmp_path: Path) -> None:
    api.must_change = False
    session = terminal("login", RACKWRIGHT_TOKEN="")
    session.read_until("Password of admin")
    session.type("one-time\n")
    ended = session.end()
    assert ended.code == 0
    assert "one-time" not in ended.out
    assert "logged in" in ended.out


def test_without_a_terminal_nothing_is_asked(run: Callable) -> None:
    ended = run("login")
    assert (ended.code, "--password-file" in ended.err) == (2, True)


def test_state_directory(api: FakeApi, place: tuple[str, Path], pipe: Callable, tmp_path: Path) -> None:
    url, ca = place
    (tmp_path / "cli.json").write_text(json.dumps({"url": url, "ca": str(ca)}))
    bare = {"RACKWRIGHT_URL": "", "RACKWRIGHT_CA": ""}
    assert pipe("whoami", "--state", str(tmp_path), **bare).code == 0
    assert pipe("--state", str(tmp_path), "whoami", **bare).code == 0
    assert pipe("whoami", RACKWRIGHT_STATE=str(tmp_path), **bare).code == 0


# -- the life of a node


def test_a_verb_without_waiting(api: FakeApi, run: Callable) -> None:
    api.add_node("n1")
    ended = run("node", "manage", "n1")
    assert ended.code == 0
    assert ended.out == "NAME\tRESULT\tSTATE\tREASON\nn1\trequested\tverifying\t-\n"
    assert ended.err == "follow: rackwright node wait n1\n"


@pytest.mark.parametrize(
    ("verb", "before", "after", "more"),
    [("manage", "enroll", "manageable", ()), ("inspect", "manageable", "manageable", ()),
     ("provide", "manageable", "available", ()), ("adopt", "manageable", "active", ()),
     ("undeploy", "active", "available", ("--yes",)), ("rebuild", "active", "active", ("--yes",)),
     ("clean", "manageable", "manageable", ("--yes", "--method", "shred"))],
)  # fmt: skip
def test_waiting_for_a_verb(
    api: FakeApi, run: Callable, *, verb: str, before: str, after: str, more: tuple[str, ...]
) -> None:
    api.add_node("n1", before)
    ended = run("node", verb, "n1", *more, "--wait", "--no-headers")
    assert (ended.code, ended.out) == (0, f"n1\tdone\t{after}\t-\n")


def test_deploy_shows_progress_in_a_pipe(api: FakeApi, pipe: Callable, tmp_path: Path) -> None:
    api.add_node("n1", "available")
    api.images["debian-12"] = {"name": "debian-12"}
    key = tmp_path / "id.pub"
    key.write_text(f"# mine\n{SSH_KEY}\n")
    data = tmp_path / "user-data"
    data.write_text("#cloud-config\n")
    ended = pipe(
        "node", "deploy", "--image", "debian-12", "--ssh-key", str(key), "--user-data", str(data), "--wait", "n1",
        "-o", "json",
    )  # fmt: skip
    assert ended.code == 0
    (row,) = json.loads(ended.out)["items"]
    assert (row["result"], row["state"], row["flow"]) == ("done", "active", "f-1")
    assert asked(api, "POST") == [
        ("/v1/nodes/n1/deploy",
         {"image": "debian-12", "boot": "auto", "ssh_keys": [SSH_KEY], "user_data": "#cloud-config\n"})
    ]  # fmt: skip
    lines = ended.err.splitlines()
    assert any("write image 33% 100 MiB of 300 MiB" in line for line in lines)
    assert any("waits for the system to call home" in line for line in lines)
    assert all(line.startswith("[1] n1 ") for line in lines)
    assert "\x1b" not in ended.err


def test_a_deploy_of_an_image_behind_a_url(api: FakeApi, run: Callable) -> None:
    api.add_node("n1", "available")
    url, checksum = "https://example.com/debian.qcow2", "sha256:" + "a" * 64
    assert run("node", "deploy", "n1", "--image", url, "--checksum", checksum).code == 0
    assert asked(api, "POST") == [("/v1/nodes/n1/deploy", {"image": url, "checksum": checksum, "boot": "auto"})]


def test_deploy_shows_a_live_line_on_a_terminal(api: FakeApi, terminal: Callable) -> None:
    api.add_node("n1", "available")
    api.images["debian-12"] = {"name": "debian-12"}
    ended = terminal("node", "deploy", "n1", "--image", "debian-12", "--wait", columns=60).end()
    assert ended.code == 0
    assert "\x1b[" in ended.out
    *_, result, hint = ended.out.splitlines()
    assert "done" in result
    assert hint == "n1 is up: ssh USER@10.20.0.7   (debian in our images)"


def test_a_failure_is_told_with_step_and_reason(api: FakeApi, run: Callable) -> None:
    api.add_node("n1", "manageable")
    api.ways["provide"] = [
        {"provision_state": "cleaning"},
        {
            "provision_state": "clean failed",
            "failure": {"step": "erase", "reason": "sdb timed out", "next": "replace it"},
        },
    ]
    ended = run("node", "provide", "n1", "--wait", "--no-headers")
    assert (ended.code, ended.out) == (1, "n1\tfailed\tclean failed\terase: sdb timed out; next: replace it\n")


def test_manage_that_falls_back_to_enroll_is_a_failure(api: FakeApi, run: Callable) -> None:
    api.add_node("n1")
    api.ways["manage"] = [
        {"provision_state": "verifying"},
        {"provision_state": "enroll", "last_error": "password refused"},
    ]
    ended = run("node", "manage", "n1", "--wait", "--no-headers")
    assert (ended.code, ended.out) == (1, "n1\tfailed\tenroll\tpassword refused\n")


def test_the_wait_ends_before_the_work(api: FakeApi, run: Callable) -> None:
    api.add_node("n1", "manageable")
    api.ways["provide"] = [{"provision_state": "cleaning"}]
    ended = run("node", "provide", "n1", "--wait=300ms", "--no-headers")
    assert ended.code == 7
    assert ended.out.startswith("n1\twaiting\tcleaning\t")


@pytest.mark.parametrize("text", ["soon", "-1s", "400h", "1d"])
def test_every_wait_has_an_end(run: Callable, text: str) -> None:
    assert run("node", "manage", "n1", f"--wait={text}").code == 2


def test_some_of_several_nodes_fail(api: FakeApi, run: Callable) -> None:
    api.add_node("n1")
    api.add_node("n2")
    ended = run("node", "manage", "n1", "nix", "n2", "--wait", "--no-headers")
    assert ended.code == 6
    assert [line.split("\t")[:2] for line in ended.out.splitlines()] == [
        ["n1", "done"],
        ["nix", "refused"],
        ["n2", "done"],
    ]
    assert "error: there is no node 'nix'" in ended.err
    assert run("node", "manage", "nix", "nax").code == 3


def test_many_nodes_are_shown_as_one_line(api: FakeApi, run: Callable) -> None:
    for number in range(12):
        api.add_node(f"n{number}", "manageable", rack="r1")
    ended = run("node", "provide", "-l", "rack:r1", "--wait", "--no-headers")
    assert ended.code == 0
    assert ended.out.count("done\tavailable") == 12
    assert "12/12 ended, 0 failed" in ended.err.splitlines()[-1]


def test_a_restart_of_the_appliance_is_waited_out(api: FakeApi, run: Callable) -> None:
    node = api.add_node("n1", "manageable")
    api.fail_next["GET", f"/v1/nodes/{node['uuid']}"] = Refusal(503, "unavailable", "starting")
    assert run("node", "provide", "n1", "--wait").code == 0


def test_ctrl_c_detaches_and_says_how_to_come_back(api: FakeApi, terminal: Callable) -> None:
    api.add_node("n1", "manageable")
    api.ways["provide"] = [{"provision_state": "cleaning"}]
    session = terminal("node", "provide", "n1", "--wait")
    session.read_until("cleaning")
    session.process.send_signal(signal.SIGINT)
    ended = session.end()
    assert ended.code == 130
    assert "next: rackwright node wait n1" in ended.out
    assert not any(path.endswith("/abort") for path, _ in asked(api, "POST"))


def test_node_wait(api: FakeApi, run: Callable) -> None:
    api.add_node("n1", "active")
    assert run("node", "wait", "n1", "--for", "active").code == 0
    assert run("node", "wait", "n1", "--for", "available", "--timeout", "5s").code == 1
    assert run("node", "wait", "nix").code == 3


def test_harm_needs_a_yes(api: FakeApi, run: Callable, terminal: Callable) -> None:
    api.add_node("n1", "active")
    ended = run("node", "undeploy", "n1")
    assert (ended.code, "--yes" in ended.err) == (2, True)
    session = terminal("node", "undeploy", "n1")
    session.read_until("[y/N]")
    session.type("n\n")
    assert session.end().code == 1
    assert asked(api, "POST") == []
    session = terminal("node", "undeploy", "n1")
    session.read_until("[y/N]")
    session.type("y\n")
    assert session.end().code == 0


def test_a_filter_that_matches_too_much_is_refused(api: FakeApi, run: Callable) -> None:
    for number in range(21):
        api.add_node(f"n{number}", "active", rack="r1")
    ended = run("node", "delete", "-l", "rack:r1", "--yes")
    assert (ended.code, "--max 21" in ended.err) == (2, True)
    assert len(api.nodes) == 21
    assert run("node", "delete", "-l", "rack=r1", "--yes", "--max", "21").code == 0
    assert api.nodes == {}


def test_a_private_key_goes_nowhere(api: FakeApi, run: Callable, tmp_path: Path) -> None:
    key = tmp_path / "id_ed25519"
    key.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nxxx\n")
    ended = run("node", "deploy", "n1", "--image", "x", "--ssh-key", str(key))
    assert (ended.code, "is a private key" in ended.err) == (2, True)
    assert api.requests == []


def test_abort_maintenance_and_power(api: FakeApi, run: Callable) -> None:
    node = api.add_node("n1", "cleaning")
    assert run("node", "abort", "n1").code == 0
    assert run("node", "maintenance", "on", "n1", "--reason", "bad DIMM").code == 0
    assert (node["maintenance"], node["maintenance_reason"]) == (True, "bad DIMM")
    assert run("node", "maintenance", "off", "n1").code == 0
    assert node["maintenance"] is False
    assert run("node", "power", "on", "n1", "--no-headers").out == "n1\ton requested\t-\t-\n"
    assert run("node", "power", "n1", "off").code == 0
    assert "power off" in run("node", "power", "n1").out
    assert run("node", "power", "status").code == 2


def test_a_mac_may_be_written_in_any_way(api: FakeApi, run: Callable) -> None:
    api.add_node("n1")
    assert run("node", "show", "52-54-00-00-00-01", "-o", "name").out == "n1\n"


@pytest.mark.parametrize("part", ["sensors", "sel", "fru", "inventory", "why", "boot-device"])
def test_what_the_machine_says(api: FakeApi, run: Callable, part: str) -> None:
    api.add_node("n1")
    ended = run("node", part, "n1")
    assert ended.code == 0
    assert ended.out
    assert "\x1b" not in ended.out


def test_an_nmi_is_asked_for_each_machine(api: FakeApi, run: Callable) -> None:
    for name in ("n1", "n2"):
        api.add_node(name)
    assert run("node", "nmi", "n1", "n2", "n1").out.count("NMI injected") == 2


# -- stories


def test_timeline(api: FakeApi, run: Callable) -> None:
    api.add_node("n1", "active")
    api.add_event("dhcp.ack", "lease 10.20.0.7\x1b[2J", node="n1")
    picture = run("node", "timeline", "n1", "-o", "table").out
    assert "write image |" in picture
    assert "1:20" in picture
    assert "\x1b" not in picture
    assert run("node", "timeline", "n1", "--no-headers").out.split("\t")[3] == "lease 10.20.0.7\\x1b[2J"
    assert json.loads(run("node", "timeline", "n1", "-o", "json").out)["format"] == "rackwright.timeline/1"


def test_console_is_inert_unless_raw(api: FakeApi, pipe: Callable) -> None:
    api.add_node("n1")
    assert pipe("node", "console", "n1").out == "Booting...\nlogin: red \\x07\n"
    assert "\x1b[31mred" in pipe("node", "console", "n1", "--raw").out


def test_following_events(api: FakeApi, terminal: Callable) -> None:
    api.add_event("state", "first")
    session = terminal("event", "list", "--follow")
    session.read_until("first")
    api.add_event("state", "second")
    session.read_until("second")
    session.process.send_signal(signal.SIGINT)
    assert session.end().code == 130


def test_watching_nodes(api: FakeApi, environment: dict[str, str]) -> None:
    import subprocess
    import sys

    node = api.add_node("n1")
    process = subprocess.Popen(
        [sys.executable, "-m", "appliance", "node", "list", "-o", "jsonl", "--watch"], stdout=subprocess.PIPE,
        text=True,
        env={**environment, "PYTHONUNBUFFERED": "1"}, cwd=environment["PYTHONPATH"],
    )  # fmt: skip
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["provision_state"] == "enroll"
    with api.lock:
        node["provision_state"] = "manageable"
        api.add_event("state", "changed", node="n1")
    assert json.loads(process.stdout.readline())["provision_state"] == "manageable"
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    process.stdout.close()


# -- images


def test_import_of_a_file(api: FakeApi, run: Callable, tmp_path: Path) -> None:
    file = tmp_path / "debian-12.raw"
    file.write_bytes(os.urandom(3 * MIB))
    ended = run("image", "import", str(file), "--property", "os=debian", "--fields", "name,status", "--no-headers")
    assert (ended.code, ended.out) == (0, "name\tdebian-12\nstatus\tactive\n")
    assert api.uploads["debian-12"] == file.read_bytes()
    assert api.images["debian-12"]["properties"] == {"os": "debian"}
    assert "is there already" in run("image", "import", str(file)).err
    file.write_bytes(b"other")
    assert run("image", "import", str(file)).code == 5


def test_a_checksum_that_does_not_fit_sends_nothing(api: FakeApi, run: Callable, tmp_path: Path) -> None:
    file = tmp_path / "x.raw"
    file.write_bytes(b"x")
    ended = run("image", "import", str(file), "--sha256", "0" * 64)
    assert (ended.code, "is not the image that was meant" in ended.err) == (1, True)
    assert run("image", "import", str(file), "--sha256", "xyz").code == 2
    assert asked(api, "POST") == []


def test_a_failed_upload_leaves_no_record(api: FakeApi, run: Callable, tmp_path: Path) -> None:
    file = tmp_path / "x.raw"
    file.write_bytes(b"x" * MIB)
    api.fail_next["PUT", "/v1/images/x/file"] = Refusal(507, "storage-full", "the disk is full")
    ended = run("image", "import", str(file))
    assert (ended.code, "the disk is full" in ended.err) == (1, True)
    assert api.images == {}


def test_import_of_a_url_waits_for_it(api: FakeApi, run: Callable) -> None:
    ended = run("image", "import", "https://mirror/debian-12-generic.qcow2?x=1", "--fields", "name,status")
    assert (ended.code, ended.out) == (0, "name\tdebian-12-generic\nstatus\tactive\n")


def test_an_image_that_was_killed(api: FakeApi, run: Callable) -> None:
    api.images["bad"] = {"name": "bad", "status": "killed", "problem": "not a disk image"}
    api._new_image = lambda body: api.images["bad"]  # type: ignore[method-assign]
    ended = run("image", "import", "https://mirror/bad.raw")
    assert (ended.code, "why: not a disk image" in ended.err) == (1, True)


def test_image_list_show_delete(api: FakeApi, run: Callable) -> None:
    api.images["debian-12"] = {"name": "debian-12", "status": "active", "size_bytes": 3 * MIB, "uuid": "u"}
    assert "3.0 MiB" in run("image", "list").out
    assert "did you mean debian-12?" in run("image", "show", "debian-21").err
    assert run("image", "delete", "debian-12").code == 2
    assert run("image", "delete", "debian-12", "nix", "--yes").code == 6


# -- networks, sightings, flows, labs, the rest


def test_subnets(api: FakeApi, run: Callable) -> None:
    made = run("subnet", "create", "r1", "--cidr", "10.20.0.0/24", "--pool", "10.20.0.100-10.20.0.199", "--interface",
               "eth1", "--lease", "1h", "-o", "json")  # fmt: skip
    assert made.code == 0
    assert asked(api, "POST")[0][1] == {
        "name": "r1", "cidr": "10.20.0.0/24", "pool": "10.20.0.100-10.20.0.199", "interface": "eth1", "lease_s": 3600,
    }  # fmt: skip
    assert "10.20.0.100-10.20.0.199" in run("subnet", "list").out
    assert run("subnet", "show", "r1").code == 0
    assert run("subnet", "delete", "r1", "--yes").code == 0
    assert run("subnet", "show", "r1").code == 3
    for pool in ("10.20.0.200-10.20.0.100", "10.21.0.1-10.21.0.2", "x"):
        assert run("subnet", "create", "r1", "--cidr", "10.20.0.0/24", "--pool", pool, "--interface", "eth1").code == 2


def test_sightings_and_flows(api: FakeApi, run: Callable) -> None:
    api.sightings = [{"mac": "52:54:00:aa:bb:cc", "address": "10.0.0.9", "times_seen": 3}]
    assert run("sighting", "list", "-o", "name").out == "52:54:00:aa:bb:cc\n"
    assert run("sighting", "delete", "52:54:00:aa:bb:cc").code == 0
    assert api.sightings == []
    assert "write image" in run("flow", "list").out
    assert run("flow", "show", "f-1", "-o", "json").code == 0
    assert "check image" in run("flow", "show", "f-1").out.splitlines()[-1]
    assert run("-o", "name", "subnet", "leases", "r1").out == "10.20.0.7\n"
    assert run("-o", "name", "subnet", "leases", "r2").out == ""


def test_a_simulated_fleet_grows(api: FakeApi, run: Callable) -> None:
    first = run("lab", "simulate", "--racks", "3", "--nodes", "20", "--fail", "deploy=0.02", "-o", "json")
    assert json.loads(first.out) == {
        "format": "rackwright.object/1",
        "created": 20,
        "existing": 0,
        "failed": 0,
        "racks": 3,
    }
    assert {node["rack"] for node in api.nodes.values()} == {"sim-r01", "sim-r02", "sim-r03"}
    assert len({mac for node in api.nodes.values() for mac in node["macs"]}) == 20
    assert all(node["driver_options"] == {"fail": {"deploy": 0.02}} for node in api.nodes.values())
    again = run("lab", "simulate", "--racks", "3", "--nodes", "20", "-o", "json")
    assert (again.code, json.loads(again.out)["existing"]) == (0, 20)
    assert run("lab", "simulate", "--racks", "1", "--nodes", "1", "--fail", "depoly=1").code == 2
    made = ("lab", "simulate", "--racks", "1", "--nodes", "1", "--prefix")
    api.nodes.clear()
    assert run(*made, "x", "--fail", "denied=1", "--fail", "agent=0.5", "--delay", "2s").code == 0
    assert [node["driver_options"] for node in api.nodes.values()] == [
        {"fail": {"power_state": 1.0, "power": 1.0, "agent": 0.5}, "error": "denied", "agent_delay_s": 2.0}
    ]
    assert run(*made, "y", "--fail", "denied=1", "--fail", "busy=1").code == 2
    assert run("lab", "simulate", "--racks", "1", "--nodes", "1", "--fail", "deploy=2").code == 2


def test_the_way_out(api: FakeApi, run: Callable) -> None:
    api.add_node("n1")
    assert json.loads(run("api", "get", "/v1/nodes/n1").out)["name"] == "n1"
    assert run("api", "POST", "/v1/nodes/n1/manage", "--data", "@-", stdin="{}").code == 0
    assert run("api", "POST", "/v1/nodes", "--data", "{").code == 2
    assert run("api", "GET", "//evil/x").code == 2
    assert run("api", "TRACE", "/").code == 2
    assert run("api", "GET", "/v1/nix").code == 3


def test_names_cannot_climb_out_of_their_path(api: FakeApi, run: Callable) -> None:
    run("node", "show", "../../v1/login?x=1#y")
    assert api.requests[0][1] == "/v1/nodes/..%2F..%2Fv1%2Flogin%3Fx%3D1%23y"


def test_open(api: FakeApi, place: tuple[str, Path], run: Callable) -> None:
    api.add_node("n1")
    assert run("open", "n1").out == f"{place[0]}/nodes/n1\n"


@pytest.mark.parametrize(
    "words", [("clean failed",), ("clean", "failed"), ("deploying",), ("node-locked",), ("bmc-denied",), ("6",)]
)
def test_explain(run: Callable, words: tuple[str, ...]) -> None:
    assert run("explain", *words).code == 0


@pytest.mark.parametrize("kind", [one.kind for one in BmcError.__subclasses__()])
def test_what_can_go_wrong_with_a_bmc_is_explained_as_that(run: Callable, kind: str) -> None:
    ended = run("explain", f"bmc-{kind}")
    assert (ended.code, "BMC" in ended.out) == (0, True)


def test_explain_of_a_slip(run: Callable) -> None:
    ended = run("explain", "deployin")
    assert (ended.code, "did you mean 'deploying'" in ended.err) == (3, True)


def test_doctor(api: FakeApi, run: Callable) -> None:
    ended = run("doctor", "-o", "json")
    assert ended.code == 0
    assert [item["name"] for item in json.loads(ended.out)["items"]] == [
        "address",
        "reachable",
        "login",
        "clock",
        "database",
    ]
    api.checks = [{"name": "dhcp", "ok": False, "detail": "another server answers", "next": "switch it off"}]
    ended = run("doctor")
    assert (ended.code, "FAIL\tanother server answers\tswitch it off" in ended.out) == (1, True)
    assert run("doctor", "--url", "https://127.0.0.1:9").code == 1
    out = run("doctor", "--token", "bad").out
    assert "login\tFAIL\ta valid token is needed\trackwright login" in out


# -- completion


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(run: Callable, shell: str) -> None:
    ended = run("completion", shell)
    assert ended.code == 0
    assert "_RACKWRIGHT_COMPLETE" in ended.out


def completed(pipe: Callable, line: str, **extra: str) -> list[str]:
    words = line.split(" ")
    ended = pipe(_RACKWRIGHT_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=str(len(words) - 1), **extra)
    assert (ended.code, ended.err) == (0, "")
    return [row.partition(",")[2] for row in ended.out.splitlines() if row]


def test_completion_knows_verbs_and_names(api: FakeApi, pipe: Callable) -> None:
    api.add_node("r1-n1")
    api.add_node("r2-n1")
    assert completed(pipe, "rackwright node mai") == ["maintenance"]
    assert completed(pipe, "rackwright node show r1") == ["r1-n1"]
    before = len(api.requests)
    assert completed(pipe, "rackwright node deploy r") == ["r1-n1", "r2-n1"]
    assert len(api.requests) == before  # from the cache


def test_completion_never_prints_an_error(pipe: Callable) -> None:
    assert completed(pipe, "rackwright node show r", RACKWRIGHT_URL="https://127.0.0.1:9") == []
    assert completed(pipe, "rackwright node show r", RACKWRIGHT_TOKEN="") == []
