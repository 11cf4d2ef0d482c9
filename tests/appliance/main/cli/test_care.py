"""Rescue, unrescue, service, unhold; steps and config-drives as files."""

import base64
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fakes.fake_api import FakeApi

STEPS = [{"interface": "deploy", "step": "erase_devices", "args": {}, "priority": 90}]
CANARY = "hunter2-canary"


@pytest.fixture
def steps(tmp_path: Path) -> str:
    path = tmp_path / "steps.json"
    path.write_text(json.dumps(STEPS))
    return str(path)


def asked(api: FakeApi) -> list[tuple[str, object]]:
    return [(path, body) for method, path, body in api.requests if method == "POST" and "/nodes/" in path]


@pytest.mark.parametrize(
    ("verb", "before", "after"), [("unrescue", "rescue", "active"), ("unhold", "service hold", "active")]
)
def test_back_to_the_instance(api: FakeApi, run: Callable, verb: str, before: str, after: str) -> None:
    api.add_node("n1", before)
    ended = run("node", verb, "n1", "--wait", "--no-headers")
    assert (ended.code, ended.out) == (0, f"n1\tdone\t{after}\t-\n")


def test_a_rescue_asks_for_a_password_and_says_nothing_of_it(api: FakeApi, run: Callable, tmp_path: Path) -> None:
    api.add_node("n1", "active")
    secret = tmp_path / "pw"
    secret.write_text(CANARY + "\n")
    ended = run("node", "rescue", "n1", "--yes", "--password-file", str(secret), "--wait", "--no-headers")
    assert (ended.code, ended.out) == (0, "n1\tdone\trescue\t-\n")
    assert CANARY not in ended.out + ended.err
    assert asked(api) == [("/v1/nodes/n1/rescue", {"rescue_password": CANARY})]


def test_a_service_without_steps_holds(api: FakeApi, run: Callable) -> None:
    api.add_node("n1", "active")
    ended = run("node", "service", "n1", "--yes", "--wait", "--no-headers")
    assert (ended.code, ended.out) == (0, "n1\tdone\tservice hold\t-\n")
    ((_, body),) = asked(api)
    assert body == {
        "service_steps": [{"interface": "power", "step": "hold", "args": {}}],
        "disable_ramdisk": False,
    }


def test_steps_come_from_a_file(api: FakeApi, run: Callable, steps: str) -> None:
    api.add_node("n1", "manageable")
    assert run("node", "clean", "n1", "--yes", "--steps", steps, "--no-ramdisk").code == 0
    assert asked(api) == [("/v1/nodes/n1/clean", {"clean_steps": STEPS, "disable_ramdisk": True})]


@pytest.mark.parametrize("words", [("--method", "shred", "--steps", "x"), ("--no-ramdisk",)])
def test_what_does_not_go_together(api: FakeApi, run: Callable, words: tuple[str, ...]) -> None:
    api.add_node("n1", "manageable")
    assert run("node", "clean", "n1", "--yes", *words).code == 2
    assert asked(api) == []


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_config_drive_of_ones_own_travels_gzipped(
    api: FakeApi, run: Callable, tmp_path: Path, steps: str, *, is_packed: bool
) -> None:
    api.add_node("n1", "available")
    api.images["debian-12"] = {"name": "debian-12"}
    drive = tmp_path / "drive.iso"
    drive.write_bytes(gzip.compress(b"iso") if is_packed else b"iso")
    ended = run("node", "deploy", "n1", "--image", "debian-12", "--config-drive", str(drive), "--steps", steps)
    assert ended.code == 0
    ((_, body),) = asked(api)
    assert isinstance(body, dict)
    assert gzip.decompress(base64.b64decode(body["configdrive"])) == b"iso"
    assert body["deploy_steps"] == STEPS


def test_a_config_drive_may_lie_elsewhere(api: FakeApi, run: Callable) -> None:
    api.add_node("n1", "available")
    api.images["debian-12"] = {"name": "debian-12"}
    url = "https://203.0.113.9/drive"
    assert run("node", "deploy", "n1", "--image", "debian-12", "--config-drive", url).code == 0
    ((_, body),) = asked(api)
    assert isinstance(body, dict)
    assert body["configdrive"] == url


@pytest.mark.parametrize(("word", "sent"), [("required", True), ("hoped", "hoped"), ("none", False)])
def test_whether_the_call_is_waited_for(api: FakeApi, run: Callable, word: str, sent: object) -> None:
    api.add_node("n1", "available")
    api.images["debian-12"] = {"name": "debian-12"}
    assert run("node", "deploy", "n1", "--image", "debian-12", "--call-home", word).code == 0
    ((_, body),) = asked(api)
    assert isinstance(body, dict)
    assert body["call_home"] == sent


def test_a_config_drive_that_is_not_there_is_said(api: FakeApi, run: Callable) -> None:
    api.add_node("n1", "available")
    ended = run("node", "deploy", "n1", "--image", "debian-12", "--config-drive", "/nowhere/x.iso")
    assert ended.code == 2
    assert "cannot be read" in ended.err
