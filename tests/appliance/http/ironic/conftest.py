from types import SimpleNamespace

import pytest

from tests.fakes import bmcs, redfish
from tests.fakes.appliance import Appliance
from tests.fakes.ironic_client import Client


@pytest.fixture
def appliance(database, tmp_path):
    made = Appliance(database, tmp_path)
    yield made
    made.close()


@pytest.fixture
def app(appliance):
    return appliance.operators()


@pytest.fixture
def ironic(appliance, app):
    """A client with an admin's token, in the newest version."""
    return Client(app, appliance.token())


@pytest.fixture
def strangers(app):
    return Client(app, None)


@pytest.fixture
def client_for(app):
    return lambda token, version="1.112": Client(app, token, version)


class Wired(Appliance):
    """An appliance whose nodes `ipmi` and `redfish` have a virtual BMC each."""

    def connect(self, node):
        rig = self.rigs.get(node.driver)
        return super().connect(node) if rig is None else self.connections.connect(rig.target)


@pytest.fixture(scope="module")
def bmc_certificate(tmp_path_factory):
    return redfish.certificate(tmp_path_factory.mktemp("bmc"))


@pytest.fixture
def wired(database, tmp_path, bmc_certificate):
    """An admin's client (`api`), and by driver the machines behind its nodes, which are called as their drivers."""
    with bmcs.rig() as ipmi, redfish.redfish_rig(bmc_certificate) as other:
        made = Wired(database, tmp_path)
        made.rigs = {"ipmi": ipmi, "redfish": other}
        api = Client(made.operators(), made.token())
        for driver in ("ipmi", "redfish"):
            info = {f"{driver}_address": "10.0.0.5", f"{driver}_username": "admin", f"{driver}_password": "x"}
            assert api.post("/v1/nodes", {"driver": driver, "name": driver, "driver_info": info}).status_code == 201
        for driver in ("fake-hardware", "manual-management"):
            assert api.post("/v1/nodes", {"driver": driver, "name": driver}).status_code == 201
        yield SimpleNamespace(api=api, appliance=made, rigs=made.rigs)
        made.close()
