"""Nodes for the faces of Bare Metal, made without the face."""

from appliance.models.node import Node
from tests.fakes.rack import NOW


def node(database, name="n1", **changes):
    """An available pretend node; its UUID."""
    values = {
        "driver": "fake", "provision_state": "available", "power_state": "power off", "resource_class": "x",
        "created_at": NOW, "updated_at": NOW, "provision_updated_at": NOW,
    }  # fmt: skip
    with database.write() as session:
        row = Node(name=name, **(values | changes))
        session.add(row)
        session.flush()
        return row.uuid


def change(database, uuid, **changes):
    with database.write() as session:
        row = session.query(Node).filter(Node.uuid == uuid).one()
        for column, value in changes.items():
            setattr(row, column, value)
