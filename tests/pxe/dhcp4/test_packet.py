from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dhcp import BOOTP, DHCP

from pxe.dhcp4 import packet as frame
from pxe.dhcp4.packet import Packet
from pxe.errors import MalformedPacket

addresses = st.ip_addresses(v=4)
words = st.binary(max_size=60).filter(lambda text: b"\0" not in text)
packets = st.builds(
    Packet,
    op=st.sampled_from((1, 2)),
    xid=st.integers(0, 2**32 - 1),
    chaddr=st.binary(max_size=16),
    htype=st.integers(0, 255),
    hops=st.integers(0, 255),
    secs=st.integers(0, 65535),
    flags=st.integers(0, 65535),
    ciaddr=addresses,
    yiaddr=addresses,
    siaddr=addresses,
    giaddr=addresses,
    sname=words,
    file=words,
    options=st.dictionaries(st.integers(1, 254).filter(lambda tag: tag != 52), st.binary(max_size=300), max_size=8),
)


@given(packets)
def test_round_trip(packet):
    data = frame.serialize(packet)
    assert len(data) >= 300
    assert frame.parse(data) == packet


@given(st.binary(max_size=1000))
def test_any_bytes_give_a_packet_or_malformed(data):
    for candidate in (data, bytes(236) + b"\x63\x82\x53\x63" + data, b"\x01" + bytes(235) + b"\x63\x82\x53\x63" + data):
        try:
            frame.parse(candidate)
        except MalformedPacket:
            continue


@pytest.mark.parametrize("size", [0, 1, 239])
def test_short(size):
    with pytest.raises(MalformedPacket, match="shorter"):
        frame.parse(bytes(size))


def test_no_cookie():
    with pytest.raises(MalformedPacket, match="cookie"):
        frame.parse(b"\x01" + bytes(300))


def test_overloaded_fields_hold_options():
    plain = frame.serialize(Packet(op=1, xid=1, chaddr=b"\2\0\0\0\0\1", options={52: b"\x03"}))
    data = bytearray(plain)
    data[108:112] = b"\x35\x01\x01\xff"  # file
    data[44:50] = b"\x0c\x03abc\xff"  # sname
    packet = frame.parse(bytes(data))
    assert packet.options == {53: b"\x01", 12: b"abc"}
    assert packet.file == packet.sname == b""


def test_scapy_builds_what_we_read():
    built = BOOTP(op=1, xid=77, chaddr=bytes.fromhex("525400770001"), ciaddr="10.0.0.9", flags="B") / DHCP(
        options=[("message-type", "request"), ("requested_addr", "10.0.0.7"), ("hostname", b"n1"), "end"]
    )
    packet = frame.parse(bytes(built))
    assert packet.xid == 77
    assert packet.wants_broadcast
    assert packet.ciaddr == IPv4Address("10.0.0.9")
    assert packet.chaddr[:6].hex() == "525400770001"
    assert packet.options[50] == IPv4Address("10.0.0.7").packed


def test_scapy_reads_what_we_build():
    packet = Packet(
        op=2, xid=5, chaddr=bytes.fromhex("525400770001"), yiaddr=IPv4Address("10.0.0.7"), options={53: b"\x02"}
    )
    read = BOOTP(frame.serialize(packet))
    assert read.yiaddr == "10.0.0.7"
    assert ("message-type", 2) in read[DHCP].options


@pytest.mark.parametrize(
    ("chaddr", "is_ethernet"),
    [(b"\2\0\0\0\0\1", True), (b"\3\0\0\0\0\1", False), (bytes(6), False), (b"", False), (b"\2" * 16, False)],
)
def test_ethernet(chaddr, is_ethernet):
    assert Packet(op=1, xid=1, chaddr=chaddr).is_ethernet is is_ethernet


def test_too_long_for_its_place():
    with pytest.raises(ValueError, match="longer"):
        frame.serialize(Packet(op=2, xid=1, chaddr=b"", file=b"x" * 128))
