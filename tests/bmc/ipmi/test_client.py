from hypothesis import given
from hypothesis import strategies as st

from bmc.ipmi.client import _tlv_decode


def test_names_in_each_encoding():
    assert _tlv_decode(None, 0xC3, bytearray(b"Fan")) == "Fan"
    assert _tlv_decode(None, 0x43, bytearray([0x12, 0xA3, 0xB4])) == "12 3-4"
    # "IPMI" in packed 6-bit ASCII, the example of FRU Information Storage §13.3
    assert _tlv_decode(None, 0x83, bytearray([0x29, 0xDC, 0xA6])) == "IPMI"


@given(st.integers(0, 255), st.binary(max_size=64))
def test_any_name_ends(tlv, data):
    assert isinstance(_tlv_decode(None, tlv, bytearray(data)), str)
