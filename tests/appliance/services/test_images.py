"""Rows of images: names, and when one may go."""

import pytest

from appliance.domain.access import Actor, Role
from appliance.domain.errors import Ambiguous, Conflict, Forbidden, Invalid, NotFound
from appliance.models.image import Image
from appliance.models.node import Inventory
from appliance.services import images, nodes
from tests.fakes.rack import NOW, inventory, vault, wish


def create(database, name="debian-12"):
    with database.write() as session:
        return images.create(session, name=name, sha256=None, properties={}, actor="ann", now=NOW)


@pytest.mark.parametrize("name", ["", "-x", ".x", "a b", "a/b", "../x", "a\n", "é", "x" * 121, "a\x00"])
def test_a_name_that_could_mislead_is_refused(database, name):
    with pytest.raises(Invalid):
        create(database, name)


def test_a_name_is_taken_once_and_found_by_name_or_uuid(database):
    made = create(database)
    with pytest.raises(Conflict):
        create(database)
    with database.read() as session:
        assert images.fetch(session, "debian-12").id == images.fetch(session, made.uuid.upper()).id == made.id
        with pytest.raises(NotFound):
            images.fetch(session, "nope")


@pytest.mark.parametrize("state", ["deploying", "wait call-back", "deploy hold"])
def test_an_image_that_is_being_written_stays(database, state):
    made = create(database)
    with database.write() as session:
        node = nodes.create(session, vault(), wish(), actor="ann", now=NOW)
        node.provision_state, node.instance = state, {"image_uuid": made.uuid}
    with database.write() as session, pytest.raises(Conflict) as refused:
        images.delete(session, images.fetch(session, "debian-12"), actor="ann", now=NOW)
    assert "n1" in refused.value.why
    with database.write() as session:
        nodes.fetch(session, "n1").provision_state = "active"
        images.delete(session, images.fetch(session, "debian-12"), actor="ann", now=NOW)
        assert images.named(session) == []


def test_of_two_images_of_one_name_one_must_be_named_by_its_uuid(database):
    made = create(database)
    with database.write() as session:
        session.add(Image(name="debian-12", created_at=NOW, updated_at=NOW))
    with database.read() as session:
        with pytest.raises(Ambiguous) as refusal:
            images.fetch(session, "debian-12")
        assert made.uuid in refusal.value.why
        assert images.fetch(session, made.uuid).id == made.id


def test_a_name_that_looks_like_an_uuid_does_not_hide_the_image_that_has_it(database):
    made = create(database)
    with database.write() as session:
        session.add(Image(name=made.uuid, created_at=NOW, updated_at=NOW))
    with database.read() as session:
        assert images.fetch(session, made.uuid).id == made.id


def test_a_protected_image_stays(database):
    create(database)
    with database.write() as session:
        row = images.fetch(session, "debian-12")
        row.is_protected = True
        with pytest.raises(Forbidden):
            images.delete(session, row, actor="ann", now=NOW)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"status": "queued"}, "not ready"),
        ({"status": "killed", "problem": "spoilt"}, "spoilt"),
        ({"status": "deactivated", "stream": {"x": 1}}, "withdrawn"),
        ({"status": "active", "not_deployable": "it is iso in bare"}, "cannot be deployed"),
    ],
)
def test_what_cannot_be_deployed_says_why(more, words):
    with pytest.raises(Conflict, match=words):
        images.refuse_undeployable(Image(name="x", **more))
    images.refuse_undeployable(Image(name="x", status="active", stream={"data": "image.data"}))


BLUE = Actor(name="bob", role=Role.MEMBER, user_id=4, project_id="p-blue", is_system=False)


def test_a_project_means_one_of_the_images_that_it_sees(database):
    def add(**more):
        with database.write() as session:
            row = Image(name="os", visibility="private", created_at=NOW, updated_at=NOW, **more)
            session.add(row)
            session.flush()
            return row.uuid

    mine, other = add(owner="p-blue"), add(owner="p-red")
    with database.read() as session:
        assert images.seen_by(session, BLUE, "os") == images.seen_by(session, BLUE, f"glance://{mine}") == mine
        assert images.seen_by(session, BLUE, "not-stored") == "not-stored"
        with pytest.raises(NotFound):
            images.seen_by(session, BLUE, other)


@pytest.mark.parametrize(
    ("more", "words"),
    [({"min_ram": 2048}, "more memory"), ({"min_disk": 9}, "too big"), ({"virtual_size_bytes": 9 << 30}, "too big")],
)
def test_a_machine_that_is_too_small(more, words):
    report = Inventory(report=inventory())
    with pytest.raises(Conflict, match=words):
        images.refuse_small(Image(name="x", **({"min_disk": 0, "min_ram": 0} | more)), report, "n1")
    images.refuse_small(Image(name="x", min_disk=8, min_ram=1024), report, "n1")
    images.refuse_small(Image(name="x", min_disk=99, min_ram=99999), None, "n1")
