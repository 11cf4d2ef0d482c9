"""The unix socket's face: one bad entry never keeps back the good ones."""

import pytest
from sqlalchemy import select

from appliance.http import app
from appliance.models.event import Event
from tests.fakes.appliance import Appliance


@pytest.fixture
def appliance(database, tmp_path):
    made = Appliance(database, tmp_path)
    yield made
    made.close()


def test_events_that_cannot_be_understood_are_left_out(appliance):
    good = {"at": 1.0, "mac": "52:54:00:00:00:01", "kind": "dhcp.ack", "message": "good", "data": {}}
    bad = [{**good, "mac": "nonsense"}, {**good, "at": "soon"}, {**good, "at": 1e300}, "text", None, {}]
    entries = [good, *bad, {**good, "mac": None, "message": "nobody's"}]
    answer = app.internal_app(appliance.context).test_client().post("/internal/events", json={"events": entries})
    assert answer.status_code == 204
    with appliance.database.read() as session:
        found = session.execute(select(Event.message, Event.mac).where(Event.kind == "dhcp.ack")).all()
    assert [tuple(row) for row in found] == [("good", "52:54:00:00:00:01"), ("nobody's", None)]
