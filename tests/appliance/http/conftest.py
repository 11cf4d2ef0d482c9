import pytest

from appliance.domain.access import Role
from appliance.http.app import agent_app, internal_app
from tests.fakes.appliance import Appliance


@pytest.fixture
def appliance(database, tmp_path):
    made = Appliance(database, tmp_path)
    yield made
    made.close()


@pytest.fixture
def operators(appliance):
    """A client of the native API with an admin's token."""
    return client_of(appliance.operators(), appliance.token())


@pytest.fixture
def readers(appliance):
    return client_of(appliance.operators(), appliance.token(Role.READER))


@pytest.fixture
def strangers(appliance):
    return appliance.operators().test_client()


@pytest.fixture
def agents(appliance):
    return agent_app(appliance.context).test_client()


@pytest.fixture
def netboot(appliance):
    return internal_app(appliance.context).test_client()


def client_of(app, token):
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client
