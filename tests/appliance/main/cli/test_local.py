"""Commands that work on this machine: what they hand to the parts that do it, and how their faults are told."""

import json
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import appliance.lab
import appliance.main
import appliance.services
import images
from appliance.domain.errors import Conflict, RackwrightError
from tests.fakes.fake_api import FakeApi


@dataclass
class Called:
    """A module of another part, standing in for it: it writes down how it was called."""

    calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = field(default_factory=list)
    results: dict[str, Any] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls.append((name, args, kwargs))
            result = self.results.get(name)
            if isinstance(result, Exception):
                raise result
            return result

        return call


@pytest.fixture
def part(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, str], Called]:
    def replace(package: types.ModuleType, name: str) -> Called:
        called = Called()
        monkeypatch.setattr(package, name, called, raising=False)
        monkeypatch.setitem(sys.modules, f"{package.__name__}.{name}", called)
        return called

    return replace


def test_init_prints_the_one_time_password_to_stdout_only(part: Callable, run: Callable, tmp_path: Path) -> None:
    setup = part(appliance.services, "setup")
    setup.results["init"] = types.SimpleNamespace(
        state=tmp_path, url="https://127.0.0.1:8443", ca=tmp_path / "ca.pem", ca_fingerprint="ab", admin_name="admin",
        clouds=tmp_path / "clouds.yaml", admin_password="one-time",
    )  # fmt: skip
    ended = run("init", "--state", str(tmp_path), "--listen", "127.0.0.1:9443", "-o", "json")
    assert ended.code == 0
    assert json.loads(ended.out)["one_time_password"] == "one-time"
    assert "one-time" not in ended.err
    assert setup.calls == [
        (
            "init",
            (tmp_path,),
            {"admin_password_file": None, "database_url": None, "listen": "127.0.0.1:9443", "join": None},
        )
    ]
    setup.results["init"] = Conflict("it is in use", next_step="choose another")
    ended = run("init", "--state", str(tmp_path))
    assert (ended.code, ended.err) == (5, "error: it is in use\nnext: choose another\n")


def test_init_needs_a_directory(run: Callable) -> None:
    assert run("init").code == 2


def test_serve(part: Callable, run: Callable, tmp_path: Path) -> None:
    supervisor = part(appliance.main, "supervisor")
    supervisor.results["serve"] = 0
    assert run("serve", "--state", str(tmp_path), "--only", "api,worker").code == 0
    assert supervisor.calls == [("serve", (tmp_path,), {"listen": None, "only": frozenset({"api", "worker"})})]
    assert run("serve", "--state", str(tmp_path), "--only", "apy").code == 2


def test_boot_files(part: Callable, run: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bootfiles = part(appliance.services, "bootfiles")
    bootfiles.results["install"] = types.SimpleNamespace(kernel_bytes=1, initrd_bytes=2)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    ended = run("boot-files", "build", "--state", str(tmp_path), "--cache", "/c")
    assert ended.out == f"directory\t{tmp_path}/boot\nkernel_bytes\t1\ninitrd_bytes\t2\n"
    assert bootfiles.calls[0][1] == (tmp_path, Path("/c"))
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert run("boot-files", "build", "--state", str(tmp_path)).code == 2


def test_what_is_built_once_is_kept_where_the_demo_has_it(
    part: Callable, run: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bootfiles = part(appliance.services, "bootfiles")
    bootfiles.results["install"] = types.SimpleNamespace(kernel_bytes=1, initrd_bytes=2)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert run("boot-files", "build", "--state", str(tmp_path)).code == 0
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert run("boot-files", "build", "--state", str(tmp_path)).code == 0
    assert [str(call[1][1]) for call in bootfiles.calls] == [
        "/var/cache/rackwright/ramdisk", "/elsewhere/rackwright/ramdisk",
    ]  # fmt: skip


def test_a_file_that_cannot_be_used_is_no_traceback(part: Callable, run: Callable, tmp_path: Path) -> None:
    part(appliance.lab, "rack").results["down"] = PermissionError(13, "Permission denied", "/var/lib/x")
    ended = run("lab", "down", "--run-dir", str(tmp_path))
    assert (ended.code, ended.err.splitlines()[0]) == (1, "error: /var/lib/x: Permission denied")


def test_lab(part: Callable, run: Callable, tmp_path: Path) -> None:
    rack, spec = part(appliance.lab, "rack"), part(appliance.lab, "spec")
    checks = part(appliance.lab, "checks")
    checks.results["lacks"] = []
    node = types.SimpleNamespace(bmc_username="admin", bmc_password="factory")
    spec.results["rack"] = types.SimpleNamespace(nodes=[node], cidr="10.77.0.0/24", bridge="br0")
    rack.results["status"] = {
        "is_up": True, "namespace": "lab", "address": "10.77.0.1",
        "machines": [{"name": "node1", "firmware": "bios", "mac": "52:54:00:4c:00:01", "bmc": "10.77.0.201",
                      "power": "off"}],
    }  # fmt: skip
    ended = run("lab", "up", "--bios", "1", "--uefi", "2", "--run-dir", str(tmp_path), "--no-headers")
    assert (ended.code, ended.out) == (0, "node1\tbios\toff\t52:54:00:4c:00:01\t10.77.0.201\n")
    assert spec.calls[0][1] == (["bios", "uefi", "uefi"],)
    assert "admin / factory" in ended.err
    assert json.loads(run("lab", "status", "--run-dir", str(tmp_path), "-o", "json").out)["is_up"] is True
    assert run("lab", "down", "--run-dir", str(tmp_path)).code == 0
    rack.results["status"] = {"is_up": False, "machines": []}
    assert run("lab", "status", "--run-dir", str(tmp_path)).code == 3
    rack.results["up"] = RackwrightError("no namespace", why="not root")
    ended = run("lab", "up", "--run-dir", str(tmp_path))
    assert (ended.code, ended.err) == (1, "error: no namespace\nwhy: not root\n")
    checks.results["lacks"] = [types.SimpleNamespace(what="root is needed", why="taps", next_step="sudo it")]
    ended = run("lab", "up", "--run-dir", str(tmp_path / "never"))
    assert (ended.code, ended.err) == (1, "error: root is needed\nwhy: taps\nnext: sudo it\n")
    assert not (tmp_path / "never").exists()


def test_image_build(
    api: FakeApi, part: Callable, run: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    debian = part(images, "debian")
    errors = part(images, "errors")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    errors.ImageError = type("ImageError", (Exception,), {})

    def built(out: Path, cache: Path, **_: Any) -> Any:
        out.write_bytes(b"disk")
        schema = out.with_name("schema.json")
        schema.write_text("{}")
        return types.SimpleNamespace(path=out, schema=schema, sha256="ab" * 32, size_bytes=4, kernel="6.1")

    debian.build = built
    ended = run("image", "build", "debian-12", "--cache", str(tmp_path), "--fields", "name,status", "--no-headers")
    assert (ended.code, ended.out) == (0, "name\tdebian-12\nstatus\tactive\n")
    assert api.uploads == {"debian-12": b"disk"}
    assert list(tmp_path.glob("*.raw")) == []
    kept = tmp_path / "kept.raw"
    assert run("image", "build", "debian-12", "--out", str(kept), "--cache", str(tmp_path)).code == 0
    assert kept.read_bytes() == b"disk"
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    ended = run("image", "build", "debian-12")
    assert (ended.code, "sudo" in ended.err) == (2, True)
