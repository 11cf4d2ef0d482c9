import struct
import uuid

from hypothesis import given
from hypothesis import strategies as st

from agent.inventory import smbios
from tests.fakes.machine_tree import dimm

_UUID = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")


def _system(raw: bytes, strings: list[bytes]) -> bytes:
    return smbios.pack(1, 1, bytes([1, 2, 0, 3]) + raw + bytes([6, 0, 0]), strings)


def test_system_of_a_current_table():
    table = _system(_UUID.bytes_le, [b"Acme", b"B200", b"X-1"]) + smbios.pack(127, 2, b"", [])
    assert smbios.system(smbios.structures(table), (3, 2)) == ("Acme", "B200", "X-1", str(_UUID))


def test_uuid_before_2_6_is_in_network_order():
    table = _system(_UUID.bytes, [b"Acme", b"B200", b"X-1"])
    assert smbios.system(smbios.structures(table), (2, 5)).uuid == str(_UUID)


def test_placeholders_are_not_values():
    table = _system(b"\xff" * 16, [b"To be filled by O.E.M.", b"Default string", b"0123456789"])
    assert smbios.system(smbios.structures(table), (3, 0)) == (None, None, None, None)


def test_control_characters_do_not_travel():
    table = _system(_UUID.bytes_le, [b"A\x1b[31mcme\x07", b"B" * 5000, b"X"])
    system = smbios.system(smbios.structures(table), (3, 0))
    assert system.manufacturer == "A [31mcme"
    assert system.product == "B" * 128


def test_dimms_leave_out_empty_slots():
    table = dimm(b"A1", 16384) + dimm(b"A2", 0) + dimm(b"A3", 0xFFFF)
    assert smbios.dimms(smbios.structures(table)) == [
        {"slot": "A1", "size_mib": 16384, "kind": "DDR4", "speed_mts": 3200, "serial": "M-A1"}
    ]


def test_dimm_sizes_in_kibibytes_and_beyond_32_gib():
    small = dimm(b"K", 0x8000 | 2048)
    extended = struct.pack(
        "<HHHHHBBBBBHHBBBBBIHHHH", 0, 0, 0, 0, 0x7FFF, 9, 0, 1, 0, 0x22, 0, 0xFFFF, 0, 0, 0, 0, 0, 65536, 0, 0, 0, 0
    )
    extended = extended.ljust(0x54 - 4, b"\0") + struct.pack("<II", 6400, 0)
    found = smbios.dimms(smbios.structures(small + smbios.pack(17, 2, extended, [b"X1"])))
    assert [(item["size_mib"], item["speed_mts"], item["kind"]) for item in found] == [
        (2, 3200, "DDR4"),
        (65536, 6400, "DDR5"),
    ]


def test_versions():
    assert smbios.version(b"_SM3_\0\x18\3\2\0") == (3, 2)
    assert smbios.version(b"_SM_\0\x1f\2\7") == (2, 7)
    assert smbios.version(b"") == (0, 0)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 126),
            st.binary(max_size=200),
            st.lists(st.binary(min_size=1, max_size=40).filter(lambda b: b"\0" not in b), max_size=5),
        ),
        max_size=10,
    )
)
def test_what_was_packed_is_read(items):
    table = b"".join(smbios.pack(kind, n, body, strings) for n, (kind, body, strings) in enumerate(items))
    found = smbios.structures(table)
    assert [(item.kind, item.data[4:], item.strings) for item in found] == items


@given(st.binary(max_size=600))
def test_any_bytes_are_read_without_a_fault(table):
    found = smbios.structures(table)
    smbios.system(found, (3, 0))
    smbios.dimms(found)


@given(st.data())
def test_a_table_that_lies_about_its_parts(data):
    table = bytearray(_system(_UUID.bytes_le, [b"a", b"b"]) + dimm(b"A1", 512) * 2)
    for _ in range(data.draw(st.integers(1, 6))):
        table[data.draw(st.integers(0, len(table) - 1))] = data.draw(st.integers(0, 255))
    for item in smbios.dimms(smbios.structures(bytes(table))):
        assert 0 < item["size_mib"] < 2**31
        assert len(item["slot"]) <= 128
