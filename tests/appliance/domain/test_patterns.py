"""Patterns answer as the standard library does, and never take long."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.errors import Invalid
from appliance.domain.patterns import MAX_TEXT, Pattern

ATOMS = st.sampled_from(["a", "b", "c", ".", "[ab]", "[^a]", "[a-c]", r"\d", r"\w", r"\b", "^", "$", "-", r"\.", "1"])
TEXTS = st.text("abc1 -.A\n", max_size=12)


def grown(parts):
    joined = st.lists(parts, min_size=1, max_size=4).map("".join)
    repeated = st.tuples(parts, st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{0,2}", "*?", "{2,}"])).map(
        lambda pair: f"(?:{pair[0]}){pair[1]}"
    )
    return joined | repeated | st.tuples(parts, parts).map(lambda pair: f"({pair[0]}|{pair[1]})")


@given(pattern=st.recursive(ATOMS, grown, max_leaves=8), text=TEXTS)
def test_it_answers_as_the_standard_library_does(pattern, text):
    try:
        ours = Pattern(pattern)
    except Invalid:
        return
    theirs = pattern.replace("$", r"\Z")
    assert ours.found_in(text) == (re.search(theirs, text) is not None)
    assert ours.fits_from_start(text) == (re.fullmatch(theirs, text) is not None)


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("(?i)dell.*", "DELL Inc.", True),
        ("(?i)[a-f]+", "ABC", True),
        ("(?i)[A-F]+", "abc", True),
        ("Dell.*", "dell", False),
        ("a{,2}", "aa", True),
        ("x{y", "x{y", True),
        ("[]a]+", "]a", True),
        (r"[\d-]+", "1-2", True),
        ("", "", True),
        ("a|", "", True),
    ],
)
def test_examples(pattern, text, fits):
    assert Pattern(pattern).fits_from_start(text) is fits


@pytest.mark.parametrize(
    "pattern",
    ["(a)\\1", "(?=a)", "(?<n>a)", "a**", "*", "(", ")", "[", "a{3,2}", "a{101}", "(" * 30, "\\", "[b-a]", "a" * 257,
     "(((a{100}){100}){100})", r"\pL", "a{2}{3}"],
)  # fmt: skip
def test_what_cannot_be_matched_in_bounded_time_is_refused(pattern):
    with pytest.raises(Invalid):
        Pattern(pattern)


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "(.*)(.*)(.*)(.*)x", "(a?){50}a{50}", "([a-zA-Z]+)*$"])
def test_no_pattern_takes_long(pattern):
    started = time.process_time()
    Pattern(pattern).found_in("a" * MAX_TEXT + "!")
    assert time.process_time() - started < 5
