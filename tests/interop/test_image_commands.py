"""The image commands of an OpenStack guide, as typed."""

import hashlib
import secrets
from pathlib import Path

import pytest

from images import tools
from tests.fakes.serving import boot_sector
from tests.interop.clients import Terminal

SIZE = 1 << 20


@pytest.fixture
def name() -> str:
    return f"debian-{secrets.token_hex(4)}"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """disk.raw, and disk.qcow2 with the same content."""
    folder = tmp_path_factory.mktemp("files")
    disk = boot_sector() + b"\x5a" * 4096
    (folder / "disk.raw").write_bytes(disk + bytes(SIZE - len(disk)))
    raw, qcow2, thief = (str(folder / name) for name in ("disk.raw", "disk.qcow2", "thief.qcow2"))
    tools.run(["qemu-img", "convert", "-O", "qcow2", raw, qcow2], timeout_s=30)
    tools.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", "/etc/hostname", thief], timeout_s=30)
    return folder


@pytest.fixture
def image(typed: Terminal, name: str, files: Path):
    made = typed.shows(
        f"openstack image create --disk-format qcow2 --container-format bare --file {files}/disk.qcow2 --public "
        f"--property os_distro=debian --property hw_rack=7 --min-disk 3 --min-ram 512 {name}"
    )
    yield made
    typed.does(f"openstack image delete {made['id']}")


def names(typed: Terminal, line: str, **more) -> set[str]:
    return {one["Name"] for one in typed.shows(line, **more)}


def test_create_and_show(typed: Terminal, image, name: str, files: Path):
    shown = typed.shows(f"openstack image show {name}")
    assert shown["status"] == "active"
    assert (shown["disk_format"], shown["container_format"], shown["visibility"]) == ("qcow2", "bare", "public")
    assert (shown["min_disk"], shown["min_ram"]) == (3, 512)
    content = (files / "disk.qcow2").read_bytes()
    assert shown["size"] == len(content)
    assert shown["checksum"] == hashlib.md5(content).hexdigest()
    assert shown["properties"]["os_hash_algo"] == "sha512"
    assert shown["properties"]["os_hash_value"] == hashlib.sha512(content).hexdigest()
    assert shown["properties"]["os_distro"] == "debian"


@pytest.mark.parametrize(
    ("options", "is_found"),
    [
        ("--property os_distro=debian --property hw_rack=7", True),
        ("--property os_distro=debian --property hw_rack=8", False),
        ("--public", True),
        ("--private", False),
        ("--status active", True),
        ("--name {name}", True),
        ("--name somebody-else", False),
        ("--sort name:desc", True),
        ("--limit 1000", True),
        ("--long", True),
    ],
)
def test_list(typed: Terminal, image, name: str, options: str, is_found: bool):
    assert (name in names(typed, f"openstack image list {options.format(name=name)}")) == is_found


def test_save(typed: Terminal, image, name: str, files: Path, tmp_path: Path):
    typed.does(f"openstack image save --file {tmp_path}/copy {name}")
    assert (tmp_path / "copy").read_bytes() == (files / "disk.qcow2").read_bytes()


def test_set_and_unset(typed: Terminal, image, name: str):
    typed.does(f"openstack image set --name {name}-2 --min-disk 4 --property os_version=13 --tag gold {name}")
    shown = typed.shows(f"openstack image show {name}-2")
    assert (shown["min_disk"], shown["tags"], shown["properties"]["os_version"]) == (4, ["gold"], "13")
    assert name + "-2" in names(typed, "openstack image list --tag gold")
    typed.does(f"openstack image unset --property os_version --tag gold {name}-2")
    shown = typed.shows(f"openstack image show {name}-2")
    assert shown["tags"] == []
    assert "os_version" not in shown["properties"]


def test_protected(typed: Terminal, image, name: str):
    typed.does(f"openstack image set --protected {name}")
    said = typed(f"openstack image delete {name}")
    assert said.code != 0
    assert "403" in said.err
    typed.does(f"openstack image set --unprotected {name}")


def test_deactivated(typed: Terminal, image, name: str, tmp_path: Path):
    typed.does(f"openstack image set --deactivate {name}")
    assert typed.shows(f"openstack image show {name}")["status"] == "deactivated"
    typed.does(f"openstack image set --activate {name}")
    assert typed.shows(f"openstack image show {name}")["status"] == "active"


def test_shared_with_a_project(typed: Terminal, demo_home: Path, name: str, files: Path):
    there = typed.at(demo_home)
    there.does(f"openstack image create --shared --disk-format raw --file {files}/disk.raw {name}", cloud="devstack")
    assert name not in names(there, "openstack image list", cloud="devstack-alt")
    there.does(f"openstack image add project {name} alt_demo --project-domain default", cloud="devstack-admin")
    members = there.shows(f"openstack image member list {name}", cloud="devstack")
    assert [one["Status"] for one in members] == ["pending"]
    identity = there.shows(f"openstack image show {name}", cloud="devstack")["id"]
    there.does(f"openstack image set --accept {identity}", cloud="devstack-alt")
    assert name in names(there, "openstack image list --shared", cloud="devstack-alt")
    there.does(f"openstack image remove project {name} alt_demo --project-domain default", cloud="devstack-admin")
    assert name not in names(there, "openstack image list --shared", cloud="devstack-alt")
    there.does(f"openstack image delete {name}", cloud="devstack")


def test_private_is_invisible(typed: Terminal, demo_home: Path, name: str):
    there = typed.at(demo_home)
    made = there.shows(f"openstack image create --private {name}", cloud="devstack")
    assert made["status"] == "queued"
    said = there(f"openstack image show {made['id']}", cloud="devstack-alt")
    assert said.code != 0
    assert "No image found" in said.err or "No Image found" in said.err
    there.does(f"openstack image delete {name}", cloud="devstack")


def test_members_may_not_publish(typed: Terminal, demo_home: Path, name: str):
    said = typed.at(demo_home)(f"openstack image create --public {name}", cloud="devstack")
    assert said.code != 0
    assert "403" in said.err


def test_a_backing_file_is_refused(typed: Terminal, name: str, files: Path):
    line = f"openstack image create --disk-format qcow2 --container-format bare --file {files}/thief.qcow2 {name}"
    said = typed(line)
    assert said.code != 0
    assert "400" in said.err or "415" in said.err
    for one in typed.shows(f"openstack image list --name {name}"):
        assert one["Status"] != "active"
        typed.does(f"openstack image delete {one['ID']}")


def test_a_format_that_the_bytes_contradict_is_refused(typed: Terminal, name: str, files: Path):
    said = typed(f"openstack image create --disk-format qcow2 --container-format bare --file {files}/disk.raw {name}")
    assert said.code != 0
    assert "400" in said.err or "415" in said.err
    for one in typed.shows(f"openstack image list --name {name}"):
        typed.does(f"openstack image delete {one['ID']}")


def test_import(typed: Terminal, name: str):
    methods = typed.shows("openstack image import info")["import-methods"]
    assert "web-download" in str(methods)
    made = typed.shows(f"openstack image create --disk-format raw --container-format bare {name}")
    said = typed(f"openstack image import --method web-download --uri http://127.0.0.1:9/disk.raw {made['id']}")
    assert said.code == 0 or "400" in said.err, said
    typed.does(f"openstack image delete {name}")
