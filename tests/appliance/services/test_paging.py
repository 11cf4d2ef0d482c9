"""Pages join to the whole list, in any order, whatever is empty in the column."""

import pytest
from sqlalchemy import select

from appliance.domain.errors import NotFound
from appliance.models import paging
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
            found += part.rows
            if not part.is_full:
                break
            marker = part.rows[-1].uuid
    assert [row.id for row in found] == [row.id for row in whole.rows]
    assert len(whole.rows) == len(names)
    assert not whole.is_full
    if key is not None:
        keys = [(row.description is not None, row.description or "", row.id) for row in whole.rows]
        assert keys == sorted(keys, reverse=descending)


def test_a_marker_that_is_not_there(database):
    with database.read() as session, pytest.raises(NotFound):
        page(session, select(Chassis), Chassis, Window(marker="nope"))


def test_a_page_ends_before_it_is_too_large(database, monkeypatch):
    """The pages join to the whole all the same; rows that are too large each by itself come a few at a time."""
    monkeypatch.setattr(paging, "LARGEST", 5000)
    with database.write() as session:
        session.add_all(
            Chassis(description=str(number), extra={"x": "y" * size}, created_at=NOW, updated_at=NOW)
            for number, size in enumerate([9000] * 6 + [10] * 100 + [900] * 7)
        )
    lengths, found, marker, weighed = [], [], None, paging.weight(Chassis.__table__.c)
    with database.read() as session:
        while marker is not None or not lengths:
            part = page(session, select(Chassis), Chassis, Window(marker=marker, weighed=weighed))
            lengths.append(len(part.rows))
            found += part.rows
            marker = part.rows[-1].uuid if part.is_full else None
    assert [row.description for row in found] == [str(number) for number in range(113)]
    assert lengths == [paging.FEW, paging.FEW, 101, 4]
