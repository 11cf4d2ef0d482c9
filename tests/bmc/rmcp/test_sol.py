import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bmc.rmcp.errors import MalformedPacket
from bmc.rmcp.sol import BUFFER_BYTES, NACK, RETRY_S, TRIES, UNAVAILABLE, SolLink, SolPayload


@given(st.binary(max_size=50))
def test_payload_comes_back_or_is_refused(raw):
    try:
        read = SolPayload.decode(raw)
    except MalformedPacket:
        assert len(raw) < 4
    else:
        assert SolPayload.decode(read.encode()) == read


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.booleans(), st.binary(min_size=1, max_size=60)), max_size=12),
    st.lists(st.sampled_from(["ok", "ok", "lost", "twice"]), min_size=1, max_size=60),
)
def test_bytes_arrive_once_and_in_order_over_a_bad_line(writes, fates):
    """Two links, a line that loses and doubles; loss ends after the given fates so that all can arrive."""
    ends = {True: SolLink(max_data=16), False: SolLink(max_data=16)}
    sent = {True: b"", False: b""}
    heard = {True: b"", False: b""}
    line: list[tuple[bool, SolPayload]] = []
    now = 0.0
    fate = iter(fates)

    def put(source, payloads):
        line.extend((source, payload) for payload in payloads)

    for source, data in writes:
        sent[source] += data
        put(source, ends[source].write(data, now))
    for _ in range(2000):
        if not line:
            now += RETRY_S
            for source, end in ends.items():
                put(source, end.on_time(now))
            if not line:
                break
        source, payload = line.pop(0)
        for _ in range({"ok": 1, "lost": 0, "twice": 2}[next(fate, "ok")]):
            fresh, answers = ends[not source].on_payload(payload, now)
            heard[not source] += fresh
            put(not source, answers)
    if not any(end.is_lost for end in ends.values()):
        assert heard[False] == sent[True]
        assert heard[True] == sent[False]


def test_it_gives_up_when_nobody_acknowledges():
    link = SolLink(max_data=10)
    assert len(link.write(b"x", 0.0)) == 1
    times = 0
    now = 0.0
    while not link.is_lost:
        now += RETRY_S
        times += len(link.on_time(now))
    assert times == TRIES - 1
    assert link.deadline() is None


def test_a_flood_is_cut_and_counted():
    link = SolLink(max_data=10)
    link.write(b"a" * 10, 0.0)
    link.write(b"b" * (BUFFER_BYTES * 3), 0.0)
    assert link.dropped_bytes >= 2 * BUFFER_BYTES


@pytest.mark.parametrize(
    ("status", "accepted", "again"), [(NACK, 3, b"lo"), (NACK | UNAVAILABLE, 0, None), (NACK, 0, None), (0, 5, None)]
)
def test_refused_bytes(status, accepted, again):
    """Partly taken: the rest goes out at once. Machine off: dropped. Refused whole: not before the next try."""
    link = SolLink(max_data=10)
    [first] = link.write(b"hello", 0.0)
    _, out = link.on_payload(SolPayload(acknowledges=first.sequence, accepted=accepted, status=status), 0.1)
    assert [payload.data for payload in out] == ([again] if again else [])
    assert bool(link.on_time(RETRY_S)) == (status == NACK and accepted == 0)
