import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmc.rmcp.errors import MalformedPacket
from bmc.rmcp.suites import SUITE_3, SUITE_17, SUITES, Handshake, suite_for


def handshake(suite=SUITE_17, user=b"admin"):
    return Handshake(
        suite=suite,
        console_id=1,
        system_id=2,
        console_random=bytes(16),
        system_random=bytes(range(16)),
        guid=b"g" * 16,
        role=0x14,
        user=user,
    )


def test_only_suites_3_and_17_exist():
    assert set(SUITES) == {3, 17}
    assert suite_for(0, 0, 0) is None
    assert suite_for(1, 1, 0) is None
    assert suite_for(1, 1, 1) is SUITE_3
    assert suite_for(3, 4, 1) is SUITE_17


@pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: str(suite.number))
@given(payload=st.binary(max_size=300))
def test_what_is_encrypted_is_decrypted(suite, payload):
    keys = handshake(suite).keys(b"password")
    assert keys.decrypt(keys.encrypt(payload)) == payload


@given(st.binary(max_size=200))
def test_noise_is_refused_or_read_but_nothing_else_happens(noise):
    keys = handshake().keys(b"password")
    with contextlib.suppress(MalformedPacket):
        keys.decrypt(noise)


def test_every_input_changes_the_keys():
    base = handshake().keys(b"password")
    assert handshake().keys(b"passworD").k1 != base.k1
    assert handshake(user=b"root").keys(b"password").aes != base.aes


def test_secrets_stay_out_of_repr():
    keys = handshake().keys(b"password")
    assert keys.k1.hex() not in repr(keys)
    assert repr(keys.k1) not in repr(keys)
