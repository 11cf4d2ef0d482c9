"""Request smuggling and its relatives are refused on the bytes (H05, H30)."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.http.head import MAX_HEAD_BYTES, MAX_HEADERS, Head, Refusal, examine, gathered


def head(*lines: str, first: str = "POST /v1/login HTTP/1.1", host: str | None = "rack") -> bytes:
    fields = ([f"Host: {host}"] if host is not None else []) + list(lines)
    return "\r\n".join([first, *fields, "", ""]).encode("latin-1")


def test_a_sound_request():
    found = examine(head("Content-Length: 12", "X-Note: caf\xe9\t!", "Accept:*/*", "X-Empty:"))
    assert found == Head(method="POST", target="/v1/login", is_http_1_0=False, length=12)


def test_chunks_have_no_known_length():
    found = examine(head("Transfer-Encoding: Chunked"))
    assert isinstance(found, Head)
    assert found.length is None


def test_http_1_0_needs_no_host():
    assert isinstance(examine(head(first="GET / HTTP/1.0", host=None)), Head)


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: 5", "Transfer-Encoding: chunked"],
        ["Content-Length: 5", "Content-Length: 5"],
        ["Content-Length: 5, 5"],
        ["Content-Length: -1"],
        ["Content-Length: +5"],
        ["Content-Length: 0x5"],
        ["Content-Length: 5 5"],
        ["Content-Length: "],
        ["Content-Length: 1_0"],
        ["Content-Length: 9999999999999999"],
        ["Transfer-Encoding: xchunked"],
        ["Transfer-Encoding: chunked, identity"],
        ["Transfer-Encoding: gzip, chunked"],
        ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding : chunked"],
        ["Transfer-Encoding: chunked\x00"],
        ["X-Folded: one", " two"],
        ["X-Folded: one", "\ttwo"],
        ["X_Roles: admin"],
        [": nameless"],
        ["no colon"],
        ["X-Split: a\rX-Roles: admin"],
        ["X-Split: a\nX-Roles: admin"],
        ["Host: other"],
        ["Authorization: Bearer a", "Authorization: Bearer b"],
        ["X-\xe9: 1"],
    ],
)
def test_ambiguous_requests_are_refused(lines: list[str]):
    found = examine(head(*lines))
    assert isinstance(found, Refusal)
    assert found.status == "400 Bad Request"


@pytest.mark.parametrize(
    "first",
    [
        "get / HTTP/1.1",
        "GET  / HTTP/1.1",
        "GET / HTTP/2.0",
        "GET / HTTP/1.1 ",
        "GET /",
        "GET http://other/ HTTP/1.1",
        "GET //\x00 HTTP/1.1",
        "GET /#x HTTP/1.1",
        "GET / HTTP/1.2",
        "GET /\xe9 HTTP/1.1",
        "CONNECT rack:443 HTTP/1.1",
        "",
    ],
)
def test_request_lines_that_are_refused(first: str):
    assert isinstance(examine(head(first=first)), Refusal)


def test_a_host_is_needed():
    assert isinstance(examine(head(host=None)), Refusal)


def test_limits():
    assert isinstance(examine(head(*[f"X-{n}: 1" for n in range(MAX_HEADERS - 1)])), Head)
    many = examine(head(*[f"X-{n}: 1" for n in range(MAX_HEADERS)]))
    assert isinstance(many, Refusal)
    assert many.status.startswith("431")
    assert isinstance(examine(head(first=f"GET /{'a' * 8000} HTTP/1.1")), Head)
    long = examine(head(first=f"GET /{'a' * 9000} HTTP/1.1"))
    assert isinstance(long, Refusal)
    assert long.status.startswith("414")


@given(st.binary(max_size=400))
def test_any_bytes_give_an_answer(junk: bytes):
    assert isinstance(examine(junk + b"\r\n\r\n"), Head | Refusal)


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=8))
def test_what_passes_has_no_hidden_line(lines: list[bytes]):
    raw = b"\r\n".join([b"GET / HTTP/1.1", b"Host: rack", *lines, b"", b""])
    if isinstance(examine(raw), Head):
        assert not any(set(line) & {0, 10, 13} for line in raw[:-4].split(b"\r\n"))


@given(st.integers(0, 60), st.booleans())
def test_a_head_is_found_when_its_last_octet_has_come(cut: int, is_after_empty_line: bool):
    whole = head("Accept: */*")
    buffer = bytearray(b"\r\n" * is_after_empty_line + whole[:-cut] if cut else whole)
    found = gathered(buffer)
    assert (found is None) == bool(cut)
    assert cut or found == examine(whole)


def test_a_head_without_end_is_refused():
    found = gathered(bytearray(b"GET / HTTP/1.1\r\nX: " + b"a" * MAX_HEAD_BYTES))
    assert isinstance(found, Refusal)
    assert found.status.startswith("431")


@pytest.mark.parametrize("filler", [" ", "\t", "a", ":", " a"])
def test_a_long_field_that_fails_is_read_once(filler):
    """Steps, not seconds: what costs the square of 30,000 would not end within the time that any test has."""
    began = time.process_time()
    for _ in range(100):
        assert examine(head("X-Note:" + filler * (30_000 // len(filler)) + "\x01")) == Refusal(
            "400 Bad Request", "a header field is malformed"
        )
    assert time.process_time() - began < 20
