import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain import media
from appliance.domain.errors import Invalid


@pytest.mark.parametrize(
    "url",
    ["http://image", "https://images.example:8443/a.iso?x=1", "nfs://10.0.0.9/share/a.iso", "cifs://srv/a.iso",
     "http://192.168.0.9/a.iso", "http://[2001:db8::1]/a.iso", "http://169.example/a.iso"],
)  # fmt: skip
def test_places_of_images(url):
    media.check(url)


@pytest.mark.parametrize(
    "url",
    ["", "0a0b0c", "//h/x", "ftp://h/x", "http://", "http:///x", "http://h:0/x", "http://h:x/", "http://[::1",
     "http://a b/", "http://h/x#y", "http://h\\x/", "http://ü/", "http://h/\n", "http://u@h/x", "http://:p@h/x",
     "http://127.0.0.1/x", "http://[::1]/x", "http://[::ffff:127.0.0.1]/x", "http://169.254.169.254/x",
     "http://0.0.0.0/", "http://224.0.0.1/", "http://localhost/", "http://localhost./", "http://a.localhost/", "http://2130706433/",
     "http://0x7f000001/", "http://h/" + "x" * 2048],
)  # fmt: skip
def test_other_places(url):
    with pytest.raises(Invalid):
        media.check(url)


def test_an_operator_may_trust_a_network():
    network = ipaddress.ip_network("127.0.0.0/8")
    media.check("http://127.0.0.1/x", trusted=[network])
    with pytest.raises(Invalid):
        media.check("http://[::1]/x", trusted=[network])


@given(st.text(max_size=60))
def test_any_text_is_taken_or_refused(text):
    for url in (text, f"http://{text}"):
        try:
            media.check(url)
        except Invalid:
            continue
        assert "@" not in url.split("/")[2]


def test_keys_in_queries_are_not_shown():
    assert media.without_query("http://h/a.iso?key=x") == "http://h/a.iso"
    assert media.without_query(None) is None
