"""Bodies end exactly where they must, however they are cut into packets."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.exceptions import BadRequest, ClientDisconnected, RequestEntityTooLarge, RequestTimeout

from appliance.http import connection as module
from appliance.http.connection import ChunkedBody, Connection, SizedBody


class Fed(Connection):
    """A connection whose octets come from a list of packets; then the peer is gone."""

    __slots__ = ("packets",)

    def __init__(self, *packets: bytes) -> None:
        ours, theirs = socket.socketpair()
        theirs.close()
        super().__init__(ours, ("192.0.2.1", 1))
        self.packets = list(packets)

    def fill(self) -> None:
        if not self.packets:
            raise ClientDisconnected
        self.buffer += self.packets.pop(0)


@pytest.fixture
def feed() -> Iterator:
    made: list[Fed] = []

    def make(*packets: bytes) -> Fed:
        made.append(Fed(*packets))
        return made[-1]

    yield make
    for one in made:
        one.socket.close()


def cut(data: bytes, at: list[int]) -> list[bytes]:
    places = sorted({min(place, len(data)) for place in at})
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True) if a != b]


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5), st.integers(-1, 50))
def test_a_sized_body_and_nothing_of_what_follows(body: bytes, at: list[int], size: int):
    peer = Fed(*cut(body + b"GET / next", at))
    reader = SizedBody(peer, len(body))
    parts = iter(lambda: reader.read(size), b"") if size else iter([reader.read()])
    assert b"".join(parts) == body
    assert reader.unread == 0
    assert reader.read() == b""
    peer.socket.close()


@given(st.binary(max_size=300), st.integers(0, 300))
def test_a_body_that_nobody_wants_is_gone_when_it_is_here(body: bytes, late: int):
    peer = Fed(b"")
    peer.buffer += body[: len(body) - min(late, len(body))] if late else body + b"GET / next"
    reader = SizedBody(peer, len(body))
    before = bytes(peer.buffer)
    if reader.drop():
        assert (bytes(peer.buffer), reader.unread, reader.read()) == (before[len(body) :], 0, b"")
    else:
        assert late
        assert (bytes(peer.buffer), reader.unread) == (before, len(body))
    peer.socket.close()


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.lists(st.integers(0, 400), max_size=5))
def test_a_chunked_body_round_trips(chunks: list[bytes], at: list[int]):
    wire = b"".join(b"%x;note=1\r\n%s\r\n" % (len(one), one) for one in chunks) + b"0\r\nX-Trailer: 1\r\n\r\n"
    peer = Fed(*cut(wire, at))
    reader = ChunkedBody(peer, 1000)
    assert b"".join(iter(lambda: reader.read(7), b"")) == b"".join(chunks)
    assert reader.unread == 0
    assert not peer.buffer
    peer.socket.close()


@pytest.mark.parametrize(
    "wire",
    [b"-1\r\n", b"+5\r\nhello\r\n", b"0x5\r\nhello\r\n", b"5\nhello\r\n", b"\r\n", b"g\r\n", b"5 5\r\n", b"1" * 400,
     b"5\r\nhelloXX0\r\n\r\n", b"5\r\nhello\n\n0\r\n\r\n", b"5_0\r\n", b"0\r\n" + b"X: y\r\n" * 200],
)  # fmt: skip
def test_malformed_chunks_are_refused(feed, wire: bytes):
    with pytest.raises(BadRequest):
        ChunkedBody(feed(wire), 1000).read()


@pytest.mark.parametrize(
    "wire", [b"ffffffffffffff\r\n", b"3e9\r\n", b"3e8\r\n" + b"x" * 1000 + b"\r\n1\r\nx\r\n0\r\n\r\n"]
)
def test_a_chunked_body_above_its_limit(feed, wire: bytes):
    with pytest.raises(RequestEntityTooLarge):
        ChunkedBody(feed(wire), 1000).read()


def test_a_chunked_body_at_its_limit(feed):
    assert len(ChunkedBody(feed(b"3e8\r\n" + b"x" * 1000 + b"\r\n0\r\n\r\n"), 1000).read()) == 1000


def test_a_peer_that_leaves_is_noticed(feed):
    for reader in (SizedBody(feed(b"abc"), 5), ChunkedBody(feed(b"5\r\nabc"), 10), ChunkedBody(feed(b""), 10)):
        with pytest.raises(ClientDisconnected):
            reader.read()


def test_lines(feed):
    reader = SizedBody(feed(b"one\ntw", b"o\nthree"), 13)
    assert [reader.readline(), reader.readline(2), reader.readline(), reader.readline(), reader.readline()] == [
        b"one\n", b"tw", b"o\n", b"three", b""
    ]  # fmt: skip
    chunked = ChunkedBody(feed(b"4\r\na\nbc\r\n0\r\n\r\n"), 100)
    assert [chunked.readline(), chunked.readline(1), chunked.readline(), chunked.readline()] == [
        b"a\n",
        b"b",
        b"c",
        b"",
    ]


def test_a_body_slower_than_the_rate_ends(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "BODY_GRACE_S", 0.2)
    monkeypatch.setattr(module, "MIN_BYTES_S", 1_000_000)
    ours, theirs = socket.socketpair()
    peer = Connection(ours, ("192.0.2.1", 1))
    peer.started = time.monotonic()
    stop = threading.Event()

    def drip() -> None:
        while not stop.wait(0.02):
            theirs.send(b"x")

    thread = threading.Thread(target=drip)
    thread.start()
    begin = time.monotonic()
    with pytest.raises(RequestTimeout):
        SizedBody(peer, 1000).read()
    assert time.monotonic() - begin < 10, "at its own rate it would take 20 s"
    stop.set()
    thread.join()
    ours.close()
    theirs.close()


@pytest.fixture
def pair() -> Iterator[tuple[Connection, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    connection = Connection(ours, ("192.0.2.1", 1))
    yield connection, theirs
    ours.close()
    theirs.close()


HEAD = b"GET /v1 HTTP/1.1\r\nHost: rack\r\n\r\n"


def test_a_head_and_its_small_body_leave_together(pair):
    connection, peer = pair
    connection.is_holding = True
    connection.write(b"head ")
    connection.is_holding = False
    peer.setblocking(False)
    with pytest.raises(BlockingIOError):
        peer.recv(100)
    connection.write(b"body")
    assert peer.recv(100) == b"head body"
    connection.flush()
    with pytest.raises(BlockingIOError):
        peer.recv(100)


def test_a_head_without_a_body_leaves_at_the_end_of_the_answer(pair):
    connection, peer = pair
    connection.is_holding = True
    connection.write(b"head")
    connection.is_holding = False
    connection.flush()
    assert peer.recv(100) == b"head"


@pytest.mark.parametrize("before", [b"", HEAD])
def test_a_request_that_follows_at_once_is_found(pair, before: bytes):
    connection, peer = pair
    connection.buffer += before
    if not before:
        peer.sendall(b"\r\n" + HEAD)
    found = connection.next_head(0.0)
    assert found is not None
    assert found.target == "/v1"
    assert bytes(connection.buffer) == HEAD


def test_a_body_that_comes_just_after_its_head_is_waited_for(pair):
    """As many clients send it: two segments."""
    connection, peer = pair
    head = b"POST /v1 HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n"
    peer.sendall(head)
    assert connection.next_head(0.0) is None, "it may never come: the door's affair"
    threading.Timer(0.05, peer.sendall, (b"body",)).start()
    found = connection.next_head(30.0)
    assert found is not None
    assert (found.method, bytes(connection.buffer)) == ("POST", head + b"body")


@pytest.mark.parametrize("sent", [b"", HEAD[:-1], b"GET  / HTTP/1.1\r\n\r\n"])
def test_what_is_no_whole_sound_head_stays_for_the_door(pair, sent: bytes):
    connection, peer = pair
    peer.sendall(sent)
    assert connection.next_head(0.0) is None
    assert bytes(connection.buffer) == sent


def test_a_peer_that_has_left_is_left_to_the_door(pair):
    connection, peer = pair
    peer.close()
    assert connection.next_head(0.0) is None
    connection.socket.close()
    assert connection.next_head(0.0) is None
