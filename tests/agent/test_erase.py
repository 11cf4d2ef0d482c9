import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import erase
from agent.errors import Cancelled, Refused
from agent.host import Host
from tests.fakes.machine_tree import MachineTree

_SIZE = 12 * erase.MIB


@pytest.fixture
def tree(tmp_path):
    return MachineTree(tmp_path)


def _run(tree, *, method="metadata", wanted=None, skip=(), report=None, is_cancelled=lambda: False):
    return erase.run(
        Host(tree.root),
        method=method,
        wanted=None if wanted is None else frozenset(wanted),
        skip=frozenset(skip),
        report=report or (lambda _progress: None),
        is_cancelled=is_cancelled,
    )


def _is_zero(data):
    return not any(data)


def test_metadata_zeroes_the_ends_of_disk_and_partitions(tree):
    disk = tree.disk("vda", _SIZE, serial="S-1")
    tree.partition("vda", 1, 4 * erase.MIB, 4 * erase.MIB)
    (result,) = _run(tree)
    assert (result["status"], result["error"], result["serial"]) == ("erased", None, "S-1")
    data, mib = disk.read_bytes(), erase.MIB
    for start in (0, 4, 7, 11):
        assert _is_zero(data[start * mib : (start + 1) * mib]), start
    assert set(data[mib : 4 * mib]) == {0xAA}
    assert set(data[5 * mib : 7 * mib]) == {0xAA}


def test_shred_zeroes_all_and_tells_how_far_it_is(tree):
    disk, seen = tree.disk("vda", _SIZE, serial="S-1"), []
    (result,) = _run(tree, method="shred", report=seen.append)
    assert (result["status"], result["how"]) == ("erased", "zero")
    assert _is_zero(disk.read_bytes())
    assert [item["phase"] for item in seen] == ["writing zeroes"] * 3 + ["reading back"] * 3
    assert all(item["done"] < item["total"] == _SIZE for item in seen)


def test_disks_to_be_skipped_are_never_written(tree):
    kept, other = tree.disk("vda", _SIZE, serial="KEEP"), tree.disk("vdb", _SIZE, serial="WIPE")
    results = _run(tree, wanted=["KEEP", "WIPE"], skip=["KEEP"])
    assert [item["status"] for item in results] == ["skipped", "erased"]
    assert set(kept.read_bytes()) == {0xAA}
    assert _is_zero(other.read_bytes()[: erase.MIB])


def test_only_the_disks_asked_for(tree):
    tree.disk("vda", _SIZE, serial="A")
    other = tree.disk("vdb", _SIZE, serial="B")
    assert [item["how"] for item in _run(tree, wanted=["A"])] == ["zero", "not asked for"]
    assert set(other.read_bytes()) == {0xAA}


def test_a_disk_without_serial_number_is_erased_only_when_all_are(tree):
    disk = tree.disk("vda", _SIZE, serial=None)
    tree.disk("vdb", _SIZE, serial="B")
    _run(tree, wanted=["B"])
    assert set(disk.read_bytes()) == {0xAA}
    assert [item["status"] for item in _run(tree)] == ["erased", "erased"]


def test_a_serial_number_that_is_not_there_stops_everything(tree):
    disk = tree.disk("vda", _SIZE, serial="A")
    with pytest.raises(Refused, match="Z-9"):
        _run(tree, wanted=["A", "Z-9"])
    assert set(disk.read_bytes()) == {0xAA}


def test_a_failing_disk_does_not_stop_the_others(tree):
    tree.disk("vda", _SIZE, serial="A").unlink()
    tree.disk("vdb", _SIZE, serial="B")
    tree.disk("vdc", _SIZE, serial="C")
    tree.write("sys/block/vdc/ro", "1")
    results = _run(tree)
    assert [item["status"] for item in results] == ["failed", "erased", "failed"]
    assert results[2]["error"] == "the disk is read-only"


def test_reading_back_finds_a_disk_that_lies(tree, monkeypatch):
    tree.disk("vda", _SIZE, serial="A")
    monkeypatch.setattr(erase._Eraser, "_zero", lambda *_: None)
    (result,) = _run(tree)
    assert result["status"] == "failed"
    assert "not zero when read back" in result["error"]


def test_cancelling_stops_between_pieces(tree):
    disk, answers = tree.disk("vda", _SIZE, serial="A"), iter([False, False, True])
    with pytest.raises(Cancelled):
        _run(tree, method="shred", is_cancelled=lambda: next(answers))
    assert _is_zero(disk.read_bytes()[: 4 * erase.MIB])
    assert set(disk.read_bytes()[4 * erase.MIB :]) == {0xAA}


_BYTES = st.integers(0, 40 * erase.MIB)


@given(st.integers(1, 40 * erase.MIB), st.lists(st.tuples(_BYTES, _BYTES), max_size=6))
def test_extents_stay_on_the_disk_and_cover_all_ends(size, partitions):
    found = erase.extents(size, partitions)
    assert all(offset >= 0 and 0 < length <= erase.MIB and offset + length <= size for offset, length in found)
    assert (0, min(size, erase.MIB)) in found
    covered = {offset for offset, _ in found}
    assert all(start in covered for start, length in partitions if length and start < size)
