"""A real appliance and the stock OpenStack clients pointed at it, once for all tests of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes import bmcs, serving
from tests.fakes.bmcs import Rig
from tests.fakes.serving import Appliance
from tests.interop import clients, demo, environments
from tests.interop.clients import Terminal

PATIENT = {"bmc": {"deadline": "5s", "sweep_interval": "5s"}}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test of the folder may have to install the clients."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(environments.INSTALL_S + 120))


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    """An appliance as `rackwright init` and `rackwright serve` make it, with clouds.yaml."""
    with serving.appliance(tmp_path_factory.mktemp("cloud"), settings=PATIENT) as one:
        yield one


@pytest.fixture(scope="session")
def home(cloud: Appliance, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clients' home directory, with the clouds.yaml that init wrote, nothing added."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "clouds.yaml").write_bytes((cloud.state / "clouds.yaml").read_bytes())
    return folder


@pytest.fixture(scope="session")
def typed(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """Type commands as the admin: typed("openstack token issue")."""
    with clients.warm(tmp_path_factory.mktemp("warm"), home=home) as terminal:
        yield terminal


@pytest.fixture(scope="session")
def demo_home(cloud: Appliance, typed: Terminal, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another home: beside the admin's there are the clouds and projects that the clients' own tests expect."""
    return demo.make(typed, clouds=cloud.state / "clouds.yaml", home=tmp_path_factory.mktemp("demo"))


@pytest.fixture
def rig() -> Iterator[Rig]:
    """A machine that is off, behind a BMC that speaks IPMI 2.0 on loopback."""
    with bmcs.rig() as one:
        yield one
