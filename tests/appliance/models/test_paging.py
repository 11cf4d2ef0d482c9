"""Pages of nodes by one column, on both databases."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from appliance.models import paging
from appliance.models.node import Node
from tests.fakes.rack import NOW


@pytest.mark.parametrize("descending", [False, True])
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(values=st.lists(st.none() | st.sampled_from(["a", "b", "c"]), max_size=7), size=st.integers(1, 3))
def test_pages_together_are_the_whole_list_each_row_once(database, values, size, descending):
    with database.write() as session:
        session.execute(delete(Node))
        for value in values:
            session.add(Node(driver="fake", shard=value, created_at=NOW, updated_at=NOW, provision_updated_at=NOW))
    seen, after = [], None
    with database.read() as session:
        while True:
            query = paging.page(
                select(Node.id, Node.shard), Node.shard.expression, Node.id.expression, after=after,
                descending=descending, limit=size,
            )  # fmt: skip
            rows = session.execute(query).all()
            if not rows:
                break
            seen += [(row.shard, row.id) for row in rows]
            after = paging.After(value=rows[-1].shard, id=rows[-1].id)
    assert sorted(value or "" for value, _ in seen) == sorted(value or "" for value in values)
    assert len({number for _, number in seen}) == len(values)
    ordered = sorted(seen, key=lambda pair: (pair[0] is not None, pair[0] or "", pair[1]), reverse=descending)
    assert seen == ordered
