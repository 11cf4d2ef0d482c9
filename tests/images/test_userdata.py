import gzip
import subprocess
import sys
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from images import userdata
from images.userdata import Kind, Problem
from tests.fakes.image_server import FormReceiver

# The shape of cloud-init's own schema, cut down to three modules.
SCHEMA = {
    "$schema": "http://json-schema.org/draft-04/schema#",
    "$defs": {
        "runcmd": {"properties": {"runcmd": {"type": "array", "items": {"type": ["array", "string"]}}}},
        "users": {"properties": {"users": {"type": "array", "items": {"type": ["string", "object"]}}}},
        "ssh": {"properties": {"ssh_pwauth": {"type": "boolean"}}},
    },
    "allOf": [{"$ref": "#/$defs/runcmd"}, {"$ref": "#/$defs/users"}, {"$ref": "#/$defs/ssh"}],
}


def multipart(*parts):
    message = MIMEMultipart()
    for kind, text in parts:
        message.attach(MIMEText(text, kind))
    return message.as_bytes()


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (Kind.EMPTY, b""),
        (Kind.EMPTY, b"\n \n"),
        (Kind.CLOUD_CONFIG, b"#cloud-config\nruncmd: []\n"),
        (Kind.CLOUD_CONFIG, b"\xef\xbb\xbf#cloud-config\n"),
        (Kind.ARCHIVE, b"#cloud-config-archive\n- x\n"),
        (Kind.SCRIPT, b"#!/bin/sh\n"),
        (Kind.MULTIPART, multipart(("cloud-config", "#cloud-config\n"))),
        (Kind.GZIP, gzip.compress(b"#cloud-config\n")),
        (Kind.JINJA, b"## template: jinja\n#cloud-config\n"),
        (Kind.INCLUDE, b"#include\nhttp://a/\n"),
        (Kind.BOOTHOOK, b"#cloud-boothook\n"),
        (Kind.PART_HANDLER, b"#part-handler\n"),
        (Kind.IGNITION, b'{"ignition": {"version": "3.0.0"}}'),
        (Kind.UNKNOWN, b"runcmd: []\n"),
    ],
)
def test_kinds(kind, data):
    assert userdata.detect(data) is kind


def places(data, schema=SCHEMA):
    return [(problem.line, problem.column, problem.path) for problem in userdata.validate(data, schema)]


def test_a_sound_document_has_no_problems():
    text = b'#cloud-config\nusers: [default, {name: x}]\nruncmd:\n- [sh, -c, "echo {{ x }} ${y} %(z)s"]\n'
    assert userdata.validate(text, SCHEMA) == []
    assert userdata.validate(b"#cloud-config\n", SCHEMA) == []


def test_problems_have_places():
    assert places(b"#cloud-config\nssh_pwauth: perhaps\nruncmd:\n- ls\n- 7\n") == [
        (2, 13, "ssh_pwauth"),
        (5, 3, "runcmd.1"),
    ]
    assert places(b"#cloud-config\nruncmd: [\n") == [(3, 1, "")]
    assert places(b"#cloud-config\na: 1\na: 2\n") == [(3, 1, "a")]
    assert places(b"#cloud-config\n- a\n") == [(1, 1, "")]
    assert places(b"runcmd: [ls]\n") == [(1, 1, "")]


def test_parts_and_packed_data_are_looked_into():
    bad = "#cloud-config\nruncmd: no\n"
    assert places(multipart(("x-shellscript", "#!/bin/sh\n"), ("cloud-config", bad))) == [(2, 9, "runcmd")]
    assert places(gzip.compress(bad.encode())) == [(2, 9, "runcmd")]
    assert "unfolds" in userdata.validate(gzip.compress(bytes(2 << 20)), SCHEMA)[0].message
    assert "broken" in userdata.validate(b"\x1f\x8b\x08oops", SCHEMA)[0].message


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x]\n"
        + "".join(f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}]\n" for a, b in zip("abcdefghi", "bcdefghij", strict=True)),
        "a: &a [*a]\n",
        "a: " + "[" * 20000,
    ],
)
def test_bombs_are_defused(text):
    assert userdata.validate(b"#cloud-config\n" + text.encode(), SCHEMA)[0].message


def test_too_long():
    with pytest.raises(userdata.TooLong, match="65537"):
        userdata.validate(b"x" * 65537, None)


@given(st.binary(max_size=300), st.sampled_from([b"", b"#cloud-config\n", b"\x1f\x8b\x08\0", b"MIME-Version: 1.0\n"]))
def test_any_bytes_give_problems_or_none(data, start):
    assert all(isinstance(problem, Problem) for problem in userdata.validate(start + data, SCHEMA))


@given(st.recursive(st.none() | st.booleans() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)))
def test_any_valid_yaml_has_no_syntax_problem(value):
    text = b"#cloud-config\n" + yaml.safe_dump({"x": value}).encode()
    assert userdata.validate(text, None) == []


@pytest.mark.parametrize("tools", ["/usr/bin:/bin", None])
def test_the_call_home_script_calls_home(tmp_path, tools):
    """Once as it is, once where there is no curl and Python must do."""
    if tools is None:
        (tmp_path / "bin").mkdir()
        for name in ("sh", "cat", "uname", "sleep"):
            (tmp_path / "bin" / name).symlink_to(f"/bin/{name}")
        (tmp_path / "bin/python3").symlink_to(sys.executable)
        tools = str(tmp_path / "bin")
    with FormReceiver() as home:
        script = tmp_path / "part-001"
        script.write_bytes(userdata.call_home_vendor_data(f"{home.url}/call-home/it's"))
        subprocess.run(["sh", script], check=True, env={"PATH": tools}, capture_output=True)
    assert [path for path, _ in home.forms] == ["/call-home/it's"]
    assert set(home.forms[0][1]) == {"instance_id", "hostname", "pub_key_ed25519"}


def test_the_call_home_script_is_a_script():
    data = userdata.call_home_vendor_data("http://10.0.0.1:8080/call-home/t")
    assert userdata.detect(data) is Kind.SCRIPT
    assert len(data) < 2048
