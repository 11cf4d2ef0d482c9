"""A list of large things comes in pages that are bounded by what is in them, and not by their number alone."""

import pytest

from appliance.models import paging
from tests.fakes import ironic_things as things

MANY = 14
WIDE = {"x": "y" * 1000}
LARGEST_ANSWER = 20_000
"""Of four things at least, with all that is said of them beside the wide part."""


def next_of(body):
    """The query of the page that follows, of whichever face; None: this was the last."""
    follows = body.get("next")
    if follows is None:
        return None
    return follows.partition("?")[2] if "?" in follows else f"limit=1000&marker={follows}"


@pytest.fixture
def crowd(appliance, operators, monkeypatch):
    monkeypatch.setattr(paging, "LARGEST", 3000)
    for number in range(MANY):
        uuid = things.node(appliance.database, name=f"n{number}", extra=WIDE)
        port = {"node_uuid": uuid, "address": f"52:54:00:00:00:{number:02x}", "extra": WIDE}
        assert operators.post("/baremetal/v1/ports", json=port).status_code == 201
        made = operators.post("/v1/images", json={"name": f"i{number}", "properties": WIDE})
        assert made.status_code == 201, made.text
        made = operators.post("/baremetal/v1/chassis", json={"extra": WIDE})
        assert made.status_code == 201, made.text


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/v1/nodes?limit=1000", "items"), ("/v1/images", "items"), ("/image/v2/images?limit=1000", "images"),
        ("/baremetal/v1/nodes/detail", "nodes"), ("/baremetal/v1/nodes?fields=uuid,extra", "nodes"),
        ("/baremetal/v1/chassis/detail", "chassis"), ("/baremetal/v1/ports/detail", "ports"),
    ],
)  # fmt: skip
def test_pages_of_large_things_are_short_and_join_to_the_whole(crowd, operators, path, key):
    operators.environ_base["HTTP_X_OPENSTACK_IRONIC_API_VERSION"] = "1.110"
    found, pages = [], 0
    path, _, query = path.partition("?")
    while query is not None:
        answer = operators.get(f"{path}?{query}")
        assert answer.status_code == 200, answer.text
        assert len(answer.data) < LARGEST_ANSWER
        found += [one.get("uuid") or one["id"] for one in answer.get_json()[key]]
        pages += 1
        query = next_of(answer.get_json())
    assert len(set(found)) == len(found) == MANY
    assert pages > 2


@pytest.mark.parametrize("path", ["nodes", "nodes?fields=uuid,traits", "chassis", "ports"])
def test_a_list_without_what_is_large_is_one_page(crowd, operators, path):
    operators.environ_base["HTTP_X_OPENSTACK_IRONIC_API_VERSION"] = "1.110"
    answer = operators.get(f"/baremetal/v1/{path}").get_json()
    assert len(answer[path.partition("?")[0]]) == MANY
    assert "next" not in answer
