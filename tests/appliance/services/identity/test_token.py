"""The codec of tokens: what goes in comes out, and nothing else is ever taken for a token."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from appliance.services.identity.token import (
    METHODS,
    PREFIX,
    SCOPES,
    Claims,
    Malformed,
    Scope,
    decode,
    encode,
    seal,
    unseal,
)

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
KEYS = [Fernet(base64.urlsafe_b64encode(bytes([n] * 32))) for n in (1, 2)]

octets = st.binary(min_size=16, max_size=16)
hex_ids = octets.map(bytes.hex)
ids = hex_ids | st.text(min_size=1, max_size=64).filter(lambda text: len(text.encode("utf-8", "replace")) <= 254)
texts = ids.filter(lambda text: text.isprintable())
moments = st.integers(0, 7 * 10**15).map(lambda us: NOW + timedelta(microseconds=us))


@st.composite
def claims(draw):
    kind = draw(st.sampled_from(SCOPES))
    chosen = draw(st.sets(st.sampled_from(METHODS)))
    return Claims(
        user_uuid=draw(texts), methods=tuple(name for name in METHODS if name in chosen),
        scope=Scope(kind=kind, id=draw(texts) if kind in ("project", "domain") else ""),
        issued_at=draw(moments), expires_at=draw(moments), generation=draw(st.integers(0, 2**32 - 1)),
        audit=draw(octets), parent=draw(st.just(b"") | octets),
        credential_id=draw(st.just("") | texts),
    )  # fmt: skip


@given(claims())
def test_what_goes_in_comes_out(one: Claims):
    assert decode(encode(one)) == one


@given(claims())
def test_a_sealed_token_opens_with_its_key_and_no_other(one: Claims):
    text = seal(one, KEYS)
    assert unseal(text, KEYS[::-1]) == one
    with pytest.raises(Malformed):
        unseal(text, KEYS[1:])


@given(st.binary(max_size=300))
def test_any_octets_are_claims_or_malformed(data: bytes):
    try:
        one = decode(data)
    except Malformed:
        return
    assert encode(one) == data


@given(claims(), st.data())
def test_a_token_with_anything_changed_is_no_token(one: Claims, data: st.DataObject):
    text = seal(one, KEYS)
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(min_codepoint=33, max_codepoint=126).filter(lambda char: char != text[at]))
    with pytest.raises(Malformed):
        unseal(text[:at] + other + text[at + 1 :], KEYS)


@given(st.text(max_size=400) | st.text(max_size=400).map(lambda text: PREFIX + text))
def test_no_text_is_a_token_by_chance(text: str):
    with pytest.raises(Malformed):
        unseal(text, KEYS)


def test_a_usual_token_is_short():
    one = Claims(
        user_uuid="0" * 32, methods=("password",), scope=Scope(kind="project", id="1" * 32), issued_at=NOW,
        expires_at=NOW + timedelta(hours=1), generation=0,
    )  # fmt: skip
    assert len(seal(one, KEYS)) < 256
    assert "0" * 32 not in seal(one, KEYS)


def test_an_id_that_is_too_long_is_refused():
    one = Claims(user_uuid="x" * 255, methods=(), scope=Scope(), issued_at=NOW, expires_at=NOW, generation=0)
    with pytest.raises(ValueError, match="254"):
        encode(one)
