import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxe.tftp.negotiate import LARGEST_BLOCK, LARGEST_WINDOW, negotiate


@pytest.mark.parametrize(
    ("asked", "given_"),
    [
        ("8", 8),
        ("512", 512),
        ("1428", 1428),
        ("1468", 1468),
        ("9000", 1468),
        ("65464", 1468),
        ("0", None),
        ("7", None),
        ("65465", None),
        ("-1", None),
        ("1e9", None),
        ("0x200", None),
        ("9" * 300, None),
        ("", None),
        ("٨", None),
        (" 512", None),
    ],
)
def test_blksize(asked, given_):
    terms = negotiate({"blksize": asked}, size=1)
    assert terms.blksize == (given_ or 512)
    assert terms.accepted == ({"blksize": str(given_)} if given_ else {})


@pytest.mark.parametrize(("asked", "given_"), [("1", 1), ("4", 4), ("65535", 16), ("0", None), ("x", None)])
def test_windowsize(asked, given_):
    terms = negotiate({"windowsize": asked}, size=1)
    assert terms.windowsize == (given_ or 1)
    assert ("windowsize" in terms.accepted) is (given_ is not None)


@pytest.mark.parametrize(("asked", "given_"), [("1", "1"), ("4", "4"), ("5", None), ("0", None), ("255", None)])
def test_timeout(asked, given_):
    assert negotiate({"timeout": asked}, size=1).accepted.get("timeout") == given_


def test_size_is_told_and_unknown_options_are_not():
    assert negotiate({"tsize": "0", "multicast": ""}, size=12345).accepted == {"tsize": "12345"}


@given(st.dictionaries(st.sampled_from(["blksize", "tsize", "timeout", "windowsize"]), st.text(max_size=30)))
def test_any_text_stays_in_range(asked):
    terms = negotiate(asked, size=7)
    assert 8 <= terms.blksize <= LARGEST_BLOCK
    assert 1 <= terms.windowsize <= LARGEST_WINDOW
    assert 0 < terms.timeout_s <= 4
