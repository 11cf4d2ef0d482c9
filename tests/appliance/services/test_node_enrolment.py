"""The short way to enrol a node, against the long one, on both databases."""

import pytest

from appliance.domain.errors import Conflict
from appliance.http.ironic import node_fields
from appliance.services import node_enrolment, node_reading, nodes
from appliance.services.node_input import BmcAccess, Details, NewNode
from tests.fakes.rack import NOW, vault

WISH = NewNode(
    name="n1", driver="ipmi", properties={"cpus": 4}, extra={"é": [1, None]},
    bmc=BmcAccess(address="10.77.0.5", username="u", password="hunter2-canary"),
    details=Details(owner="p1", wishes={"a": 1}, secrets={"driver": {"token": "x"}, "wishes": {}}),
)  # fmt: skip


def enroll(database, wish=WISH):
    with database.write() as session:
        return node_enrolment.enroll(session, vault(), wish, actor="admin", now=NOW)


def test_what_is_shown_at_once_is_what_is_read_later(database):
    values = enroll(database)
    shape = node_fields.whole(110)
    with database.read() as session:
        read = session.execute(shape.by_uuid, {"ident": values["uuid"]}).one()
    made = node_reading.made(shape.columns, values)
    assert shape.render(made, "r").keys() == shape.render(read, "r").keys()
    for name in shape.columns:
        one, other = getattr(made, name), getattr(read, name)
        assert one == other or str(one).replace(" ", "") == str(other).replace(" ", ""), name


def test_it_is_a_node_like_any_other(database):
    enroll(database)
    with database.read() as session:
        node = nodes.fetch(session, "n1")
        assert (node.version, node.provision_state, node.ports, node.owner) == (1, "enroll", [], "p1")
        assert vault().open(node.bmc_secret, nodes.bmc_context(node)) == b"hunter2-canary"


@pytest.mark.parametrize(
    ("details", "name", "bmc", "said"),
    [
        (Details(), "n1", BmcAccess(), "name n1"),
        (Details(uuid="123e4567-e89b-42d3-a456-426614174000"), "n2", BmcAccess(), "UUID 123e4567"),
        (Details(instance_uuid="123e4567-e89b-42d3-a456-426614174001"), "n2", BmcAccess(), "Instance 123e4567"),
        (Details(), "n2", BmcAccess(address="10.77.0.5"), "10.77.0.5"),
    ],
)
def test_what_another_node_has_is_named(database, details, name, bmc, said):
    first = Details(uuid="123e4567-e89b-42d3-a456-426614174000", instance_uuid="123e4567-e89b-42d3-a456-426614174001")
    enroll(database, NewNode(name="n1", driver="ipmi", bmc=BmcAccess(address="10.77.0.5"), details=first))
    with pytest.raises(Conflict, match=said):
        enroll(database, NewNode(name=name, driver="ipmi", bmc=bmc, details=details))
