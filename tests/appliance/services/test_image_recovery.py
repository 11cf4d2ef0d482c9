"""What a restart finds of images that were coming in: each is gone on with, or ends with a reason."""

import io
from contextlib import contextmanager

import pytest
from sqlalchemy import select

from appliance.domain.access import Actor, Role
from appliance.domain.image_imports import Import
from appliance.domain.images import Status
from appliance.models.image import Image, ImageFetch, ImageTask
from appliance.services import image_fetches, image_recovery, image_tasks, images
from appliance.services.image_fetches import Address
from appliance.services.image_store import ImageStore
from tests.fakes.appliance import Appliance
from tests.fakes.rack import NOW, vault

BYTES = b"image bytes" * 1000
URL = "https://Mirror.example.org/x?signature=canary"
ANN = Actor(name="ann", role=Role.ADMIN, user_id=1)


@pytest.fixture
def appliance(database, tmp_path):
    made = Appliance(database, tmp_path)
    yield made
    made.close()


@pytest.fixture
def store(appliance):
    return appliance.images


def create(database, status=Status.QUEUED, *, is_declared=False, url="", **more):
    """url: it is to be fetched from there. is_declared: it has a format, so it waits for bytes when they fail."""
    with database.write() as session:
        made = images.create(session, name="debian", sha256=None, properties={}, actor="ann", now=NOW)
        made.status, made.holder = status, None if status is Status.QUEUED else ""
        if is_declared:
            made.disk_format, made.container_format = "raw", "bare"
        for column, value in more.items():
            setattr(made, column, value)
        session.flush()
        if url:
            image_fetches.keep(session, vault(), made, Address(url=url, promises=[("md5", "0" * 32)]))
            image_tasks.begin(session, made, actor=ANN, asked={}, request_id="", now=NOW)
            image_tasks.start(session, made.uuid, now=NOW)
        return made.uuid


def row(database):
    with database.read() as session:
        return session.scalars(select(Image)).one_or_none()


def task(database):
    with database.read() as session:
        return session.scalars(select(ImageTask)).one()


def found(appliance, store):
    return image_recovery.recover(store, appliance.database, vault(), appliance.clock)


def restarted(appliance, fetch=None):
    """What is lined up, after all of it had its turn."""
    store = ImageStore(
        appliance.images._root, database=appliance.database, vault=vault(), pack=appliance._pack, fetch=fetch,
        clock=appliance.clock, pause=lambda _seconds: None,
    )  # fmt: skip
    left = found(appliance, store)
    for item in left:
        item.work()
    return [item.one for item in left]


def test_what_was_complete_is_packed(database, appliance, store):
    uuid = create(database)
    store.receive(uuid, io.BytesIO(BYTES), size=None)
    assert restarted(appliance) == [Import(uuid=uuid)]
    assert row(database).status == "active"


def test_a_fetch_of_which_nobody_knows_from_where_ends(database, appliance):
    create(database, Status.SAVING)
    assert restarted(appliance) == []
    assert row(database).status == "killed"


def test_an_image_that_waits_for_its_upload_is_left(database, appliance):
    create(database)
    assert restarted(appliance) == []
    assert row(database).status == "queued"


@pytest.mark.parametrize("status", [Status.SAVING, Status.IMPORTING])
def test_a_fetch_that_waited_or_had_begun_waits_again_and_begins_anew(database, appliance, store, status):
    uuid = create(database, status, is_declared=True, url=URL, owner="p1")
    store.folder(uuid).mkdir(parents=True)
    (store.folder(uuid) / "upload.part").write_bytes(b"some of it")
    left = found(appliance, store)
    assert [item.one for item in left] == [Import(uuid=uuid, owner="p1", host="mirror.example.org")]
    assert (row(database).status, task(database).status) == (status, "pending")
    assert not store.folder(uuid).exists(), "nothing of the first half is used again"
    assert found(appliance, store) == [], "it is in hand now"

    asked = []

    @contextmanager
    def fetch(url, _within_s):
        asked.append((url, task(database).status))
        yield io.BytesIO(BYTES)

    restarted(appliance, fetch)
    assert asked == [(URL, "processing")]
    assert (row(database).status, row(database).sha512) == ("queued", None)
    assert row(database).problem.startswith("the md5 checksum of the image differs")
    assert task(database).status == "failure"


def test_the_limit_of_time_counts_from_the_first_turn(database, appliance):
    uuid = create(database, Status.SAVING, url=URL)
    with database.write() as session:
        session.scalars(select(ImageFetch)).one().begun_at = NOW
    appliance.now += image_fetches.MOST
    restarted(appliance)
    assert row(database).problem.startswith("the download took too long")
    assert uuid == row(database).uuid


def test_an_address_that_cannot_be_opened_ends_its_image(database, appliance):
    create(database, Status.SAVING, url=URL)
    with database.write() as session:
        session.scalars(select(ImageFetch)).one().sealed = b"RW1 other"
    assert restarted(appliance) == []
    assert "does not know from where" in row(database).problem


def test_what_comes_in_right_now_is_not_touched(database, appliance, store):
    """The doors are open before it runs."""

    class Recovering(io.BytesIO):
        def read(self, size=-1):
            assert found(appliance, store) == []
            return super().read(size)

    store.receive(create(database), Recovering(BYTES), size=len(BYTES))
    assert row(database).status == "saving"


def test_bytes_that_no_image_owns_are_removed(appliance, store):
    orphan = store.folder("a1234567-89ab-cdef-a123-4567890abc01")
    orphan.mkdir(parents=True)
    restarted(appliance)
    assert not orphan.exists()


def test_what_another_appliance_has_in_hand_is_not_touched(database, appliance):
    create(database, Status.SAVING, holder="another")
    restarted(appliance)
    assert row(database).status == "saving"
    with database.write() as session:
        session.scalars(select(Image)).one().holder = ""
    restarted(appliance)
    assert row(database).status == "killed"


def test_staged_bytes_outlive_a_restart_and_half_of_them_do_not(database, appliance, store):
    uuid = create(database, is_declared=True)
    store.receive(uuid, io.BytesIO(BYTES), size=None, status=Status.UPLOADING)
    assert store.original(uuid).read_bytes() == BYTES
    restarted(appliance)
    assert row(database).status == "uploading"
    store.original(uuid).unlink()
    restarted(appliance)
    assert (row(database).status, row(database).sha512, row(database).size_bytes) == ("queued", None, None)


def test_an_import_that_a_crash_cut_off_is_finished(database, appliance, store):
    uuid = create(database, is_declared=True)
    store.receive(uuid, io.BytesIO(BYTES), size=None, status=Status.UPLOADING)
    with database.write() as session:
        session.scalars(select(Image)).one().status = "importing"
    restarted(appliance)
    assert (row(database).status, row(database).stream) == ("active", {"data": "image.data"})
    assert store.original(uuid).read_bytes() == BYTES


def test_bytes_of_which_the_row_knows_nothing_are_not_trusted(database, appliance, store):
    """A crash between the file and the row that names its checksums."""
    uuid = create(database, Status.SAVING, is_declared=True)
    store.folder(uuid).mkdir(parents=True)
    store.original(uuid).write_bytes(BYTES)
    restarted(appliance)
    assert (row(database).status, store.folder(uuid).exists()) == ("queued", False)
