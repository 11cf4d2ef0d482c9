import pytest

from appliance.http.ironic.errors import BadRequest
from appliance.http.ironic.fields import Fields
from appliance.http.ironic.versions import NotAcceptable

FIELDS = Fields({"uuid": 1, "name": 5, "owner": 50, "links": 1}, brief=("uuid", "name", "links"))


def test_fields_appear_with_their_version():
    assert FIELDS.every(1) == ("uuid", "links")
    assert FIELDS.every(50) == ("uuid", "name", "owner", "links")
    assert FIELDS.brief(50) == ("uuid", "name", "links")
    assert FIELDS.chosen(50, None, detail=True) == FIELDS.every(50)


def test_a_wish_is_answered_in_the_order_of_the_table_with_links():
    assert FIELDS.chosen(50, "owner,uuid", detail=False) == ("uuid", "owner", "links")


@pytest.mark.parametrize("wanted", ["colour", "*", "", "uuid,", "uuid,,name", ",".join(["uuid"] * 500)])
def test_a_field_that_there_is_not_is_refused(wanted):
    with pytest.raises(BadRequest):
        FIELDS.chosen(50, wanted, detail=False)


def test_a_field_of_a_later_version_is_not_acceptable():
    with pytest.raises(NotAcceptable):
        FIELDS.chosen(49, "owner", detail=False)
    with pytest.raises(NotAcceptable):
        FIELDS.chosen(7, "uuid", detail=False)
