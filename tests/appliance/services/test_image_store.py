"""The bytes of images: what comes in whole, what breaks off, and what a restart finds."""

import io
import threading
from contextlib import contextmanager

import pytest
from sqlalchemy import select
from werkzeug.exceptions import ClientDisconnected

from appliance.domain.errors import Conflict, Invalid, RackwrightError, Unavailable
from appliance.domain.images import Status
from appliance.models.event import Event
from appliance.models.image import Image
from appliance.services import images
from appliance.services.image_store import ImageRefused, ImageStore
from tests.fakes.appliance import Appliance
from tests.fakes.rack import NOW, vault

BYTES = b"image bytes" * 1000


@pytest.fixture
def appliance(database, tmp_path):
    made = Appliance(database, tmp_path)
    yield made
    made.close()


@pytest.fixture
def store(appliance):
    return appliance.images


@pytest.fixture
def uuid(database):
    return create(database)


def create(database, name="debian", **more):
    with database.write() as session:
        given = {"sha256": None, "properties": {}, "actor": "ann", "now": NOW} | more
        return images.create(session, name=name, **given).uuid


def row(database, name="debian"):
    with database.read() as session:
        return session.scalar(select(Image).where(Image.name == name))


class Breaking(io.BytesIO):
    """A client that goes away after the first bytes, as the HTTP server tells it."""

    def __init__(self, fault):
        super().__init__(BYTES)
        self._fault = fault

    def read(self, size=-1):
        return super().read(100) if self.tell() < 300 else self._leave()

    def _leave(self):
        raise self._fault


def test_an_image_comes_in_is_packed_and_served(database, store, uuid):
    store.receive(uuid, io.BytesIO(BYTES), size=len(BYTES))
    assert row(database).status == "saving"
    store.make_ready(uuid)
    assert (row(database).status, row(database).disk_format) == ("active", "raw")
    token = store.token(uuid, until=NOW.timestamp() + 60)
    assert store.served_file(f"/image/{uuid}/image.data", token).read_bytes() == BYTES


@pytest.mark.parametrize("fault", [ClientDisconnected(), ConnectionResetError(), Unavailable("gone"), ValueError("x")])
def test_an_upload_that_breaks_off_leaves_a_named_state_and_no_bytes(database, store, uuid, fault):
    with pytest.raises((type(fault), RackwrightError)):
        store.receive(uuid, Breaking(fault), size=len(BYTES))
    assert row(database).status == "killed"
    assert row(database).problem
    assert not store.folder(uuid).exists()


@pytest.mark.parametrize("size", [len(BYTES) - 1, len(BYTES) + 1])
def test_a_size_that_differs_is_refused(database, store, uuid, size):
    with pytest.raises(Invalid):
        store.receive(uuid, io.BytesIO(BYTES), size=size)
    assert row(database).status == "killed"


def test_another_checksum_is_refused_and_says_both(database, store, uuid):
    with pytest.raises(ImageRefused) as refusal:
        store.receive(uuid, io.BytesIO(BYTES), size=None, promises=[("sha256", "0" * 64)])
    assert "0" * 64 in refusal.value.why
    assert row(database).status == "killed"


def test_of_two_uploads_to_one_image_the_second_is_refused_and_harms_nothing(database, store, uuid):
    going, leave = threading.Event(), threading.Event()

    class Slow(io.BytesIO):
        def read(self, size=-1):
            going.set()
            leave.wait(30)
            return super().read(size)

    first = threading.Thread(target=lambda: store.receive(uuid, Slow(BYTES), size=len(BYTES)))
    first.start()
    assert going.wait(30)
    with pytest.raises(Conflict) as refusal:
        store.receive(uuid, io.BytesIO(b"other"), size=5)
    assert "delete" in refusal.value.next_step
    leave.set()
    first.join(30)
    store.make_ready(uuid)
    assert (row(database).status, row(database).size_bytes) == ("active", len(BYTES))


def test_an_image_that_is_deleted_while_it_comes_in_leaves_nothing(database, store, uuid):
    class Deleting(io.BytesIO):
        def read(self, size=-1):
            if (found := row(database)) is not None:
                with database.write() as session:
                    images.delete(session, images.fetch(session, found.uuid), actor="ann", now=NOW)
                store.forget(found.uuid)
            return super().read(size)

    with pytest.raises(Conflict):
        store.receive(uuid, Deleting(BYTES), size=len(BYTES))
    assert (row(database), store.folder(uuid).exists()) == (None, False)


def test_an_image_that_is_deleted_while_it_is_packed_leaves_nothing(database, appliance, store, uuid):
    store.receive(uuid, io.BytesIO(BYTES), size=None)
    pack = store._pack

    def delete_then_pack(source, into, **about):
        with database.write() as session:
            images.delete(session, images.fetch(session, uuid), actor="ann", now=NOW)
        return pack(source, into, **about)

    store._pack = delete_then_pack
    store.make_ready(uuid)
    assert (row(database), store.folder(uuid).exists()) == (None, False)


def test_a_packer_that_fails_in_its_own_way_kills_the_image(database, store, uuid):
    store.receive(uuid, io.BytesIO(BYTES), size=None)

    def broken(_source, _into, *, sha256, **_about):
        raise ValueError(sha256)

    store._pack = broken
    with pytest.raises(ValueError):
        store.make_ready(uuid)
    assert row(database).status == "killed"


# Fetched from outside ---------------------------------------------------------------------------------------------


def fetching(appliance, answer):
    @contextmanager
    def fetch(_url):
        if isinstance(answer, Exception):
            raise answer
        yield io.BytesIO(answer)

    store = ImageStore(
        appliance.images._root, database=appliance.database, vault=vault(), pack=appliance._pack, fetch=fetch,
        clock=appliance.clock,
    )  # fmt: skip
    uuid = create(appliance.database, holder="")
    store.expect(uuid)
    return store, uuid


def test_an_image_is_fetched(appliance):
    store, uuid = fetching(appliance, BYTES)
    store.fetch(uuid, "https://example.org/x")
    assert row(appliance.database).status == "active"


@pytest.mark.parametrize("fault", [ImageRefused("address not allowed"), Unavailable("no answer")])
def test_a_fetch_that_fails_is_told_once(appliance, fault):
    store, uuid = fetching(appliance, fault)
    store.fetch(uuid, "https://example.org/x")
    assert (row(appliance.database).status, row(appliance.database).problem) == ("killed", str(fault))
    with appliance.database.read() as session:
        assert len(session.scalars(select(Event).where(Event.kind == "image.killed")).all()) == 1


# Restarts ---------------------------------------------------------------------------------------------------------


def restarted(appliance):
    store = ImageStore(
        appliance.images._root, database=appliance.database, vault=vault(), pack=appliance._pack, fetch=None,
        clock=appliance.clock,
    )  # fmt: skip
    store.recover()
    return store


def test_a_restart_packs_what_was_complete(database, appliance, store, uuid):
    store.receive(uuid, io.BytesIO(BYTES), size=None)
    restarted(appliance)
    assert row(database).status == "active"


def test_a_restart_kills_a_fetch_that_had_not_begun(database, appliance):
    create(database, holder="")
    restarted(appliance)
    assert row(database).status == "killed"


def test_a_restart_leaves_an_image_that_waits_for_its_upload(database, appliance, uuid):
    restarted(appliance)
    assert row(database).status == "queued"


def test_recovery_does_not_touch_what_comes_in_right_now(database, store, uuid):
    """The doors are open before it runs."""

    class Recovering(io.BytesIO):
        def read(self, size=-1):
            store.recover()
            return super().read(size)

    store.receive(uuid, Recovering(BYTES), size=len(BYTES))
    assert row(database).status == "saving"


def test_a_restart_removes_bytes_that_no_image_owns(appliance, store):
    orphan = store.folder("a1234567-89ab-cdef-a123-4567890abc01")
    orphan.mkdir(parents=True)
    restarted(appliance)
    assert not orphan.exists()


# Tokens -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/image/{u}/..", "/image/{u}/.", "/image/{u}/", "/image/other/image.data", "/image/{u}/a/b", "image", "",
             "/image/{u}/image.data\x00", "/image/{u}/../upload"],
)  # fmt: skip
def test_a_token_opens_files_of_its_image_and_nothing_else(store, uuid, path):
    store.receive(uuid, io.BytesIO(BYTES), size=None)
    store.make_ready(uuid)
    token = store.token(uuid, until=NOW.timestamp() + 60)
    assert store.served_file(path.format(u=uuid), token) is None


@pytest.mark.parametrize(
    "change", [lambda t: "", lambda t: t[:-2], lambda t: "A" + t[1:], lambda t: t * 20, lambda t: "é"]
)
def test_a_forged_token_opens_nothing(store, uuid, change):
    store.receive(uuid, io.BytesIO(BYTES), size=None)
    store.make_ready(uuid)
    token = store.token(uuid, until=NOW.timestamp() + 60)
    changed = change(token)
    if changed != token:
        assert store.served_file(f"/image/{uuid}/image.data", changed) is None


def test_a_token_ends(store, uuid):
    store.receive(uuid, io.BytesIO(BYTES), size=None)
    store.make_ready(uuid)
    assert store.served_file(f"/image/{uuid}/image.data", store.token(uuid, until=NOW.timestamp() - 1)) is None


def test_a_restart_does_not_touch_what_another_appliance_has_in_hand(database, appliance):
    uuid = create(database, holder="another")
    restarted(appliance)
    assert row(database).status == "saving"
    with database.write() as session:
        session.get(Image, row(database).id).holder = ""
    restarted(appliance)
    assert (row(database).status, uuid) == ("killed", row(database).uuid)


def declared(database, status="queued"):
    """An image for which somebody named a format: it waits for bytes again when they fail."""
    uuid = create(database)
    with database.write() as session:
        made = session.scalar(select(Image).where(Image.uuid == uuid))
        made.disk_format, made.container_format, made.status = "raw", "bare", status
        made.holder = None if status == "queued" else ""
    return uuid


def test_staged_bytes_outlive_a_restart_and_half_of_them_do_not(database, appliance, store):
    uuid = declared(database)
    store.receive(uuid, io.BytesIO(BYTES), size=None, status=Status.UPLOADING)
    assert store.original(uuid).read_bytes() == BYTES
    restarted(appliance)
    assert row(database).status == "uploading"
    store.original(uuid).unlink()
    restarted(appliance)
    assert (row(database).status, row(database).sha512, row(database).size_bytes) == ("queued", None, None)


def test_an_import_that_a_crash_cut_off_is_finished_or_can_be_repeated(database, appliance, store):
    uuid = declared(database)
    store.receive(uuid, io.BytesIO(BYTES), size=None, status=Status.UPLOADING)
    with database.write() as session:
        session.scalar(select(Image).where(Image.uuid == uuid)).status = "importing"
    restarted(appliance)
    assert (row(database).status, row(database).stream) == ("active", {"data": "image.data"})
    assert store.original(uuid).read_bytes() == BYTES


def test_an_upload_that_breaks_off_can_be_sent_again(database, store):
    uuid = declared(database)
    with pytest.raises(ConnectionResetError):
        store.receive(uuid, Breaking(ConnectionResetError()), size=len(BYTES))
    assert (row(database).status, row(database).problem) == ("queued", "the upload broke off; send it again")
    store.receive(uuid, io.BytesIO(BYTES), size=len(BYTES))
    assert store.make_ready(uuid) == ""
    assert (row(database).problem, row(database).holder) == (None, None)


def test_the_schema_of_an_image_outlives_a_failed_upload(database, store):
    uuid = declared(database)
    store.keep_schema(uuid, {"type": "object"})
    with pytest.raises(ConnectionResetError):
        store.receive(uuid, Breaking(ConnectionResetError()), size=len(BYTES))
    assert store.schema(uuid) == {"type": "object"}


def test_bytes_of_which_the_row_knows_nothing_are_not_trusted(database, appliance, store):
    """A crash between the file and the row that names its checksums."""
    uuid = declared(database, status="saving")
    store.folder(uuid).mkdir(parents=True)
    store.original(uuid).write_bytes(BYTES)
    restarted(appliance)
    assert (row(database).status, store.folder(uuid).exists()) == ("queued", False)
