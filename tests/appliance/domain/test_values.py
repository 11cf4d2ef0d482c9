from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.values import (
    BadValue,
    Endpoint,
    Secret,
    database_url,
    delays,
    duration,
    endpoint,
    host_names,
    networks,
)

ANYTHING = st.one_of(st.text(), st.integers(), st.booleans(), st.none(), st.floats(), st.lists(st.text()))


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("12h", 43200), ("2d", 172800), (7, 7), ("5 m", 300)]
)
def test_durations(text: Any, seconds: int):
    assert duration(0, 10**6)(text) == seconds


@pytest.mark.parametrize("bad", ["", "m", "10", "1.5h", "-3s", "10ms", "5 minuts", None, 1.5, [], "٣s", "1h30m"])
def test_what_is_no_duration(bad: Any):
    with pytest.raises(BadValue):
        duration(0, 10**6)(bad)


@given(ANYTHING)
def test_readers_give_a_value_or_a_refusal(value: Any):
    for read in (duration(0, 10**9), endpoint, host_names, networks, database_url):
        with suppress(BadValue):
            read(value)


@given(st.ip_addresses(), st.integers(0, 65535))
def test_endpoints_round_trip(address: Any, port: int):
    place = Endpoint(str(address), port)
    assert Endpoint.parse(str(place)) == place


@pytest.mark.parametrize(
    "bad", ["127.0.0.1:-1", "127.0.0.1:65536", "::1", "[::1]", ":80", "0x7f.1:80", "127.1:80", "1.2.3.4:٨"]
)
def test_bad_endpoints(bad: str):
    with pytest.raises(BadValue):
        endpoint(bad)


def test_a_secret_is_not_shown():
    secret = Secret("hunter2")
    assert f"{secret} {secret!r} {[secret]}" == "*** *** [***]"
    assert secret.reveal() == "hunter2"
    assert secret == Secret("hunter2")
    assert secret != Secret("hunter3")


def test_networks():
    assert [str(item) for item in networks(["10.0.0.0/8", " fd00::/8 "])] == ["10.0.0.0/8", "fd00::/8"]
    for wrong in ("10.0.0.0/8", ["10.0.0.1/8"], ["x"], [5], ["10.0.0.0/8"] * 65):
        with pytest.raises(BadValue):
            networks(wrong)


def test_delays() -> None:
    assert delays("1,5") == (1, 5)
    with pytest.raises(BadValue, match="no delay"):
        delays("slow")
