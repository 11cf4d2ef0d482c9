import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmc.rmcp import packet
from bmc.rmcp.errors import BadIntegrity, MalformedPacket
from bmc.rmcp.packet import Bare, Clear, PayloadType, Ping, Sealed
from bmc.rmcp.suites import SUITES, Keys

KEYS = [Keys(suite=suite, sik=b"s" * 20, k1=b"k" * 20, aes=b"a" * 16) for suite in SUITES.values()]


def test_presence_ping():
    assert packet.parse(packet.ping(7)) == Ping(tag=7)
    assert packet.pong(7)[8] == 0x40
    assert len(packet.pong(7)) == 28


@given(st.binary(max_size=200))
def test_a_packet_outside_of_sessions_comes_back(payload):
    assert packet.parse(packet.bare(payload)) == Bare(payload=payload)
    assert packet.parse(packet.clear(PayloadType.RAKP_1, payload)) == Clear(kind=PayloadType.RAKP_1, payload=payload)


@pytest.mark.parametrize("keys", KEYS, ids=lambda keys: str(keys.suite.number))
@given(
    payload=st.binary(max_size=300),
    session_id=st.integers(1, 2**32 - 1),
    sequence=st.integers(0, 2**32 - 1),
    kind=st.sampled_from([PayloadType.IPMI, PayloadType.SOL]),
)
def test_a_sealed_packet_comes_back(keys, payload, session_id, sequence, kind):
    read = packet.parse(packet.sealed(kind, payload, session_id=session_id, sequence=sequence, keys=keys))
    assert isinstance(read, Sealed)
    assert (read.kind, read.session_id, read.sequence) == (kind, session_id, sequence)
    assert read.open(keys) == payload


@pytest.mark.parametrize("keys", KEYS, ids=lambda keys: str(keys.suite.number))
@given(place=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_one_changed_bit_is_noticed(keys, place, bit):
    datagram = bytearray(packet.sealed(PayloadType.IPMI, b"payload", session_id=5, sequence=6, keys=keys))
    place = 4 + place % (len(datagram) - 4)
    datagram[place] ^= 1 << bit
    with pytest.raises(MalformedPacket):
        parse_and_open(bytes(datagram), keys)


def parse_and_open(datagram, keys):
    read = packet.parse(datagram)
    assert isinstance(read, Sealed)
    return read.open(keys)


def test_an_unsigned_packet_of_a_session_is_refused():
    keys = KEYS[0]
    datagram = bytearray(packet.sealed(PayloadType.IPMI, b"payload", session_id=5, sequence=6, keys=keys))
    for octet in (0x00, 0x40, 0x80):
        datagram[5] = octet
        with pytest.raises(MalformedPacket):
            packet.parse(bytes(datagram))


def test_other_keys_do_not_open_it():
    datagram = packet.sealed(PayloadType.IPMI, b"payload", session_id=5, sequence=6, keys=KEYS[0])
    other = Keys(suite=KEYS[0].suite, sik=b"s", k1=b"other", aes=b"a" * 16)
    read = packet.parse(datagram)
    assert isinstance(read, Sealed)
    with pytest.raises(BadIntegrity):
        read.open(other)


@given(st.binary(max_size=400) | st.binary(max_size=60).map(lambda tail: b"\x06\x00\xff\x07" + tail))
def test_noise_raises_one_error_only(noise):
    with contextlib.suppress(MalformedPacket):
        packet.parse(noise)
