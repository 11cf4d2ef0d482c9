"""Access rules of application credentials: which requests fit."""

import re
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from appliance.services.identity.access_rules import permits
from appliance.services.identity.bearers import Allowed


def rule(path: str) -> list[Allowed]:
    return [Allowed(service="baremetal", method="GET", path=path)]


@pytest.mark.parametrize(
    ("path", "asked", "fits"),
    [
        ("/v1/nodes", "/v1/nodes", True),
        ("/v1/nodes", "/v1/nodes/x", False),
        ("/v1/nodes/*", "/v1/nodes/x", True),
        ("/v1/nodes/*", "/v1/nodes/x/states", False),
        ("/v1/nodes/{id}/states", "/v1/nodes/x/states", True),
        ("/v1/nodes/**", "/v1/nodes/x/states", True),
        ("/v1/**", "/v2/nodes", False),
        ("/v1/no.es", "/v1/nodes", False),
        ("/v1/nodes/(", "/v1/nodes/(", True),
    ],
)
def test_paths(path: str, asked: str, *, fits: bool):
    assert permits(rule(path), service="baremetal", method="GET", path=asked) is fits


def test_service_and_method_must_fit_too():
    assert not permits(rule("/v1/nodes"), service="image", method="GET", path="/v1/nodes")
    assert not permits(rule("/v1/nodes"), service="baremetal", method="POST", path="/v1/nodes")
    assert not permits([], service="baremetal", method="GET", path="/v1/nodes")


@given(st.text(max_size=80), st.text(max_size=80))
def test_any_path_gives_an_answer(path: str, asked: str):
    assert permits(rule(path), service="baremetal", method="GET", path=asked) in (True, False)


@example("{/}a", "a")
@example("{/}", "ab")
@given(st.text("ab/*{}", max_size=8), st.text("ab/", max_size=8))
def test_it_means_what_the_expression_means(path: str, asked: str):
    meaning = {"**": ".*", "*": "[^/]+"}
    named = r"\{[^{}/]*\}"
    parts = re.split(rf"(\*\*|\*|{named})", path)
    pattern = "".join(meaning.get(part, "[^/]+" if re.fullmatch(named, part) else re.escape(part)) for part in parts)
    assert permits(rule(path), service="baremetal", method="GET", path=asked) is bool(re.fullmatch(pattern, asked))


@pytest.mark.parametrize("wild", ["**a", "*a"])
def test_a_rule_made_to_take_for_ever_does_not(wild: str):
    begin = time.thread_time()
    rules = rule("/" + wild * 70 + "b") * 100
    assert not permits(rules, service="baremetal", method="GET", path="/" + "a" * 1000)
    assert not permits(rule("/**"), service="baremetal", method="GET", path="/" + "a" * 100_000)
    assert time.thread_time() - begin < 2
