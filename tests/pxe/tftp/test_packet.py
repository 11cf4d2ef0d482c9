import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxe.errors import MalformedPacket
from pxe.tftp import packet
from pxe.tftp.packet import Ack, Failure, ReadRequest, WriteRequest

word = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
requests = st.builds(
    ReadRequest, name=word, mode=word.map(str.lower), options=st.dictionaries(word.map(str.lower), word, max_size=8)
)


@given(requests)
def test_request_round_trip(request_):
    assert packet.parse(packet.read_request(request_)) == request_


@given(st.binary(max_size=600))
def test_any_bytes_give_a_message_or_malformed(data):
    for candidate in (data, b"\0\1" + data):
        try:
            packet.parse(candidate)
        except MalformedPacket:
            continue


@given(st.integers(0, 65535))
def test_ack_round_trip(block):
    assert packet.parse(packet.ack(block)) == Ack(block)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"\0\0\0\0",
        b"\0\6a\0",
        b"\0\7a\0",
        b"\0\xffa\0",
        packet.data(1, b"x"),
        b"\0\1name",
        b"\0\1name\0",
        b"\0\1name\0octet",
        b"\0\1\0octet\0",
        b"\0\1" + b"n" * 600 + b"\0octet\0",
        b"\0\1n\xff\0octet\0",
    ],
)
def test_malformed(data):
    with pytest.raises(MalformedPacket):
        packet.parse(data)


def test_words_are_compared_in_lower_case_and_the_first_of_two_counts():
    data = b"\0\1F\0NetASCII\0BLKSIZE\x001000\0blksize\x008\0odd\0"
    assert packet.parse(data) == ReadRequest(name="F", mode="netascii", options={"blksize": "1000"})


def test_write_request_and_failure():
    assert packet.parse(b"\0\2f\0octet\0") == WriteRequest()
    assert packet.parse(packet.error(packet.ErrorCode.OPTIONS, "no")) == Failure(8, "no")


def test_block_numbers_wrap():
    assert packet.data(65536, b"")[2:4] == b"\0\0"
    assert packet.data(65537, b"")[2:4] == b"\0\1"
