import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmc.rmcp.errors import MalformedPacket
from bmc.rmcp.message import Envelope, Request, Response, ask, checksum

requests = st.builds(
    Request,
    netfn=st.integers(0, 31).map(lambda half: half * 2),
    command=st.integers(0, 255),
    data=st.binary(max_size=80),
    lun=st.integers(0, 3),
)


@given(requests, st.integers(0, 63))
def test_a_request_comes_back(request_, sequence):
    read = Envelope.decode(ask(request_, sequence).encode())
    assert read.request() == request_
    assert read.sequence == sequence


@given(requests, st.integers(0, 63), st.integers(0, 255), st.binary(max_size=80))
def test_an_answer_goes_back_where_the_request_came_from(request_, sequence, code, data):
    question = ask(request_, sequence)
    answer = Envelope.decode(question.answer(Response(code=code, data=data)).encode())
    assert answer.netfn == request_.netfn + 1
    assert (answer.sequence, answer.command) == (question.sequence, question.command)
    assert answer.to_address == question.from_address
    assert answer.data == bytes([code]) + data


@given(st.binary(max_size=80))
def test_checksum_makes_the_sum_zero(data):
    assert (sum(data) + checksum(data)) & 0xFF == 0


@given(requests, st.integers(0, 200), st.integers(1, 255))
def test_a_changed_octet_is_noticed(request_, place, change):
    raw = bytearray(ask(request_, 1).encode())
    raw[place % len(raw)] ^= change
    with pytest.raises(MalformedPacket):
        Envelope.decode(bytes(raw))


@given(st.binary(max_size=6))
def test_too_short_is_refused(raw):
    with pytest.raises(MalformedPacket):
        Envelope.decode(raw)
