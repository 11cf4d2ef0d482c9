import itertools

from hypothesis import given
from hypothesis import strategies as st

from bmc.rmcp.message import Response
from bmc.virtual.kcs_codec import LONGEST, Decoder, HardwareOperation, Message

octets = st.integers(0, 255)
messages = st.builds(
    Message,
    sequence=octets,
    netfn=st.integers(0, 63),
    lun=st.integers(0, 3),
    command=octets,
    data=st.binary(max_size=80),
    code=st.none(),
)
operations = st.builds(HardwareOperation, operation=octets, argument=st.binary(max_size=2))


def cut(data, places):
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


@given(st.lists(messages | operations, max_size=6), st.lists(st.integers(0, 500), max_size=8))
def test_a_stream_comes_back_however_it_is_cut(sent, places):
    decoder = Decoder()
    stream = b"".join(one.encode() for one in sent)
    assert [read for part in cut(stream, places) for read in decoder.feed(part)] == sent
    assert decoder.dropped == 0


@given(messages, st.integers(0, 255), st.binary(max_size=60))
def test_an_answer_is_read_by_the_other_side(message, code, data):
    answer = message.answer(Response(code=code, data=data))
    assert Decoder(is_answering_side=False).feed(answer.encode()) == [answer]


@given(messages | operations)
def test_the_marks_appear_only_at_the_end(message):
    body = message.encode()[:-1]
    assert 0xA0 not in body
    assert 0xA1 not in body


@given(st.binary(max_size=300), messages)
def test_after_noise_and_a_mark_it_reads_on(noise, message):
    decoder = Decoder()
    decoder.feed(noise + b"\xa0")
    assert decoder.feed(message.encode()) == [message]


@given(messages, st.integers(0, 100), st.integers(1, 255))
def test_a_changed_octet_gives_no_other_message(message, place, change):
    raw = bytearray(message.encode())
    raw[place % (len(raw) - 1)] ^= change
    assert all(not isinstance(read, Message) or read == message for read in Decoder().feed(bytes(raw))), (
        "the checksum finds it"
    )


def test_too_long_and_too_short_are_dropped():
    decoder = Decoder()
    assert decoder.feed(b"\x01" * (LONGEST + 5) + b"\xa0" + b"\xa0" + b"\x01\x02\xa0" + b"\xa1") == []
    assert decoder.dropped == 4
