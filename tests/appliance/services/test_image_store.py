"""The bytes of images: what comes in whole, what breaks off, and what a restart finds."""

import hashlib
import io
import itertools
import threading
from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import select
from werkzeug.exceptions import ClientDisconnected

from appliance.domain.errors import Conflict, Invalid, RackwrightError, Unavailable
from appliance.models.event import Event
from appliance.models.image import Image, ImageFetch
from appliance.services import image_store, images
from appliance.services.image_fetches import Address
from appliance.services.image_store import ImageRefused, ImageStore
from tests.fakes.appliance import Appliance
from tests.fakes.rack import NOW, vault

BYTES = b"image bytes" * 1000
URL = "https://example.org/x?signature=canary"


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


def pass_time(appliance, seconds):
    appliance.now += timedelta(seconds=seconds)


def fetching(appliance, answer, promises=()):
    """answer: bytes, or what is raised; or several of them, one for each time."""
    answers = iter(answer if isinstance(answer, list) else itertools.repeat(answer))

    @contextmanager
    def fetch(url, within_s):
        store.asked.append((url, within_s))
        found = next(answers)
        if isinstance(found, Exception):
            raise found
        yield found if hasattr(found, "read") else io.BytesIO(found)

    store = ImageStore(
        appliance.images._root, database=appliance.database, vault=vault(), pack=appliance._pack, fetch=fetch,
        clock=appliance.clock, pause=lambda seconds: pass_time(appliance, seconds),
    )  # fmt: skip
    store.asked = []
    uuid = create(appliance.database, holder="")
    with appliance.database.write() as session:
        store.expect_from(session, images.fetch(session, uuid), Address(url=URL, promises=promises))
    return store, uuid


def fetches(database):
    with database.read() as session:
        return list(session.scalars(select(ImageFetch)))


def test_an_image_is_fetched(appliance):
    store, uuid = fetching(appliance, BYTES)
    assert b"canary" not in fetches(appliance.database)[0].sealed
    store.fetch(uuid)
    assert row(appliance.database).status == "active"
    assert store.asked == [(URL, 6 * 3600)]
    assert fetches(appliance.database) == [], "an address is kept no longer than it is needed"


def test_what_may_pass_is_tried_three_times_within_one_limit_of_time(appliance):
    store, uuid = fetching(appliance, Unavailable("the download broke off"))
    store.fetch(uuid)
    assert [left for _, left in store.asked] == [21600, 21595, 21590]
    assert row(appliance.database).problem == "the download broke off"
    assert fetches(appliance.database) == []


def test_a_download_that_is_begun_anew_has_nothing_of_the_first(appliance):
    store, uuid = fetching(appliance, [Breaking(Unavailable("the file is another one by now")), BYTES[::-1]])
    store.fetch(uuid)
    assert row(appliance.database).sha256 == hashlib.sha256(BYTES[::-1]).hexdigest()
    assert store.original(uuid).read_bytes() == BYTES[::-1]


def test_time_that_is_over_is_over_for_the_next_try_too(appliance):
    store, uuid = fetching(appliance, Unavailable("the download broke off"))
    store._pause = lambda _seconds: pass_time(appliance, 6 * 3600)
    store.fetch(uuid)
    assert len(store.asked) == 1
    assert row(appliance.database).problem.startswith("the download took too long")


@pytest.mark.parametrize(("promised", "status"), [(hashlib.md5(BYTES).hexdigest(), "active"), ("0" * 32, "killed")])
def test_what_the_bytes_must_be_is_kept_with_the_address(appliance, promised, status):
    store, uuid = fetching(appliance, BYTES, promises=[("md5", promised)])
    store.fetch(uuid)
    assert row(appliance.database).status == status
    assert len(store.asked) == 1, "other bytes than promised are no matter of another try"


def test_a_fetch_ends_soon_after_its_image_is_deleted(appliance, monkeypatch):
    monkeypatch.setattr(image_store, "LOOK_S", 0.0)

    class Endless(io.RawIOBase):
        def read(self, _size=-1):
            if (found := row(appliance.database)) is not None:
                with appliance.database.write() as session:
                    images.delete(session, images.fetch(session, found.uuid), actor="ann", now=NOW)
                store.forget(found.uuid)
            return b"x"

    store, uuid = fetching(appliance, Endless())
    store.fetch(uuid)
    assert (store.folder(uuid).exists(), fetches(appliance.database)) == (False, [])


def test_an_image_that_was_deleted_while_it_waited_is_not_fetched(appliance):
    store, uuid = fetching(appliance, BYTES)
    with appliance.database.write() as session:
        images.delete(session, images.fetch(session, uuid), actor="ann", now=NOW)
    store.fetch(uuid)
    assert (store.asked, store.folder(uuid).exists()) == ([], False)


@pytest.mark.parametrize("fault", [ImageRefused("address not allowed"), Unavailable("no answer")])
def test_a_fetch_that_fails_is_told_once(appliance, fault):
    store, uuid = fetching(appliance, fault)
    store.fetch(uuid)
    assert (row(appliance.database).status, row(appliance.database).problem) == ("killed", str(fault))
    with appliance.database.read() as session:
        assert len(session.scalars(select(Event).where(Event.kind == "image.killed")).all()) == 1


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


def declared(database, status="queued"):
    """An image for which somebody named a format: it waits for bytes again when they fail."""
    uuid = create(database)
    with database.write() as session:
        made = session.scalar(select(Image).where(Image.uuid == uuid))
        made.disk_format, made.container_format, made.status = "raw", "bare", status
        made.holder = None if status == "queued" else ""
    return uuid


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
