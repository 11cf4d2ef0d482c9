"""An address, its checksum and its format, as people give them."""

import contextlib
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.errors import Invalid
from appliance.services import image_address
from appliance.services.image_address import DIGITS

URL = "https://user-canary.example.com/images/debian.qcow2?sig=canary"
HEX = string.hexdigits


@pytest.mark.parametrize("algorithm", DIGITS)
def test_the_algorithm_is_told_by_name_or_by_length(algorithm):
    digits = "Ab" * (DIGITS[algorithm] // 2)
    for text in (digits, f"{algorithm}:{digits}", f"{algorithm.upper()}:{digits}", f" {digits}\n"):
        found = image_address.read(URL, text, "qcow2")
        assert found.checksum == (algorithm, digits.lower())
        assert found.checksum_url is None


@pytest.mark.parametrize(
    ("url", "checksum", "disk_format", "said"),
    [
        (URL, None, None, "needs a checksum"),
        (URL, "", None, "needs a checksum"),
        (URL, "sha256:12", None, "hexadecimal"),
        (URL, "sha384:" + "0" * 96, None, "hexadecimal"),
        (URL, "0" * 63, None, "hexadecimal"),
        (URL, "g" * 64, None, "hexadecimal"),
        (URL, "md5:" + "0" * 64, None, "hexadecimal"),
        (URL, 7, None, "hexadecimal"),
        (URL, "0" * 64, "vmdk", "raw or qcow2"),
        (URL, "https://u:canary@example.com/SUMS", None, "the checksum cannot"),
        ("https://u:canary@example.com/x", "0" * 64, None, "user name"),
        ("file:///etc/canary", "0" * 64, None, "plain http"),
        ("ftp://example.com/canary", "0" * 64, None, "plain http"),
        ("http://", "0" * 64, None, "plain http"),
        ("http://[::1", "0" * 64, None, "malformed"),
        ("http://example.com/" + "a" * 2048, "0" * 64, None, "plain http"),
    ],
)
def test_what_cannot_be_used_is_refused_and_not_repeated(url, checksum, disk_format, said):
    with pytest.raises(Invalid) as refusal:
        image_address.read(url, checksum, disk_format)
    assert said in str(refusal.value)
    assert "canary" not in str(refusal.value) + refusal.value.why + refusal.value.next_step


def test_what_opens_the_address_is_not_shown():
    source = image_address.read(URL, "https://example.com/SUMS?sig=canary", None)
    assert "sig" not in repr(source) + str(source.open_part())
    assert image_address.shown("https://u:p@[2001:db8::1]:8080/a/b?x=1#y") == "https://[2001:db8::1]:8080/a/b"
    assert image_address.shown("http://h:port/") == "a malformed address"


A, B = "a" * 64, "b" * 128


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"{A}\n", ("sha256", A)),
        (f"{B}  other.raw\n{A}  debian.qcow2\n", ("sha256", A)),
        (f"# {B}  debian.qcow2\n{A} *debian.qcow2\n", ("sha256", A)),
        (f"{A}  ./debian.qcow2", ("sha256", A)),
        (f"SHA512 (other) = {A}\nSHA512 (debian.qcow2) = {B}\n", ("sha512", B)),
    ],
)
def test_a_file_of_checksums_is_read_for_the_image_s_name(text, found):
    assert image_address.in_file(text, URL) == found


@pytest.mark.parametrize("text", ["", "nothing", f"{A}  other.raw", "x  debian.qcow2", f"SHA1 (debian.qcow2) = {A}"])
def test_a_file_without_it_is_refused(text):
    with pytest.raises(Invalid):
        image_address.in_file(text, URL)


@given(st.text(max_size=300), st.text(max_size=80))
def test_no_text_breaks_it(text, tail):
    for call in (
        lambda: image_address.read(f"https://example.com/{tail}", text, None),
        lambda: image_address.in_file(text, f"https://example.com/{tail}"),
        lambda: image_address.read(text, A, "raw"),
    ):
        with contextlib.suppress(Invalid):
            call()
    assert isinstance(image_address.shown(text), str)
