import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import http1
from agent.errors import BadAnswer


def _read(*pieces, limit=1000):
    reader = http1.Reader(max_body=limit)
    for piece in pieces:
        response = reader.feed(piece)
        if response is not None:
            return response
    return reader.end()


def test_request():
    data = http1.request("POST", "/x", host="h:1", headers={"A": "b"}, body=b"{}")
    assert data == b"POST /x HTTP/1.1\r\nHost: h:1\r\nA: b\r\nContent-Length: 2\r\n\r\n{}"


def test_no_line_break_gets_into_a_request():
    with pytest.raises(ValueError, match="line break"):
        http1.request("GET", "/", host="h", headers={"A": "b\r\nC: d"}, body=None)


def test_response_in_single_bytes():
    data = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX: y\r\n\r\nabc"
    response = _read(*(bytes([byte]) for byte in data))
    assert (response.status, response.body, response.headers["x"], response.is_reusable) == (200, b"abc", "y", True)


def test_no_body_for_204_and_an_interim_response_before():
    response = _read(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n")
    assert (response.status, response.body) == (204, b"")


def test_body_until_the_end_of_the_connection():
    response = _read(b"HTTP/1.0 200 OK\r\n\r\nabc", b"def")
    assert (response.body, response.is_reusable) == (b"abcdef", False)


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\n folded: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1001,
        b"HTTP/1.1 200 OK\r\nA: " + b"x" * 70000,
    ],
)
def test_what_is_refused(data):
    with pytest.raises(BadAnswer):
        _read(data)


@given(st.binary(max_size=300), st.lists(st.integers(1, 60), max_size=8), st.lists(st.integers(1, 40), max_size=9))
def test_chunks_however_cut(body, sizes, cuts):
    data, position = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0
    for size in [*sizes, 1000]:
        piece = body[position : position + size]
        data += b"%x;ext=1\r\n%s\r\n" % (len(piece), piece) if piece else b""
        position += size
    data += b"0\r\n\r\n"
    pieces = []
    for cut in cuts:
        pieces.append(data[:cut])
        data = data[cut:]
    assert _read(*pieces, data).body == body


@given(st.binary(max_size=400), st.booleans())
def test_any_bytes(data, is_http):
    with contextlib.suppress(BadAnswer):
        _read(b"HTTP/1.1 200 OK\r\n" * is_http + data)
