import struct

import pytest
from dnslib import EDNS0, DNSRecord
from hypothesis import given
from hypothesis import strategies as st

from pxe.dns import query as parser
from pxe.errors import MalformedPacket

HEADER = struct.Struct("!HHHHHH")


def test_dnslib_asks_and_we_understand():
    asked = DNSRecord.question("N1.Rack.Internal", "PTR")
    asked.add_ar(EDNS0(udp_len=4096))
    query = parser.parse(bytes(asked.pack()))
    assert query.name == "n1.rack.internal"
    assert query.labels == (b"N1", b"Rack", b"Internal")
    assert (query.qtype, query.qclass, query.opcode, query.edns_size) == (12, 1, 0, 4096)


@given(st.binary(max_size=600))
def test_any_bytes_give_a_query_or_malformed(data):
    for candidate in (data, HEADER.pack(1, 0, 1, 0, 0, 1) + data):
        try:
            parser.parse(candidate)
        except MalformedPacket:
            continue


@pytest.mark.parametrize(
    "data",
    [
        bytes(11),
        HEADER.pack(1, 0, 0, 0, 0, 0),
        HEADER.pack(1, 0, 2, 0, 0, 0) + b"\0\0\1\0\1" * 2,
        HEADER.pack(1, 0, 65535, 65535, 65535, 65535) + b"\0\0\1\0\1",
        HEADER.pack(1, 0, 1, 1, 0, 0) + b"\0\0\1\0\1",
        HEADER.pack(1, 0, 1, 0, 0, 1) + b"\0\0\1\0\1",
        HEADER.pack(1, 0, 1, 0, 0, 0) + b"\xc0\x0c\0\1\0\1",  # a pointer to itself
        HEADER.pack(1, 0, 1, 0, 0, 0) + b"\x3f" * 300,
        HEADER.pack(1, 0, 1, 0, 0, 0) + b"\1a\0\0\1",
        HEADER.pack(1, 0, 1, 0, 0, 2) + b"\0\0\1\0\1" + b"\0\0\x29\4\0\0\0\0\0\0\0" * 2,  # two OPT records
    ],
)
def test_malformed(data):
    with pytest.raises(MalformedPacket):
        parser.parse(data)


def test_what_is_dropped_in_silence():
    assert not parser.is_answerable(b"")
    assert not parser.is_answerable(bytes(11))
    assert not parser.is_answerable(b"\0\1\x80" + bytes(9))
    assert parser.is_answerable(bytes(12))
