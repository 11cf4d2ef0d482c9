import struct
from ipaddress import IPv4Address

import pytest
from dnslib import EDNS0, DNSRecord
from hypothesis import given
from hypothesis import strategies as st

from pxe.dns.responder import UDP_LIMIT, Responder
from tests.fakes.zone_data import small_zone


def ask(name, qtype="A", qclass="IN", *, edns=None, responder=None, **options):
    question = DNSRecord.question(name, qtype, qclass)
    if edns is not None:
        question.add_ar(EDNS0(udp_len=edns, **options))
    data = (responder or Responder(small_zone())).answer(bytes(question.pack()))
    assert data[:2] == struct.pack("!H", question.header.id)
    return DNSRecord.parse(data)


def answers(reply):
    return sorted(str(record.rdata) for record in reply.rr)


@pytest.mark.parametrize(
    ("name", "qtype", "rcode", "found"),
    [
        ("n1.rack.internal", "A", 0, ["10.77.0.101"]),
        ("N1.RACK.internal", "A", 0, ["10.77.0.101"]),
        ("n2.row7.rack.internal", "A", 0, ["10.77.0.102", "10.77.0.103"]),
        ("n1.rack.internal", "AAAA", 0, []),
        ("n1.rack.internal", "ANY", 0, ["10.77.0.101"]),
        ("row7.rack.internal", "A", 0, []),
        ("nothing.rack.internal", "A", 3, []),
        ("101.0.77.10.in-addr.arpa", "PTR", 0, ["n1.rack.internal."]),
        ("99.0.77.10.in-addr.arpa", "PTR", 3, []),
        ("rack.internal", "NS", 0, ["rackwright.rack.internal."]),
        ("rackwright.rack.internal", "A", 0, ["10.77.0.1"]),
        ("example.org", "A", 5, []),
        ("xrack.internal", "A", 5, []),
        ("1.1.168.192.in-addr.arpa", "PTR", 5, []),
        (".", "NS", 5, []),
        ("rack.internal", "AXFR", 5, []),
        ("rack.internal", "IXFR", 5, []),
    ],
)
def test_table(name, qtype, rcode, found):
    reply = ask(name, qtype)
    assert (reply.header.rcode, answers(reply)) == (rcode, found)
    assert reply.header.aa == (rcode != 5)
    assert not reply.header.ra
    if rcode == 3 or (rcode == 0 and not found):
        assert reply.auth[0].rdata.times[0] >= 7


def test_soa():
    reply = ask("rack.internal", "SOA")
    assert str(reply.rr[0].rdata.mname) == "rackwright.rack.internal."


def test_chaos_is_refused():
    assert ask("version.bind", "TXT", "CH").header.rcode == 5
    assert ask("n1.rack.internal", "A", "CH").header.rcode == 5


def test_question_comes_back_in_its_own_case():
    data = Responder(small_zone()).answer(bytes(DNSRecord.question("N1.rAcK.internal").pack()))
    assert b"\x02N1\x04rAcK" in data


@pytest.mark.parametrize("opcode", [1, 2, 4, 5])
def test_update_and_notify_are_not_implemented(opcode):
    question = DNSRecord.question("rack.internal", "SOA")
    question.header.opcode = opcode
    reply = DNSRecord.parse(Responder(small_zone()).answer(bytes(question.pack())))
    assert (reply.header.rcode, reply.header.opcode) == (4, opcode)


@pytest.mark.parametrize("size", [0, 512, 1232, 65535])
def test_edns_is_answered_with_our_size(size):
    reply = ask("n1.rack.internal", edns=size)
    assert reply.ar[0].edns_len == UDP_LIMIT
    assert answers(reply) == ["10.77.0.101"]


def test_edns_version_that_we_do_not_know():
    reply = ask("n1.rack.internal", edns=1232, version=1)
    assert reply.header.rcode == 0  # the upper bits are in the OPT record: 16 is BADVERS
    assert reply.ar[0].ttl >> 24 == 1
    assert reply.rr == []


def test_large_answer_is_truncated_on_udp_only():
    zone = small_zone()
    zone.put("many.rack.internal", [IPv4Address("10.77.0.0") + n for n in range(2, 60)])
    question = bytes(DNSRecord.question("many.rack.internal").pack())
    responder = Responder(zone)
    short = DNSRecord.parse(responder.answer(question))
    assert short.header.tc
    assert short.rr == []
    assert len(DNSRecord.parse(responder.answer(question, over_tcp=True)).rr) == 58
    assert DNSRecord.parse(responder.answer(question)).header.tc


def test_changes_show_at_once():
    zone = small_zone()
    responder = Responder(zone)
    assert answers(ask("n1.rack.internal", responder=responder)) == ["10.77.0.101"]
    zone.put("n1.rack.internal", [])
    assert ask("n1.rack.internal", responder=responder).header.rcode == 3


def test_malformed_is_told_and_a_response_is_dropped():
    responder = Responder(small_zone())
    assert DNSRecord.parse(responder.answer(bytes(12))).header.rcode == 1
    assert responder.answer(b"\0\1\x80" + bytes(20)) is None
    assert responder.answer(b"x") is None


@given(st.binary(max_size=400))
def test_any_bytes_give_a_short_answer_or_none(data):
    responder = Responder(small_zone())
    for candidate in (data, struct.pack("!HHHHHH", 1, 0, 1, 0, 0, 0) + data):
        reply = responder.answer(candidate)
        assert reply is None or (len(reply) <= UDP_LIMIT and reply[2] & 0x80)


@given(st.lists(st.binary(min_size=1, max_size=63), max_size=3), st.integers(0, 65535))
def test_any_name_below_our_zone(labels, qtype):
    name = b"".join(bytes((len(label),)) + label for label in [*labels, b"rack", b"internal"]) + b"\0"
    reply = Responder(small_zone()).answer(
        struct.pack("!HHHHHH", 9, 0, 1, 0, 0, 0) + name + struct.pack("!HH", qtype, 1)
    )
    assert reply[:2] == b"\0\x09"
    assert reply[12:].startswith(name)
