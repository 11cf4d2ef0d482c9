"""Grammars of names and addresses."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain import names
from appliance.domain.errors import Invalid


@pytest.mark.parametrize("text", ["r01-n07", "A", "x" * 63, "0"])
def test_a_host_name_is_lower_cased(text):
    assert names.hostname(text) == text.lower()


@pytest.mark.parametrize("text", ["", "-a", "a-", "a b", "a.b", "x" * 64, "ä", "a\nb", "<img src=x>", "a" * 100_000])
def test_what_is_not_a_host_name_is_refused(text):
    with pytest.raises(Invalid):
        names.hostname(text)


@pytest.mark.parametrize(
    ("text", "host"),
    [("metal3~host-1", "metal3-host-1"), ("r01_n07.example", "r01-n07-example"), ("~~", ""), ("A" * 100, "a" * 63)],
)
def test_any_name_makes_a_host_name(text, host):
    assert names.as_hostname(text) == host


@given(st.text())
def test_what_is_made_a_host_name_is_one(text):
    made = names.as_hostname(text)
    assert not made or names.hostname(made) == made


@pytest.mark.parametrize("text", ["01:00:5e:00:00:01", "11-22-33-44-55-66", "00:00:00:00:00:00"])
def test_an_ethernet_address_may_be_of_a_group(text):
    assert names.ethernet(text) == text.replace("-", ":")


@pytest.mark.parametrize("text", ["52:54:00:AB:cd:01", "52-54-00-ab-cd-01", "5254.00ab.cd01", "525400abcd01"])
def test_a_mac_has_one_canonical_form(text):
    assert names.mac(text) == "52:54:00:ab:cd:01"


@pytest.mark.parametrize(
    "text", ["", "aa:bb", "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "00:00:00:00:00:00", "zz:54:00:ab:cd:01"]
)
def test_what_is_not_one_machine_is_refused(text):
    with pytest.raises(Invalid):
        names.mac(text)


@given(st.text())
def test_any_text_is_a_name_or_refused_never_another_error(text):
    for grammar in (names.hostname, names.mac, names.ip_address):
        with contextlib.suppress(Invalid):
            assert grammar(grammar(text)) == grammar(text)


@pytest.mark.parametrize("text", ["fe80::1%\x1b[2J", "fe80::1%" + "x" * 10_000, "1" * 100])
def test_an_address_carries_no_free_text(text):
    with pytest.raises(Invalid):
        names.ip_address(text)


def test_an_address_has_one_name():
    assert names.ip_address("::ffff:10.0.0.7") == names.ip_address(" 10.0.0.7") == "10.0.0.7"
    assert names.ip_address("2001:DB8:0::7") == "2001:db8::7"


@pytest.mark.parametrize(
    ("address", "machine", "elsewhere"),
    [("10.0.0.7", True, True), ("2001:db8::7", True, True), ("127.0.0.2", True, False), ("::1", True, False),
     ("169.254.169.254", True, False), ("fe80::1", True, False), ("224.0.0.1", False, True), ("::", False, True),
     ("255.255.255.255", False, True), ("0.0.0.0", False, True)],
)  # fmt: skip
def test_where_a_machine_may_be(address, machine, elsewhere):
    assert (names.is_of_one_machine(address), names.is_elsewhere(address)) == (machine, elsewhere)
