import pytest

from appliance.domain.secret_names import holds_secret, is_secret


@pytest.mark.parametrize(
    "name", ["password", "adminPass", "snmp_auth_key", "x_TOKEN", "client_secret", "CHAPPASSWORD", "configdrive",
             "snmp_community_read", "ssh_key_contents", "ipmi_hex_kg_key", "image_url", "swift_temp_url"]
)  # fmt: skip
def test_names_of_secrets(name):
    assert is_secret(name)


@pytest.mark.parametrize(
    "name", ["cpus", "address", "keyboard", "deploy_kernel", "username", "ssh_keys", "image_source"]
)
def test_other_names(name):
    assert not is_secret(name)


def test_a_secret_is_found_wherever_it_lies():
    assert holds_secret("deep", {"x": [{"password": "x"}]})
    assert not holds_secret("password", "")
    assert not holds_secret("deep", {"x": [{"user": "x"}]})
