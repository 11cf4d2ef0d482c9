import pytest

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
    return lambda token, version="1.110": Client(app, token, version)
