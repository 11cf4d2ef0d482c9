import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.http.ironic import versions
from appliance.http.ironic.versions import HEADER, MAXIMUM, NotAcceptable, negotiate


@pytest.mark.parametrize(
    ("headers", "minor"),
    [
        ({}, 1),
        ({HEADER: "1.1"}, 1),
        ({HEADER: "1.72"}, 72),
        ({HEADER: "latest"}, MAXIMUM),
        ({HEADER: "Latest"}, MAXIMUM),
        ({HEADER: f" 1.{MAXIMUM} "}, MAXIMUM),
        ({"OpenStack-API-Version": "baremetal 1.50"}, 50),
        ({"OpenStack-API-Version": "compute 2.1, baremetal latest"}, MAXIMUM),
        ({"OpenStack-API-Version": "compute 2.1"}, 1),
        ({HEADER: "1.20", "OpenStack-API-Version": "baremetal 1.50"}, 50),
        ({HEADER: "1.20", "OpenStack-API-Version": "compute 2.1"}, 20),
        ({HEADER: ""}, 1),
    ],
)
def test_what_a_request_speaks(headers, minor):
    assert negotiate(headers) == minor


@pytest.mark.parametrize("asked", ["1", "1.0", f"1.{MAXIMUM + 1}", "2.1", "0.5", "x", "1.-1", "1.1.1", "1.٣", "1e1"])
def test_what_there_is_not_is_not_acceptable(asked):
    with pytest.raises(NotAcceptable):
        negotiate({HEADER: asked})


@given(st.text(max_size=40))
def test_any_text_is_a_version_in_range_or_not_acceptable(text):
    with contextlib.suppress(NotAcceptable):
        assert 1 <= negotiate({HEADER: text}) <= MAXIMUM


def test_what_came_later_is_refused_with_the_version_that_brought_it():
    versions.require(30, 30)
    with pytest.raises(NotAcceptable, match=r"1\.30"):
        versions.require(29, 30)
