"""The config-drive that a client brings: looked into, sealed, and given to the machine as it came."""

import base64
import contextlib
import gzip
import io

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from appliance.domain.errors import Conflict, Invalid, TooLarge, Unavailable
from appliance.models.config_drive import IMAGE, PARTS, URL, ConfigDrive
from appliance.services import config_drive, nodes
from images import configdrive
from tests.fakes.rack import NOW, vault, wish

CANARY = "hunter2-canary"
DRIVE = configdrive.build({"uuid": "u"}, None, f"#cloud-config\npassword: {CANARY}\n".encode())
PACKED = gzip.compress(DRIVE, mtime=0)
GIVEN = base64.b64encode(PACKED).decode()
FAT = bytes(54) + b"FAT16   " + bytes(448) + b"\x55\xaa" + bytes(4096)
WHERE = "https://203.0.113.9/drive?token=" + CANARY


@pytest.fixture
def node(database):
    with database.write() as session:
        return nodes.create(session, vault(), wish(), actor="ann", now=NOW).id


def keep(database, value):
    with database.write() as session:
        config_drive.keep(session, vault(), nodes.fetch(session, "n1"), config_drive.read(value))


def for_agent(database):
    with database.read() as session:
        return config_drive.for_agent(session, vault(), nodes.fetch(session, "n1"))


def opener(content, asked=None):
    @contextlib.contextmanager
    def opened(url):
        if asked is not None:
            asked.append(url)
        if isinstance(content, Exception):
            raise content
        yield io.BytesIO(content)

    return opened


def fetch(database, content, asked=None):
    with database.read() as session:
        row = nodes.fetch(session, "n1")
    config_drive.fetch(database, vault(), row, opener(content, asked))


@pytest.mark.parametrize("value", [GIVEN, GIVEN[:100] + "\n" + GIVEN[100:] + "\n"])
def test_a_file_system_is_kept_as_it_came(database, node, value):
    keep(database, value)
    assert base64.b64decode(for_agent(database)["config_drive_gzip"]) == PACKED
    with database.read() as session:
        row = session.scalars(select(ConfigDrive)).one()
        assert CANARY.encode() not in row.content
        assert gzip.decompress(PACKED) not in row.content


def test_fat_is_one_too():
    given = config_drive.read(base64.b64encode(gzip.compress(FAT)).decode())
    assert given is not None
    assert given.kind == IMAGE


def test_documents_are_built_into_one(database, node):
    keep(
        database,
        {"meta_data": {"hostname": "web1"}, "user_data": {"ignition": {"version": "3.0"}}, "vendor_data": {"a": 1},
         "network_data": {"links": []}},
    )  # fmt: skip
    built = base64.b64decode(for_agent(database)["config_drive"])
    for text in (b'"hostname":"web1"', b'"name":"n1"', b'{"ignition":{"version":"3.0"}}', b'{"a":1}', b'{"links":[]}'):
        assert text in built
    assert configdrive.is_file_system(built)


def test_a_text_of_user_data_goes_in_byte_for_byte(database, node):
    keep(database, {"user_data": "#!/bin/sh\necho " + "x" * 100_000 + "\n"})
    assert b"#!/bin/sh\necho " + b"x" * 100_000 + b"\n" in base64.b64decode(for_agent(database)["config_drive"])


@pytest.mark.parametrize("found", [PACKED, DRIVE, GIVEN.encode()], ids=["gzipped", "bare", "base64"])
def test_a_url_is_fetched_when_it_is_time_and_once(database, node, found):
    keep(database, WHERE)
    with pytest.raises(Conflict, match="was not fetched") as refusal:
        for_agent(database)
    assert CANARY not in str(refusal.value)
    asked: list[str] = []
    for _ in range(2):
        fetch(database, found, asked)
    assert asked == [WHERE]
    assert gzip.decompress(base64.b64decode(for_agent(database)["config_drive_gzip"])) == DRIVE


@pytest.mark.parametrize("found", [b"", b"<html>", gzip.compress(b"no file system"), PACKED[:-10]])
def test_what_lies_behind_a_url_is_looked_into(database, node, found):
    keep(database, WHERE)
    with pytest.raises(Invalid):
        fetch(database, found)
    with database.read() as session:
        assert config_drive.kind_of(session, nodes.fetch(session, "n1")) == URL


def test_a_server_that_is_away_is_asked_again_by_the_flow(database, node):
    keep(database, WHERE)
    with pytest.raises(Unavailable) as refusal:
        fetch(database, Unavailable("away"))
    assert refusal.value.retryable


def test_a_long_body_is_not_read_to_its_end(database, node, monkeypatch):
    monkeypatch.setattr(configdrive, "MAX_DRIVE", 100_000)
    keep(database, WHERE)
    with pytest.raises(TooLarge):
        fetch(database, bytes(1_000_000))


@pytest.mark.parametrize(
    "value",
    [
        7, True, [], ["x"], "not base64!", "QUJD", base64.b64encode(gzip.compress(b"x" * 5000)).decode(),
        base64.b64encode(PACKED[:-10]).decode(), "http://" + "a" * 3000, "https://a b", "https://ä",
        "https://user:canary@host/drive", "http://", "http://[::1/", "http://h:99999/",
        {"user-data": "x"}, {"meta_data": []}, {"network_data": "x"}, {"vendor_data": 1}, {"user_data": 7},
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_at_once(value):
    with pytest.raises(Invalid):
        config_drive.read(value)


def test_a_bomb_is_not_unfolded():
    bomb = base64.b64encode(gzip.compress(bytes(configdrive.MAX_DRIVE + 1))).decode()
    with pytest.raises(Invalid, match="longer than"):
        config_drive.read(bomb)


@pytest.mark.parametrize("value", ["A" * 3_000_000, {"user_data": "x" * 2_200_000}])
def test_what_is_too_long_is_refused_before_it_is_looked_into(value):
    with pytest.raises(TooLarge, match="2097152"):
        config_drive.read(value)


@pytest.mark.parametrize("value", [None, ""])
def test_nothing_drops_what_was_there(database, node, value):
    keep(database, {"user_data": "x"})
    keep(database, value)
    assert for_agent(database) is None


def test_hardware_that_is_not_there_takes_any():
    assert config_drive.read("QUJD", is_looked_into=False) is not None


def test_it_goes_with_its_node(database, node):
    keep(database, {"user_data": "x"})
    with database.write() as session:
        session.delete(nodes.fetch(session, "n1"))
    with database.read() as session:
        assert session.scalars(select(ConfigDrive)).all() == []


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
        max_leaves=6,
    )
)
def test_anything_is_read_or_refused(value):
    with contextlib.suppress(Invalid, TooLarge):
        found = config_drive.read(value)
        assert found is None or found.kind in (IMAGE, URL, PARTS)
        assert found is None or found.kind != PARTS or orjson.loads(found.content) == value
