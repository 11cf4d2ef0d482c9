import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.http.ironic import driver_info
from appliance.http.ironic.errors import BadRequest


def round_trip(driver, info):
    access, options = driver_info.parse(driver, info, has_secret=False)
    return access, driver_info.shown(
        driver, address=access.address, udp_port=access.udp_port, username=access.username,
        has_secret=access.password is not None, options=options,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("driver", "info", "expected"),
    [
        ("ipmi", {"ipmi_address": "10.0.0.5", "ipmi_port": "6230"}, {"ipmi_address": "10.0.0.5", "ipmi_port": 6230}),
        ("ipmi", {"ipmi_address": "10.0.0.5", "ipmi_port": 623}, {"ipmi_address": "10.0.0.5"}),
        ("ipmi", {"ipmi_password": 123456, "deploy_kernel": "k"}, {"ipmi_password": "******", "deploy_kernel": "k"}),
        ("fake", {"ipmi_address": "anything", "x": [1]}, {"ipmi_address": "anything", "x": [1]}),
        ("redfish", {"redfish_address": "https://10.0.0.5"}, {"redfish_address": "https://10.0.0.5"}),
        ("redfish", {"redfish_address": "10.0.0.5"}, {"redfish_address": "https://10.0.0.5"}),
        ("redfish", {"redfish_address": "https://[fd00::5]:8443/"}, {"redfish_address": "https://[fd00::5]:8443"}),
        (
            "redfish",
            {"redfish_system_id": "/redfish/v1/Systems/1", "redfish_verify_ca": "False"},
            {"redfish_system_id": "/redfish/v1/Systems/1", "redfish_verify_ca": False},
        ),
    ],
)
def test_what_is_given_is_shown_again(driver, info, expected):
    assert round_trip(driver, info)[1] == expected


def test_the_names_of_the_field_become_ours():
    access, options = driver_info.parse(
        "redfish",
        {"redfish_address": "https://10.0.0.5:444", "redfish_username": "u", "redfish_password": "p",
         "redfish_system_id": "/redfish/v1/Systems/1", "redfish_auth_type": "basic"},
        has_secret=False,
    )  # fmt: skip
    assert (access.address, access.udp_port, access.username, access.password) == ("10.0.0.5", 444, "u", "p")
    assert options == {"system": "/redfish/v1/Systems/1", "auth_type": "basic"}


@pytest.mark.parametrize(
    ("driver", "info"),
    [
        ("ipmi", {"ipmi_address": "bmc.example"}),
        ("ipmi", {"ipmi_address": ["10.0.0.5"]}),
        ("ipmi", {"ipmi_port": "x"}),
        ("ipmi", {"ipmi_port": True}),
        ("ipmi", {"ipmi_username": "x" * 65}),
        ("ipmi", {"ipmi_password": "***"}),
        ("ipmi", {"ipmi_protocol_version": "1.5"}),
        ("redfish", {"redfish_address": "http://10.0.0.5"}),
        ("redfish", {"redfish_address": "https://u:p@10.0.0.5"}),
        ("redfish", {"redfish_address": "https://10.0.0.5/redfish"}),
        ("redfish", {"redfish_verify_ca": "/etc/ca.pem"}),
        ("redfish", {"redfish_auth_type": "kerberos"}),
        ("fake", {"deploy_interface": "fake"}),
    ],
)
def test_what_is_refused(driver, info):
    with pytest.raises(BadRequest):
        driver_info.parse(driver, info, has_secret=False)


def test_a_mask_stands_for_the_stored_password():
    access, _options = driver_info.parse("ipmi", {"ipmi_password": "******"}, has_secret=True)
    assert access.password is None
    assert "password" not in access.given


_VALUE = st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.lists(st.integers(), max_size=2)


@given(
    st.sampled_from(["ipmi", "redfish", "fake", "manual"]),
    st.dictionaries(
        st.sampled_from(["ipmi_address", "ipmi_port", "ipmi_password", "redfish_address", "redfish_verify_ca", "x"]),
        _VALUE,
    ),
)
def test_any_info_is_taken_or_refused(driver, info):
    with contextlib.suppress(BadRequest):
        round_trip(driver, info)
