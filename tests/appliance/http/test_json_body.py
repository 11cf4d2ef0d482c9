"""What comes in is capped before it is believed; what goes out is plain."""

import contextlib
import io
import json
from datetime import UTC, datetime

import orjson
import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.errors import Invalid, TooLarge
from appliance.http import json_body

APP = Flask("test")


def read(data, limit=json_body.MAX_BODY):
    with APP.test_request_context("/", method="POST", input_stream=io.BytesIO(data), content_length=len(data)):
        return json_body.read_object(limit)


def nested(depth):
    return b'{"a":' * depth + b"1" + b"}" * depth


@pytest.mark.parametrize(("depth", "is_taken"), [(24, True), (25, True), (26, False), (100_000, False)])
def test_depth_is_capped(depth, is_taken):
    if is_taken:
        assert "a" in read(nested(depth))
    else:
        with pytest.raises(Invalid):
            read(nested(depth))


@pytest.mark.parametrize("size", [99, 100, 101])
def test_size_is_capped(size):
    body = b'{"a":"' + b"x" * (size - 8) + b'"}'
    if size <= 100:
        assert read(body, 100)
    else:
        with pytest.raises(TooLarge):
            read(body, 100)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_object_or_refused(data):
    with contextlib.suppress(Invalid):
        assert isinstance(read(data), dict)


@pytest.mark.parametrize("text", ["0", "5", "-1", "1e3", "\u0663", "\u00b2", " 5", "9" * 5000, "", "5.0"])
def test_a_number_is_plain_digits_in_its_range(text):
    with APP.test_request_context("/", query_string={"n": text}):
        if text == "5":
            assert json_body.number("n", default=1, lowest=1, highest=10) == 5
        else:
            with pytest.raises(Invalid):
                json_body.number("n", default=1, lowest=1, highest=10)


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1,"a":1}', b'{"x":{"a":1,"b":[{"c":1,"c":2}]}}', b'{"a":{"b":1},"a":"b:"}',
        b'{"a":"\\u003a","b":1,"b":2}',
        b'{"\\u0061":1,"a":2}', b'{"a":"\\u003A:","b":1,"b":2}',
    ],
)  # fmt: skip
def test_a_key_is_named_once(data):
    with pytest.raises(Invalid, match="twice"):
        read(data)


@given(
    st.dictionaries(
        st.text(max_size=5),
        st.recursive(
            st.none()
            | st.text(':\\"ua03é\U0001f600', max_size=8)
            | st.integers(-(2**80), 2**80)
            | st.floats(allow_nan=False),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(":u\\", max_size=3), inner, max_size=3),
            max_leaves=8,
        ),
        max_size=4,
    ),
    st.booleans(),
)
def test_objects_without_repetitions_are_taken(value, is_ascii):
    text = json.dumps(value, ensure_ascii=is_ascii).replace("Infinity", "1e999").encode()
    with contextlib.suppress(Invalid) if "1e999" in text.decode() else contextlib.nullcontext():
        assert read(text).keys() == value.keys()


def test_times_are_utc_to_the_millisecond():
    assert json_body.stamp(datetime(2026, 1, 2, 3, 4, 5, 678_900, tzinfo=UTC)) == "2026-01-02T03:04:05.678Z"
    assert json_body.stamp(None) is None


def test_an_unknown_field_is_named():
    with pytest.raises(Invalid, match="'colour'"):
        json_body.only({"colour": 1}, "name")


def test_answers_are_json():
    with APP.app_context():
        assert orjson.loads(json_body.reply({"a": 1}).get_data()) == {"a": 1}
