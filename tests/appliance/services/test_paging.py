"""Pages join to the whole list, in any order, whatever is empty in the column."""

import pytest
from sqlalchemy import select

from appliance.domain.errors import NotFound
from appliance.models.chassis import Chassis
from appliance.services.paging import Window, page
from tests.fakes.rack import NOW


@pytest.mark.parametrize("key", [None, Chassis.description])
@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_pages_join_to_the_whole(database, key, descending, limit):
    names = ["b", None, "a", "b", None, "c", "a"]
    with database.write() as session:
        session.add_all(Chassis(description=name, created_at=NOW) for name in names)
    with database.read() as session:
        whole = page(session, select(Chassis), Chassis, Window(key=key, descending=descending))
        found, marker = [], None
        while True:
            window = Window(key=key, descending=descending, limit=limit, marker=marker)
            part = page(session, select(Chassis), Chassis, window)
            found += part
            if not part:
                break
            marker = part[-1].uuid
    assert [row.id for row in found] == [row.id for row in whole]
    assert len(whole) == len(names)
    if key is not None:
        keys = [(row.description is not None, row.description or "", row.id) for row in whole]
        assert keys == sorted(keys, reverse=descending)


def test_a_marker_that_is_not_there(database):
    with database.read() as session, pytest.raises(NotFound):
        page(session, select(Chassis), Chassis, Window(marker="nope"))
