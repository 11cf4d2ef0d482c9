from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxe.dhcp4 import options as opt
from pxe.dhcp4.options import MessageType, Tag
from pxe.errors import MalformedPacket

tags = st.integers(1, 254)
some_options = st.dictionaries(tags, st.binary(max_size=600), max_size=12)


@given(some_options)
def test_round_trip(options):
    assert opt.decode(opt.encode(options)) == options


@given(st.binary(max_size=2000))
def test_any_bytes_give_options_or_malformed(data):
    try:
        found = opt.decode(data)
    except MalformedPacket:
        return
    assert sum(map(len, found.values())) <= len(data)


@given(some_options)
def test_size_is_what_is_encoded(options):
    assert sum(opt.encoded_size(value) for value in options.values()) + 1 == len(opt.encode(options))


@pytest.mark.parametrize("data", [b"\x35", b"\x35\x05\x01", b"\x35\xff" + b"\0" * 254])
def test_option_that_runs_past_the_end(data):
    with pytest.raises(MalformedPacket):
        opt.decode(data)


def test_no_end_and_much_padding_is_tolerated():
    assert opt.decode(b"\0" * 1500 + b"\x35\x01\x01") == {53: b"\x01"}


def test_bytes_after_end_are_not_looked_at():
    assert opt.decode(b"\x35\x01\x01\xff\x35\xff") == {53: b"\x01"}


def test_repeated_options_are_joined():
    assert opt.decode(b"\x0c\x02ab\x0c\x01c\xff") == {12: b"abc"}


@pytest.mark.parametrize("value", [None, b"", b"\x01\x03", b"\x00", b"\xc8"])
def test_message_type_must_be_one_known_octet(value):
    with pytest.raises(MalformedPacket):
        opt.message_type({} if value is None else {Tag.MESSAGE_TYPE: value})


def test_message_type():
    assert opt.message_type({53: b"\x03"}) is MessageType.REQUEST


def test_address():
    assert opt.address({}, Tag.SERVER_ID) is None
    assert opt.address({54: b"\x0a\0\0\1"}, Tag.SERVER_ID) == IPv4Address("10.0.0.1")
    with pytest.raises(MalformedPacket):
        opt.address({54: b"\x0a\0\0"}, Tag.SERVER_ID)


@pytest.mark.parametrize(
    ("value", "limit"),
    [(None, 548), (0, 548), (100, 548), (576, 548), (1000, 972), (1500, 1472), (65535, 1472)],
)
def test_reply_limit_is_clamped(value, limit):
    options = {} if value is None else {Tag.MAX_SIZE: value.to_bytes(2, "big")}
    assert opt.reply_limit(options) == limit


def test_u16_list():
    assert opt.u16_list(b"\0\7\0\x10") == (7, 16)
    assert opt.u16_list(b"\0\7\0") == ()
    assert opt.u16_list(b"") == ()
