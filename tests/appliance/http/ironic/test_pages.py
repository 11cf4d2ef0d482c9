import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.http.ironic import pages
from appliance.http.ironic.errors import BadRequest
from appliance.http.ironic.versions import MAXIMUM

SORTABLE = frozenset({"name"})


def parse(minor=MAXIMUM, **arguments):
    return pages.parse(arguments, minor, sortable=SORTABLE)


def test_nothing_asked_is_a_page_of_the_most_in_order_of_age():
    page = parse()
    assert (page.limit, page.sort_key, page.descending, page.marker, page.detail) == (1000, "id", False, None, None)


def test_more_than_the_most_is_the_most():
    assert parse(limit="5000").limit == 1000


@pytest.mark.parametrize(
    "arguments",
    [{"limit": text} for text in ("0", "-1", "1e9", "abc", "", "\u0661", "99999999999999")]
    + [{"sort_key": "driver_info"}, {"sort_dir": "up"}, {"detail": "maybe"}, {"detail": "true", "fields": "uuid"}],
)
def test_what_is_refused(arguments):
    with pytest.raises(BadRequest):
        parse(**arguments)


def test_detail_came_with_1_43():
    assert parse(detail="True").detail is True
    with pytest.raises(BadRequest):
        parse(42, detail="true")


@given(st.dictionaries(st.sampled_from(["limit", "marker", "sort_key", "sort_dir", "detail"]), st.text(max_size=12)))
def test_any_query_is_a_page_in_bounds_or_refused(arguments):
    with contextlib.suppress(BadRequest):
        assert 1 <= pages.parse(arguments, MAXIMUM, sortable=SORTABLE).limit <= 1000


OLD = "1be26c0b-03f2-4d2e-ae87-c02d7f33c123"


def test_a_marker_is_a_uuid_where_things_have_one():
    assert parse(marker=OLD).marker == OLD
    with pytest.raises(BadRequest, match="marker"):
        parse(marker="x")
    assert pages.parse({"marker": "host"}, MAXIMUM, sortable=SORTABLE, by_uuid=False).marker == "host"


def test_a_full_page_names_the_next_one_with_all_that_was_asked():
    asked = {"limit": "1", "fields": "uuid,name", "marker": OLD, "owner": "a&b"}
    page = pages.parse(asked, MAXIMUM, sortable=SORTABLE)
    body = pages.collection("nodes", [{}], page, url="https://h/v1/nodes", arguments=asked, after="u1")
    assert body["next"] == "https://h/v1/nodes?fields=uuid,name&owner=a%26b&limit=1&marker=u1"
    assert "next" not in pages.collection("nodes", [], page, url="https://h", arguments=asked, after=None)
