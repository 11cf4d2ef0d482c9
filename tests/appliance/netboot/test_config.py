import json
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.netboot import config as configuration
from appliance.netboot.config import BadConfig
from tests.fakes.control import netboot_config


def body(**changes):
    return json.dumps(netboot_config("br0", **changes)).encode()


def test_what_control_sends():
    found = configuration.parse(body(hosts=[{"mac": "52-54-00-77-00-01", "hostname": "N1"}]))
    assert found.revision == "1"
    assert found.hostnames == {"52:54:00:77:00:01": "n1"}
    assert found.knows("52:54:00:77:00:01")
    assert not found.knows("52:54:00:77:00:02")
    subnet = found.subnets[0]
    assert (subnet.interface, subnet.pool_end, subnet.lease_s) == ("br0", IPv4Address("10.77.0.180"), 3600)
    assert subnet.relays == frozenset()


def test_reservations_and_relays():
    config = netboot_config("br0")
    config["subnets"][0]["reservations"] = [{"mac": "52:54:00:77:00:01", "address": "10.77.0.7", "hostname": None}]
    config["subnets"][0]["relays"] = ["10.77.0.2"]
    subnet = configuration.parse(json.dumps(config).encode()).subnets[0]
    assert subnet.reservations[0].address == IPv4Address("10.77.0.7")
    assert subnet.relays == {IPv4Address("10.77.0.2")}


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"[]",
        b"{}",
        b'{"revision": 1}',
        body(hosts=[{"mac": "nonsense", "hostname": "n1"}]),
        body(hosts=[{"mac": "52:54:00:77:00:01", "hostname": "a b"}]),
        body(domain="a..b"),
        body(subnets=[{"name": "x"}]),
        body(subnets=None),
        body().replace(b"10.77.0.0/24", b"10.77.0.1/24"),
    ],
)
def test_bad(bad):
    with pytest.raises(BadConfig):
        configuration.parse(bad)


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps).map(str.encode)
)
def test_any_bytes_are_a_configuration_or_bad(data):
    with pytest.raises(BadConfig):
        configuration.parse(data)


def test_kept_copy_is_replaced_whole(tmp_path):
    path = tmp_path / "config.json"
    configuration.keep(path, b"old")
    configuration.keep(path, b"new")
    assert path.read_bytes() == b"new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["config.json"]
