"""Lists that are read as rows show what one thing shows, and make no objects."""

import pytest
import sqlalchemy.event

from appliance.models.node import Node, Port, Portgroup
from tests.fakes import ironic_things as things

MACS = ("52:54:00:77:00:01", "52:54:00:77:00:02")


@pytest.fixture
def made(ironic, database):
    """Two ports, one with all that a port can have; and their group."""
    node = things.node(database)
    group = ironic.post("/v1/portgroups", {"node_uuid": node, "extra": {"g": [1, "é"]}}).get_json()["uuid"]
    full = {
        "extra": {"a": {"b": ["é", None]}}, "name": "eth0", "portgroup_uuid": group, "physical_network": "p",
        "local_link_connection": {"switch_id": MACS[0], "port_id": "1"}, "description": "d", "category": "c",
    }  # fmt: skip
    for mac, values in zip(MACS, (full, {}), strict=True):
        assert ironic.post("/v1/ports", {"node_uuid": node, "address": mac, **values}).status_code == 201
    ironic.patch("/v1/ports/eth0", [{"op": "replace", "path": "/extra/a", "value": 2}])  # now it has both times
    return node


@pytest.fixture
def objects():
    """How many objects of these kinds were made of rows."""
    count: list[str] = []

    def seen(target, _context):
        count.append(type(target).__name__)

    for model in (Node, Port, Portgroup):
        sqlalchemy.event.listen(model, "load", seen)
    yield count
    for model in (Node, Port, Portgroup):
        sqlalchemy.event.remove(model, "load", seen)


@pytest.mark.parametrize("kind", ["ports", "portgroups"])
@pytest.mark.parametrize("version", ["1.23", "1.110"])
def test_a_list_shows_what_the_thing_shows(ironic, made, kind, version):
    listed = ironic.get(f"/v1/{kind}/detail", version=version).get_json()[kind]
    assert listed
    for one in listed:
        assert one == ironic.get(f"/v1/{kind}/{one['uuid']}", version=version).get_json()


@pytest.mark.parametrize("kind", ["ports", "portgroups"])
@pytest.mark.parametrize("query", ["", "/detail", "?fields=uuid,node_uuid", "?sort_key=address&sort_dir=desc"])
def test_no_object_is_made_of_a_row(ironic, made, objects, kind, query):
    objects.clear()
    assert ironic.get(f"/v1/{kind}{query}").status_code == 200
    assert objects == []


def test_pages_of_rows_go_on_after_the_last_one(ironic, made):
    first = ironic.get("/v1/ports?limit=1&sort_key=address").get_json()
    assert [one["address"] for one in first["ports"]] == [MACS[0]]
    after = ironic.get(first["next"].partition("/baremetal")[2]).get_json()
    assert [one["address"] for one in after["ports"]] == [MACS[1]]
    assert ironic.get(f"/v1/ports?marker={made}").status_code == 404
