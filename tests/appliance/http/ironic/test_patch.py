import contextlib
import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.http.ironic.errors import BadRequest
from appliance.http.ironic.patch import LARGEST, MOST, apply, parse

DOCUMENT = {"name": "n1", "extra": {"a": {"b": 1}, "list": [1, 2]}, "properties": {}, "owner": None}


def patched(*operations, **options):
    return apply(DOCUMENT, parse(list(operations), **options))


@pytest.mark.parametrize(
    ("operation", "path", "expected"),
    [
        ({"op": "replace", "path": "/name", "value": "n2"}, ("name",), "n2"),
        ({"op": "add", "path": "/owner", "value": "p"}, ("owner",), "p"),
        ({"op": "add", "path": "/extra/new", "value": {"x": 1}}, ("extra", "new"), {"x": 1}),
        ({"op": "add", "path": "/extra/a/b", "value": 2}, ("extra", "a", "b"), 2),
        ({"op": "add", "path": "/extra/list/-", "value": 3}, ("extra", "list"), [1, 2, 3]),
        ({"op": "add", "path": "/extra/list/0", "value": 0}, ("extra", "list"), [0, 1, 2]),
        ({"op": "remove", "path": "/extra/list/1"}, ("extra", "list"), [1]),
        ({"op": "remove", "path": "/extra/a"}, ("extra",), {"list": [1, 2]}),
        ({"op": "replace", "path": "/extra/list/1", "value": 9}, ("extra", "list"), [1, 9]),
        ({"op": "add", "path": "/properties/root~1device~0", "value": 1}, ("properties",), {"root/device~": 1}),
    ],
)
def test_what_an_operation_does(operation, path, expected):
    before = copy.deepcopy(DOCUMENT)
    value = patched(operation)
    for part in path:
        value = value[part]
    assert value == expected
    assert before == DOCUMENT


def test_before_1_98_a_tilde_is_a_tilde():
    assert patched({"op": "add", "path": "/extra/a~1b", "value": 1}, escapes=False)["extra"]["a~1b"] == 1


def test_a_removed_attribute_is_gone_and_may_be_added_again():
    document = patched({"op": "remove", "path": "/extra/a"}, {"op": "add", "path": "/extra/a", "value": 5})
    assert document["extra"]["a"] == 5


@pytest.mark.parametrize(
    "body",
    [
        {"op": "add"},
        "x",
        None,
        [1],
        [{"op": "add", "path": "/name"}],
        [{"op": "test", "path": "/name", "value": "n1"}],
        [{"op": "move", "from": "/name", "path": "/owner"}],
        [{"op": "explode", "path": "/name", "value": 1}],
        [{"op": "add", "path": "name", "value": 1}],
        [{"op": "add", "path": "/", "value": 1}],
        [{"op": "add", "path": "", "value": 1}],
        [{"op": "add", "path": "//", "value": 1}],
        [{"op": "add", "path": 7, "value": 1}],
        [{"op": "add", "path": "/colour", "value": 1}],
        [{"op": "add", "path": "/extra" + "/x" * 20, "value": 1}],
        [{"op": "add", "path": "/extra/" + "x" * 2000, "value": 1}],
        [{"op": "replace", "path": "/extra/none", "value": 1}],
        [{"op": "remove", "path": "/extra/none"}],
        [{"op": "remove", "path": "/name/x"}],
        [{"op": "add", "path": "/owner/x", "value": 1}],
        [{"op": "add", "path": "/extra/list/-1", "value": 1}],
        [{"op": "add", "path": "/extra/list/01", "value": 1}],
        [{"op": "replace", "path": "/extra/list/-", "value": 1}],
        [{"op": "add", "path": "/extra/list/3", "value": 1}],
        [{"op": "add", "path": "/extra/list/99999999999999", "value": 1}],
        [{"op": "add", "path": "/extra/x", "value": 1, "colour": "red"}],
        [{"op": "add", "path": "/extra/x", "value": 1}] * (MOST + 1),
    ],
)
def test_what_is_refused(body):
    with pytest.raises(BadRequest):
        apply(DOCUMENT, parse(body))


def test_the_value_is_not_in_the_refusal():
    with pytest.raises(BadRequest) as refused:
        patched({"op": "replace", "path": "/extra/password", "value": "canary-1"})
    assert "canary" not in str(refused.value)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
_PATH = st.lists(st.sampled_from(["name", "extra", "list", "a", "b", "0", "1", "-", "", "~0", "~1", "x"]), max_size=5)


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "op": st.sampled_from(["add", "replace", "remove"]),
                "path": _PATH.map(lambda parts: "/" + "/".join(parts)),
            },
            optional={"value": _JSON},
        ),
        max_size=4,
    )
)
def test_any_patch_gives_a_document_or_a_refusal_and_never_changes_the_original(body):
    before = copy.deepcopy(DOCUMENT)
    with contextlib.suppress(BadRequest):
        assert isinstance(apply(DOCUMENT, parse(body)), dict)
    assert before == DOCUMENT


def test_a_resource_does_not_grow_by_patches_without_an_end():
    half = "x" * (LARGEST // 2)
    grown = apply(DOCUMENT, parse([{"op": "add", "path": "/extra/one", "value": half}]))
    with pytest.raises(BadRequest, match="larger than"):
        apply(grown, parse([{"op": "add", "path": "/extra/two", "value": half}]))
    too_large = {**grown, "properties": {"two": half}}  # from before there was a limit: it may shrink
    assert "one" not in apply(too_large, parse([{"op": "remove", "path": "/extra/one"}]))["extra"]
