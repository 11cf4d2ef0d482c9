from datetime import UTC, datetime, timedelta

from appliance.domain.clock import system_clock
from appliance.flows.lease import SharedClock
from appliance.models.database import Database
from tests.fakes.clock import FakeClock


def compared(database: Database, clock: SharedClock) -> datetime:
    with database.write() as session:
        clock.compare(session)
    return clock()


def test_a_clock_given_by_hand_is_the_clock(database: Database) -> None:
    given = FakeClock()
    assert compared(database, SharedClock(database, given)) == given()


def test_the_system_clock_is_set_by_the_database_where_it_has_one(
    database: Database,
) -> None:
    """This machine's clock is five minutes ahead; engines elsewhere must not see that."""
    clock = SharedClock(database, system_clock)
    clock._local = lambda: datetime.now(UTC) + timedelta(minutes=5)
    ahead = compared(database, clock) - datetime.now(UTC)
    expected = timedelta(minutes=5) if database.is_sqlite else timedelta(0)
    assert abs(ahead - expected) < timedelta(seconds=60)
