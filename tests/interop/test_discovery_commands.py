"""What an operator types first: what is there, and where. Some with the programs exactly as pip installed them."""

from pathlib import Path

import pytest

from tests.fakes.serving import Appliance
from tests.interop import clients, demo
from tests.interop.clients import Terminal

FACES = {"identity": "/identity/v3", "baremetal": "/baremetal", "image": "/image"}
INTERFACES = {"public", "internal", "admin"}


def test_catalog_list(typed: Terminal, cloud: Appliance):
    found = {one["Type"]: one["Endpoints"] for one in typed.shows("openstack catalog list")}
    assert set(found) == set(FACES)
    for kind, path in FACES.items():
        assert {one["interface"] for one in found[kind]} == INTERFACES
        assert {one["region_id"] for one in found[kind]} == {"RegionOne"}
        assert all(one["url"].startswith(cloud.url + path) for one in found[kind])


@pytest.mark.parametrize("kind", FACES)
def test_catalog_show(typed: Terminal, kind: str):
    assert typed.shows(f"openstack catalog show {kind}")["type"] == kind


def test_versions_show(typed: Terminal, cloud: Appliance):
    found = typed.shows("openstack versions show")
    kinds = {one["Service Type"]: one for one in found if one["Status"] == "CURRENT"}
    assert set(kinds) == set(FACES)
    assert all(one["Region Name"] == "RegionOne" for one in found)
    assert kinds["identity"]["Version"].startswith("3.")
    assert kinds["image"]["Version"].startswith("2.")
    baremetal = kinds["baremetal"]
    assert baremetal["Version"].startswith("1.") or baremetal["Version"] == "1"
    assert baremetal["Min Microversion"] == "1.1"
    assert int(baremetal["Max Microversion"].partition(".")[2]) >= 112
    assert baremetal["Endpoint"].startswith(cloud.url)


@pytest.mark.parametrize(
    ("line", "cloud_name", "holds"),
    [
        ("openstack token issue -f json", "rackwright", "project_id"),
        ("openstack token issue -f json", "rackwright-system", "system"),
        ("openstack baremetal node list -f json", "rackwright", None),
        ("openstack baremetal node list -f json", "rackwright-system", None),
        ("openstack image list -f json", "rackwright", None),
    ],
)
def test_as_installed(cloud: Appliance, home: Path, line: str, cloud_name: str, holds: str | None):
    """Nothing warmed up, nothing but OS_CLIENT_CONFIG_FILE and OS_CLOUD set."""
    answer = clients.cold(home=home)(line, cloud=cloud_name).json()
    assert holds is None or holds in answer


def test_the_bare_metal_command_as_installed(cloud: Appliance, home: Path):
    """`baremetal` is python-ironicclient without python-openstackclient; it takes the cloud by an option alone."""
    said = clients.cold(home=home)("baremetal --os-cloud rackwright driver list -f json")
    assert "fake-hardware" in {one["name"] for one in said.json()}


def test_a_wrong_password_is_refused_in_one_line(typed: Terminal):
    said = typed("openstack --os-password wrong token issue")
    assert said.code == 1
    assert "The request you have made requires authentication. (HTTP 401)" in said.err
    assert "Traceback" not in said.err


def test_variables_instead_of_a_file(typed: Terminal, cloud: Appliance, home: Path):
    """The way of the guides: an openrc file."""
    auth = demo.read(home / "clouds.yaml")["clouds"]["rackwright"]["auth"]
    variables = {
        "OS_AUTH_URL": auth["auth_url"], "OS_CACERT": str(cloud.ca), "OS_IDENTITY_API_VERSION": "3",
        "OS_USERNAME": auth["username"], "OS_PASSWORD": auth["password"], "OS_PROJECT_NAME": "admin",
        "OS_USER_DOMAIN_NAME": "Default", "OS_PROJECT_DOMAIN_NAME": "Default", "OS_REGION_NAME": "RegionOne",
    }  # fmt: skip
    assert typed.shows("openstack token issue", variables=variables)["project_id"]
    typed.does("openstack baremetal node list", variables=variables)
    typed.does("baremetal node list", variables=variables)
