import contextlib
import dataclasses
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent import imaging_stream as reading
from agent.errors import AgentError
from images import stream
from images.errors import ImageRefused
from images.stream import BLOCK, HEAD, MAX_PIECE, Stream

MIB = 1024 * 1024


def packed(folder, disk, **options):
    raw = folder / "disk.raw"
    with raw.open("wb") as file:
        file.truncate(len(disk))
        for at in range(0, len(disk), BLOCK):
            if any(disk[at : at + BLOCK]):
                file.seek(at)
                file.write(disk[at : at + BLOCK])
    return stream.pack(raw, folder, image_sha256="ab" * 32, **options)


def unfolded(folder, described):
    """The disk that the agent's side makes of the files."""
    description = reading.parse_description(json.loads(json.dumps(described.to_json())))
    pieces = reading.parse_index((folder / "image.index").read_bytes(), description)
    data, unpacker, disk = (folder / "image.data").read_bytes(), reading.Unpacker(), bytearray()
    disk.extend(bytes(description.virtual_size_bytes))
    for piece in pieces:
        disk[piece.offset : piece.offset + piece.length] = unpacker.unpack(piece, data[: piece.packed_length])
        data = data[piece.packed_length :]
    assert not data
    return bytes(disk), pieces


runs = st.lists(
    st.tuples(st.integers(0, 8 * MIB), st.integers(1, 5 * MIB), st.sampled_from([b"\x07", b"ab", b"\0"])), max_size=5
)


@settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
@given(runs=runs, sectors=st.integers(1, 9 * MIB // 512))
def test_what_is_packed_is_what_the_agent_unfolds(tmp_path, runs, sectors):
    disk = bytearray(sectors * 512)
    for start, length, pattern in runs:
        part = (pattern * length)[: max(0, min(length, len(disk) - start))]
        disk[start : start + len(part)] = part
    described = packed(tmp_path, bytes(disk), level=1)
    again, pieces = unfolded(tmp_path, described)
    assert again == disk
    assert described.used_bytes == sum(piece.length for piece in pieces)
    ours = stream.parse_index((tmp_path / "image.index").read_bytes())
    assert [tuple(getattr(piece, name) for name in piece.__slots__) for piece in ours] == [
        tuple(piece) for piece in pieces
    ]
    holes = reading.holes(pieces, len(disk))
    assert sum(length for _, length in holes) + described.used_bytes == len(disk)
    assert all(not any(disk[at : at + length]) for at, length in holes)


@pytest.fixture
def small(tmp_path):
    disk = bytearray(6 * MIB)
    disk[:4] = b"boot"
    disk[MIB - 10 : MIB + 10] = b"across the head's end"[:20]
    return packed(tmp_path, bytes(disk), level=1)


def test_no_piece_crosses_the_head(tmp_path, small):
    pieces = stream.parse_index((tmp_path / "image.index").read_bytes())
    assert [piece.offset for piece in pieces] == [0, HEAD - BLOCK, HEAD]
    assert all(piece.length <= MAX_PIECE for piece in pieces)


def test_incompressible_pieces_are_stored(tmp_path):
    import random

    disk = random.Random(1).randbytes(BLOCK)
    described = packed(tmp_path, disk)
    assert (tmp_path / "image.data").read_bytes() == disk
    assert unfolded(tmp_path, described)[0] == disk


def test_json_round_trip(small):
    assert Stream.from_json(json.loads(json.dumps(small.to_json()))) == small


@pytest.mark.parametrize("change", [{"version": 2}, {"codec": "lz9"}, {"pieces": "3"}, {"foreign": 1}])
def test_a_foreign_description_is_refused(small, change):
    with pytest.raises(ImageRefused):
        Stream.from_json(small.to_json() | change)
    if "foreign" not in change:
        with pytest.raises(AgentError):
            reading.parse_description(small.to_json() | change)


@pytest.mark.parametrize("name", ["../x", "", "a/b", None, 7])
def test_a_description_with_a_strange_name_is_refused(small, name):
    with pytest.raises(AgentError):
        reading.parse_description(small.to_json() | {"data": name})


def test_another_index_is_refused(tmp_path, small):
    index = bytearray((tmp_path / "image.index").read_bytes())
    index[9] ^= 1
    with pytest.raises(AgentError, match="checksum"):
        reading.parse_index(bytes(index), reading.parse_description(small.to_json()))


def test_a_size_that_is_no_disk_is_refused(tmp_path):
    (tmp_path / "odd").write_bytes(b"x" * 513)
    with pytest.raises(ImageRefused, match="sectors"):
        stream.pack(tmp_path / "odd", tmp_path, image_sha256="")


@given(st.binary(max_size=200))
def test_any_index_gives_pieces_or_is_refused(data):
    import hashlib

    digest = hashlib.sha256(data).hexdigest()
    description = reading.Description("d", "i", digest, len(data) // 48, 0, 0, 2**40)
    for read in (lambda: stream.parse_index(data), lambda: reading.parse_index(data, description)):
        with contextlib.suppress(ImageRefused, AgentError):
            read()


def test_both_sides_agree_on_the_format():
    assert (stream.RECORD.format, BLOCK, HEAD, MAX_PIECE, stream.VERSION) == (
        reading.RECORD.format,
        reading.BLOCK,
        reading.HEAD,
        reading.MAX_PIECE,
        reading.VERSION,
    )
    wanted = {"data", "index", "index_sha256", "pieces", "data_bytes", "used_bytes", "virtual_size_bytes"}
    assert wanted <= {field.name for field in dataclasses.fields(Stream)}
