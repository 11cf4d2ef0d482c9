"""A reader who goes on from the last id misses nothing, whatever order transactions end in."""

from sqlalchemy.orm import Session

from appliance.models import event
from appliance.services import events
from tests.fakes.rack import NOW


def record(session, message):
    event.record(session, at=NOW, kind="state", actor="test", message=message)
    session.flush()


def follow(database, after):
    with database.read() as session:
        return [(row.id, row.message) for row in events.stream(session, after=after, limit=10, node=None)]


def test_an_event_of_a_slow_transaction_is_not_missed(database):
    if database.is_sqlite:  # one writer: ids are in the order of commits
        with database.write() as session:
            record(session, "slow")
        with database.write() as session:
            record(session, "quick")
        assert [text for _id, text in follow(database, 0)] == ["slow", "quick"]
        return
    with Session(database.engine) as slow:
        record(slow, "slow")
        with database.write() as session:
            record(session, "quick")
        assert follow(database, 0) == []
        slow.commit()
    seen = follow(database, 0)
    assert [text for _id, text in seen] == ["slow", "quick"]
    assert follow(database, seen[-1][0]) == []
