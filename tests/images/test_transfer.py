"""Downloads that break off: gone on with exactly, or begun anew by whoever wants them; never a mixture of two files."""

import functools
import hashlib
import itertools
import logging
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from images import checksum, fetch, transfer
from images.errors import FetchFailed, ImageRefused, TooLong
from images.fetch import Limits
from images.transfer import Changed
from tests.fakes.range_server import File, RangeServer, raw

PRIVATE = Limits(allow_private=True)
BODY = random.Random(5).randbytes(300_000)
FILE = File(body=BODY)
OTHER = File(body=BODY[::-1], etag='"two"')


def download(server, path="/image", **options):
    given = {"limits": PRIVATE, "pause": lambda _seconds: None} | options
    with fetch.opened(server.url + path, **given) as source:
        return b"".join(iter(functools.partial(source.read, 65536), b""))


def cut(at, file=FILE, **more):
    """A script: the answer of a server of ranges, whose body ends too early."""
    return functools.partial(file.answer, cut=at, **more)


# Gone on with ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resets", [False, True])
def test_the_rest_is_asked_for_and_nothing_twice(resets):
    with RangeServer(cut(1000), cut(0), cut(100_000), FILE.answer, resets=resets) as server:
        if resets:  # what a reset threw away was never read, and is asked for again
            assert download(server) == BODY
            return
        assert download(server) == BODY
    starts = [asked.start for asked in server.asked]
    assert starts == [None, 1000, 1000, 101_000]
    assert [asked.headers.get("if-range") for asked in server.asked] == [None, '"one"', '"one"', '"one"']
    assert {asked.headers["accept-encoding"] for asked in server.asked} == {"identity"}


def test_checksums_are_those_of_all_bytes_and_the_file_is_whole(tmp_path):
    file = File(body=bytes(3 << 20) + BODY * 8)
    scripts = [*(cut(900_001, file) for _ in range(4)), file.answer]
    with (
        RangeServer(*scripts) as server,
        fetch.opened(server.url, limits=PRIVATE, pause=lambda _: None) as source,
    ):
        got = checksum.receive(source, tmp_path / "upload", max_bytes=1 << 30)
    assert (tmp_path / "upload").read_bytes() == file.body
    assert (got.size_bytes, got.sha256) == (len(file.body), hashlib.sha256(file.body).hexdigest())
    assert got.md5 == hashlib.md5(file.body).hexdigest()


def test_a_server_that_is_away_for_a_moment_is_waited_for():
    pauses = []
    away = functools.partial(lambda _asked, answer: answer, answer=raw(503, {"Content-Length": "0"}))
    with RangeServer(cut(5), away, away, FILE.answer) as server:
        assert download(server, pause=pauses.append) == BODY
    assert pauses == [1.0, 2.0, 4.0]


def test_a_rest_without_a_length_of_its_own_ends_where_the_file_ends():
    """In chunks, or until the connection ends: what is too long or too short shows by the first length."""
    chunked = {"Content-Length": "", "Transfer-Encoding": "chunked"}

    def in_chunks(asked):
        body = FILE.body[asked.start :]
        head = FILE.answer(asked, cut=0, headers=chunked)
        return head + b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"

    def unframed(asked):
        return FILE.answer(asked, headers={"Content-Length": ""}) + b"more than there is"

    with RangeServer(cut(7), lambda asked: in_chunks(asked)[:-9], in_chunks) as server:
        assert download(server) == BODY
    with RangeServer(
        cut(7), lambda asked: FILE.answer(asked, cut=9, headers={"Content-Length": ""}), unframed
    ) as server:
        assert download(server) == BODY


def test_a_redirect_is_followed_each_time_and_its_signature_may_change():
    numbers = itertools.count()

    def away(_asked):
        return raw(302, {"Location": f"/real?signature={next(numbers)}", "Content-Length": "0"})

    with RangeServer(away, cut(1000), away, FILE.answer) as server:
        assert download(server, "/x") == BODY
    assert [asked.path for asked in server.asked] == ["/x", "/real?signature=0", "/x", "/real?signature=1"]
    assert server.asked[3].start == 1000


# Begun anew --------------------------------------------------------------------------------------------------------


def refused(script, *, first=None, match="cannot be gone on with"):
    """The rest is not taken; whoever wants the file may begin anew."""
    with RangeServer(first or cut(1000), script) as server, pytest.raises(FetchFailed, match=match) as failure:
        download(server)
    assert failure.value.retryable
    return server


@pytest.mark.parametrize(
    "script",
    [
        OTHER.answer,  # changed meanwhile: 200 with the other file
        lambda asked: FILE.answer(asked, status=200),
        lambda asked: raw(200, {"Content-Length": "300000", "ETag": '"one"', "Accept-Ranges": "bytes"}, BODY),
        lambda asked: raw(416, {"Content-Range": "bytes */5", "Content-Length": "0"}),
        cut(None, headers={"ETag": '"two"'}),
        cut(None, headers={"ETag": 'W/"one"'}),
        cut(None, headers={"ETag": ""}),
        cut(None, headers={"Content-Range": ""}),
        cut(None, headers={"Content-Range": "bytes 0-299999/300000"}),
        cut(None, headers={"Content-Range": "bytes 999-299999/300000"}),
        cut(None, headers={"Content-Range": "bytes 1001-299999/300000"}),
        cut(None, headers={"Content-Range": "bytes 1000-299998/300000"}),
        cut(None, headers={"Content-Range": "bytes 1000-299999/*"}),
        cut(None, headers={"Content-Range": "bytes 1000-299999/300001"}),
        cut(None, headers={"Content-Range": "bytes 1000-300000/300001"}),
        cut(None, headers={"Content-Range": "bytes 1000-299999/300000, bytes 0-5/6"}),
        cut(None, headers={"Content-Range": "lines 1000-299999/300000"}),
        cut(None, headers={"Content-Length": "298999"}),
        cut(None, headers={"Content-Length": "299001"}),
        cut(None, headers={"Content-Encoding": "gzip"}),
        cut(None, headers={"Content-Range": "", "Content-Type": "multipart/byteranges; boundary=x"}),
    ],
)  # fmt: skip
def test_whatever_is_not_exactly_the_rest_of_the_same_file_is_not_taken(script):
    server = refused(script)
    assert len(server.asked) == 2, "nor asked for again: another answer would be no better"


@pytest.mark.parametrize(
    "headers",
    [
        {"ETag": 'W/"one"'}, {"ETag": ""}, {"ETag": "one"}, {"ETag": '"'}, {"ETag": '"a" "b"'},
        {"ETag": '"' + "x" * 300 + '"'},
        {"Accept-Ranges": ""}, {"Accept-Ranges": "none"}, {"Content-Encoding": "gzip"},
    ],
)  # fmt: skip
def test_without_a_strong_validator_nothing_is_gone_on_with(headers):
    with (
        RangeServer(cut(1000, headers=headers)) as server,
        pytest.raises(FetchFailed, match="broke off") as failure,
    ):
        download(server)
    assert failure.value.retryable
    assert len(server.asked) == 1


def test_another_place_is_another_file_even_with_the_same_mark():
    def to(path):
        return lambda _asked: raw(302, {"Location": path, "Content-Length": "0"})

    with (
        RangeServer(to("/a"), cut(1000), to("/b"), FILE.answer) as server,
        pytest.raises(Changed, match="another server or file"),
    ):
        download(server)


def test_a_first_answer_that_is_a_part_is_none():
    with (
        RangeServer(
            lambda asked: raw(206, {"Content-Range": "bytes 0-4/5", "Content-Length": "5"}, b"12345")
        ) as server,
        pytest.raises(FetchFailed, match="status 206"),
    ):
        download(server)


# Limits ------------------------------------------------------------------------------------------------------------


def test_tries_in_a_row_are_counted_and_those_that_bring_much_are_not(monkeypatch):
    with RangeServer(cut(10)) as server, pytest.raises(FetchFailed, match="5 tries to go on"):
        download(server)
    assert len(server.asked) == 6
    monkeypatch.setattr(transfer, "WORTH", 20_000)
    with RangeServer(cut(10_000)) as server:
        assert download(server) == BODY
    assert len(server.asked) == 30


def test_the_limit_of_time_is_one_for_all_tries():
    now = [0.0]

    def pause(seconds):
        now[0] += seconds

    with RangeServer(cut(10)) as server, pytest.raises(FetchFailed, match="took too long"):
        download(server, limits=Limits(allow_private=True, deadline_s=7.5), monotonic=lambda: now[0], pause=pause)
    assert (len(server.asked), now[0]) == (4, 7.0), "1 + 2 + 4 seconds of pauses; 8 more do not fit"


def test_the_address_is_checked_anew_each_time():
    found = iter([["127.0.0.1"], ["169.254.169.254"]])
    with RangeServer(cut(1000), FILE.answer) as server:
        trusting = Limits(trusted=(fetch.IPv4Network("127.0.0.0/8"),))
        with pytest.raises(ImageRefused, match="address not allowed"):
            download(server, limits=trusting, resolve=lambda _host, _port: next(found))
        assert len(server.asked) == 1

    def inside(_asked):
        return raw(302, {"Location": "http://169.254.169.254/latest", "Content-Length": "0"})

    with RangeServer(cut(1000), inside) as server, pytest.raises(ImageRefused, match="address not allowed: 169"):
        download(server, limits=trusting)


def test_an_image_above_the_limit_is_refused_however_it_comes():
    with RangeServer(FILE.answer) as server, pytest.raises(TooLong, match="300000 bytes"):
        download(server, limits=Limits(allow_private=True, max_bytes=299_999))
    unframed = cut(None, headers={"Content-Length": ""})
    with RangeServer(unframed) as server, pytest.raises(TooLong, match="longer than allowed"):
        download(server, limits=Limits(allow_private=True, max_bytes=299_999))
    padded = cut(None, headers={"Content-Length": "0" * 30 + "300000"})
    with RangeServer(padded) as server:
        assert download(server) == BODY


def test_a_server_that_is_too_slow_is_left_and_one_that_is_read_slowly_is_not():
    now = [0.0]

    def clock():
        now[0] += 31.0  # each look at the clock; so each read seems to wait for as long
        return now[0]

    with (
        RangeServer(lambda asked: FILE.answer(asked, headers={"ETag": ""})) as server,
        pytest.raises(FetchFailed, match="less than 4096 bytes per second"),
    ):
        download(server, monotonic=clock)
    now[0] = 0.0
    with (
        RangeServer(FILE.answer) as server,
        fetch.opened(server.url, limits=PRIVATE, monotonic=lambda: now[0]) as source,
    ):
        for _ in range(100):
            assert source.read(100)
            now[0] += 100.0  # a disk that is slow


def test_a_read_ends_after_a_second_with_what_came():
    """So that whoever reads sees in time that nobody wants it any more."""
    ticks = itertools.count(0.0, 0.2)
    with (
        RangeServer(FILE.answer) as server,
        fetch.opened(server.url, limits=PRIVATE, monotonic=lambda: next(ticks)) as source,
    ):
        assert 0 < len(source.read(1 << 20)) <= 300_000


def test_a_log_names_the_host_and_nothing_that_opens_an_address(caplog):
    caplog.set_level(logging.DEBUG)
    with RangeServer(cut(1000), cut(5), FILE.answer) as server:
        assert download(server, "/canary/image?signature=canary") == BODY
    assert "download goes on host=127.0.0.1 at=1005 of=300000" in caplog.text
    assert "canary" not in caplog.text


# Whatever a server says --------------------------------------------------------------------------------------------

SMALL = [File(body=bytes([65 + number]) * size, etag=f'"{number}"') for number, size in enumerate((0, 1, 40, 40, 41))]
_numbers = st.integers(0, 45)
_headers = st.dictionaries(
    st.sampled_from(["ETag", "Accept-Ranges", "Content-Range", "Content-Length", "Content-Encoding"]),
    st.one_of(
        st.sampled_from(["", "bytes", '"2"', '"3"', 'W/"2"', "gzip", "bytes */40", "0040"]),
        st.builds("bytes {}-{}/{}".format, _numbers, _numbers, _numbers),
        _numbers.map(str),
    ),
    max_size=2,
)
_answers = st.tuples(
    st.sampled_from(SMALL[2:4]) | st.sampled_from(SMALL),
    st.none() | _numbers,
    st.none() | st.sampled_from([200, 206, 416, 500]),
    st.just({}) | _headers,
)


@settings(max_examples=300, deadline=None)
@given(answers=st.lists(_answers, min_size=1, max_size=6))
def test_what_arrives_is_one_file_or_nothing(answers):
    """The server may change the file, cut it, and say anything about it but the mark of another with its bytes."""
    scripts = [
        functools.partial(file.answer, cut=at, status=status, headers=said)
        for file, at, status, said in answers
        if said.get("ETag") in (None, "", 'W/"2"', file.etag)
    ]
    with RangeServer(*scripts or [SMALL[0].answer]) as server:
        try:
            got = download(server)
        except (FetchFailed, ImageRefused):
            return
    assert len(set(got)) <= 1, "bytes of two files"
    if len(server.asked) > 1:
        assert got in [file.body for file in SMALL], "a file that was gone on with is whole"
