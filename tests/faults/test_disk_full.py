"""The disk of the state directory is full: refusals say so, nothing is lost, and it goes on by itself afterwards."""

import os
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from appliance.main.client_errors import ApiError
from tests.fakes import served as fake
from tests.fakes.served import Served, disk_image
from tests.faults.conftest import copy

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small file system")

SIZE_MIB = 24


@pytest.fixture
def small(pristine: Path, tmp_path: Path) -> Iterator[Served]:
    """An appliance whose state directory is a file system of its own."""
    mount = tmp_path / "small"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m,mode=700", "tmpfs", mount], check=True)
    try:
        with fake.served(copy(pristine, mount / "state")) as one:
            yield one
    finally:
        subprocess.run(["umount", "-l", mount], check=True)


def fill(appliance: Served) -> Path:
    """Take every block that is left."""
    ballast = appliance.state.parent / "ballast"
    with ballast.open("wb", buffering=0) as out:
        for size in (1 << 20, 4096):
            try:
                while True:
                    out.write(b"x" * size)
            except OSError:
                continue
    return ballast


def names(appliance: Served) -> set[str]:
    return {node["name"] for node in appliance.get("/v1/nodes?limit=1000")["items"]}


def test_what_was_acknowledged_is_there_and_the_rest_was_refused(small):
    ballast = fill(small)
    accepted: set[str] = set()
    refusals: list[ApiError] = []
    for number in range(400):
        name = f"node-{number:03d}"
        try:
            small.call("POST", "/v1/nodes", {"name": name, "driver": "fake", "extra": {"padding": "x" * 4000}})
        except ApiError as error:
            refusals.append(error)
            if len(refusals) == 10:
                break
        else:
            accepted.add(name)
    assert len(refusals) == 10, f"{len(accepted)} nodes fit"
    for refusal in refusals:
        assert (refusal.status, refusal.code) == (507, "storage-full")
        assert "disk is full; nothing was changed" in str(refusal)
        assert refusal.next_step == "rackwright doctor"
    assert names(small) == accepted, "it still tells what is there"
    said = small.cli("node", "enroll", "one-more", "--driver", "fake")
    assert said.code == 1
    assert "disk is full" in said.err
    check = next(check for check in small.get("/v1/doctor")["checks"] if check["name"] == "disk")
    assert not check["ok"]
    ballast.unlink()
    small.call("POST", "/v1/nodes", {"name": "after", "driver": "fake"})
    assert names(small) == accepted | {"after"}
    small.kill("control")
    small.until_ready()
    assert names(small) == accepted | {"after"}
    with closing(sqlite3.connect(small.state / "rackwright.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_an_upload_that_does_not_fit(small):
    small.call("POST", "/v1/images", {"name": "large"})
    data = disk_image(4 << 20) + os.urandom(SIZE_MIB << 20)  # zeros would be kept as a hole
    with pytest.raises(ApiError) as refused:
        small.client().upload("/v1/images/large/file", [data], size=len(data), headers={})
    assert (refused.value.status, refused.value.code) == (507, "storage-full")
    assert refused.value.next_step == "delete images or enlarge the disk, then send it again"
    small.until(lambda: small.get("/v1/images/large")["status"] == "killed", within_s=60, what="the image is killed")
    image = small.get("/v1/images/large")
    assert image["problem"] == "The appliance's disk is full."
    assert not list((small.state / "images").rglob("upload*")), "nothing of it is kept"
    small.add_image("small")


def test_deploys_wait_for_space_and_go_on(small):
    small.add_image("small")
    refs = small.fleet(2)
    for ref in refs:
        small.call("PATCH", f"/v1/nodes/{ref}", {"driver_options": {"agent_delay_s": 1.5}})
        small.call("POST", f"/v1/nodes/{ref}/deploy", {"image": "small"})
    ballast = fill(small)
    control = small.pid("control")
    time.sleep(4)  # in which every step that is due meets the full disk, some of them twice
    assert [small.node(ref)["provision_state"] for ref in refs] != ["active"] * len(refs)
    ballast.unlink()
    for ref in refs:
        node = small.rest(ref, within_s=60)
        assert node["provision_state"] == "active", node["failure"]
    assert small.pid("control") == control, "no process ended for it"
