import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.secret_names import is_secret
from appliance.http.ironic.errors import BadRequest
from appliance.http.ironic.secrets_masked import split

CANARY = "hunter2-canary"


@pytest.mark.parametrize(
    "name", ["password", "adminPass", "snmp_auth_key", "x_TOKEN", "client_secret", "CHAPPASSWORD", "configdrive"]
)
def test_names_of_secrets(name):
    assert is_secret(name)


@pytest.mark.parametrize("name", ["cpus", "address", "keyboard", "deploy_kernel", "username"])
def test_other_names(name):
    assert not is_secret(name)


def test_a_secret_is_taken_out_wherever_it_lies():
    given_ = {"a": 1, "token": CANARY, "deep": {"x": [{"password": CANARY}]}, "password": ""}
    clear, secrets = split(given_, {}, "extra")
    assert CANARY not in str(clear)
    assert clear == {"a": 1, "token": "******", "deep": "******", "password": ""}
    assert secrets == {"token": CANARY, "deep": {"x": [{"password": CANARY}]}}


def test_a_mask_stands_for_what_was_sealed_and_for_nothing_else():
    assert split({"token": "******"}, {"token": CANARY}, "x") == ({"token": "******"}, {"token": CANARY})
    with pytest.raises(BadRequest):
        split({"token": "******"}, {}, "x")


@given(st.dictionaries(st.text(max_size=12), st.text(min_size=1, max_size=8)))
def test_what_is_clear_and_what_is_secret_is_all_that_there_was(given_):
    try:
        clear, secrets = split(given_, {}, "x")
    except BadRequest:
        return
    assert {**clear, **secrets} == given_
