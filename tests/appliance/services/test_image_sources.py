"""Images that deploys fetch: once for all who name the same, verified, and dropped when no node has them."""

from datetime import timedelta

import pytest
from sqlalchemy import select, text

from appliance.domain.errors import Conflict, Invalid, StorageFull
from appliance.models import flow
from appliance.models.event import Event
from appliance.models.flow import Flow
from appliance.models.image import Image
from appliance.models.image_source import ImageSource
from appliance.models.node import Node
from appliance.services import image_claims, image_recovery, image_sources, images, instance_secrets, nodes
from appliance.services.image_faults import ChecksumDiffers
from appliance.services.image_sources import Order
from tests.fakes.mirror import BYTES, CANARY, DIGEST, SOURCE, SUMS, URL, Mirror
from tests.fakes.rack import vault, wish

ASKED = SOURCE.open_part()
CHECKSUM = ("sha256", DIGEST)
SECOND = timedelta(seconds=1)


class Field:
    """Node `n1`, its work `mine`, and a mirror to fetch from."""

    def __init__(self, database, clock, root):
        self.database, self.clock, self.mirror = database, clock, Mirror(root)
        self.sources = self.mirror.sources(database, clock)
        self.node = self.add_node("n1")
        self.mine = self.begin(self.node)

    def add_node(self, name, **columns):
        with self.database.write() as session:
            made = nodes.create(session, vault(), wish(name, driver="manual", macs=[]), actor="ann", now=self.clock())
            for column, value in columns.items():
                setattr(made, column, value)
            instance_secrets.keep(vault(), made, {"source": SOURCE.hidden_part()})
            session.flush()
            session.refresh(made)
            return made

    def begin(self, node=None):
        node = node or self.add_node("n2")
        with self.database.write() as session:
            return flow.enqueue(session, kind="deploy", node_id=node.id, data={}, now=self.clock()).uuid

    def end(self, uuid):
        with self.database.write() as session:
            session.scalars(select(Flow).where(Flow.uuid == uuid)).one().status = "failed"

    def claim(self, flow_uuid="", *, since=None, checksum=CHECKSUM, **asked):
        with self.database.write() as session:
            found = image_claims.claim(
                session, ASKED | asked, checksum, flow_uuid=flow_uuid or self.mine, since=since or self.clock(),
                now=self.clock(),
            )  # fmt: skip
            session.flush()
            if found.ready is not None:
                session.refresh(found.ready)
            return found

    def bring(self, uuid, **more):
        given = {
            "checksum": CHECKSUM, "attempt": "1-0", "within_s": 60.0, "step": "fetch_image", "check": lambda: None,
            "flow_uuid": self.mine,
        }  # fmt: skip
        self.sources.bring(self.node, Order(image_uuid=uuid, **given | more))

    def fetched(self):
        uuid = self.claim().fetch
        self.bring(uuid)
        return uuid

    def image(self, uuid):
        with self.database.read() as session:
            return session.scalar(select(Image).where(Image.uuid == uuid))


@pytest.fixture
def field(database, clock, tmp_path):
    return Field(database, clock, tmp_path / "images")


@pytest.fixture
def fetched(field):
    """The UUID of the image, fetched."""
    return field.fetched()


def test_one_fetches_and_all_others_wait_and_share_it(field):
    other = field.begin()
    uuid = field.claim().fetch
    assert field.claim().fetch == uuid, "a second look, after a crash, finds the same work"
    assert "another deploy fetches" in field.claim(other).busy
    field.bring(uuid)
    assert [field.claim(who).ready.uuid for who in (field.mine, other, "later")] == [uuid] * 3
    assert field.mirror.asked == [URL]
    row = field.image(uuid)
    assert (row.status, row.sha256, row.visibility, row.is_hidden, row.owner) == (
        "active", DIGEST, "private", True, None
    )  # fmt: skip
    assert field.mirror.store(field.database, field.clock).original(uuid).read_bytes() == BYTES


@pytest.mark.parametrize(
    ("asked", "checksum"),
    [
        ({"address": "0" * 64}, CHECKSUM),
        ({"disk_format": "qcow2"}, CHECKSUM),
        ({}, ("sha256", "0" * 64)),
        ({}, ("sha512", DIGEST)),
    ],
)
def test_another_address_checksum_or_format_is_another_image(field, fetched, asked, checksum):
    found = field.claim(**asked, checksum=checksum)
    assert found.fetch not in ("", fetched)


def test_one_server_does_not_take_all_places(field):
    """Its images come two at a time; those from others go past."""
    works = [field.begin(field.add_node(f"m{number}")) for number in range(4)]
    first, second = (field.claim(works[number], address=f"{number}" * 64).fetch for number in range(2))
    third = {"flow_uuid": works[2], "address": "2" * 64}
    busy = field.claim(**third).busy
    assert busy == "2 other images come from mirror.example.com, which is asked for no more at once"
    assert field.claim(works[0], address="0" * 64).fetch == first, "who has a place keeps it"
    assert "another deploy fetches" in field.claim(works[2], address="0" * 64).busy
    assert field.claim(works[3], address="3" * 64, shown="https://other.example.com/x").fetch
    field.end(works[1])
    assert field.claim(**third).fetch not in ("", first, second)


def test_what_could_not_be_had_fails_those_who_waited_and_is_tried_anew_by_later_ones(field):
    other = field.begin()
    began = field.clock()
    first = field.claim().fetch
    field.clock.advance(5)
    field.sources.give_up(first, "no such file")
    assert field.claim(other, since=began).broken == "no such file"
    field.clock.advance(5)
    again = field.claim(other).fetch
    assert again not in ("", first)
    assert field.image(first) is None


def test_work_that_ended_without_it_is_followed_by_another_with_files_of_its_own(field):
    other = field.begin()
    first = field.claim().fetch
    field.end(field.mine)
    second = field.claim(other).fetch
    assert second not in ("", first)
    with pytest.raises(Conflict):
        field.bring(first)


def test_an_image_that_somebody_deleted_is_fetched_anew(field, fetched):
    with field.database.write() as session:
        images.delete(session, images.fetch(session, fetched), actor="ann", now=field.clock())
    field.bring(field.claim().fetch)
    assert field.mirror.asked == [URL, URL]


def test_other_bytes_than_promised_are_refused_and_nothing_of_them_is_kept(field):
    field.mirror.files[URL] = BYTES[:-1] + b"!"
    uuid = field.claim().fetch
    with pytest.raises(ChecksumDiffers) as refusal:
        field.bring(uuid)
    assert DIGEST in refusal.value.why
    assert list(field.mirror.root.rglob("*")) == [field.mirror.root / uuid]
    assert field.image(uuid).status == "saving", "whether another try is worth while, the work decides"


def test_what_came_whole_before_a_crash_is_not_fetched_again(field, monkeypatch):
    uuid = field.claim().fetch
    monkeypatch.setattr("appliance.services.image_store.ImageStore._make_ready", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        field.bring(uuid)
    monkeypatch.undo()
    field.bring(uuid, attempt="2-0")
    assert field.image(uuid).status == "active"
    assert field.mirror.asked == [URL]


def test_an_image_that_is_active_is_let_be(field, fetched):
    before = (field.mirror.root / fetched / "stream" / "image.data").stat().st_ino
    field.bring(fetched)
    assert (field.mirror.root / fetched / "stream" / "image.data").stat().st_ino == before


def test_a_recovery_of_the_store_leaves_it_to_the_work(field):
    uuid = field.claim().fetch
    store = field.mirror.store(field.database, field.clock)
    assert image_recovery.recover(store, field.database, vault(), field.clock) == []
    assert field.image(uuid).status == "saving"


def test_an_abort_stops_it_between_two_pieces(field):
    class Aborted(Exception):
        pass

    def check():
        raise Aborted

    uuid = field.claim().fetch
    with pytest.raises(Aborted):
        field.bring(uuid, check=check)
    assert not [path for path in field.mirror.root.rglob("*") if path.is_file()]


def test_time_is_counted_over_all_tries(field):
    uuid = field.claim().fetch
    field.mirror.fault = Conflict("broken")
    for pause_s in (40, 20):
        with pytest.raises(Conflict):
            field.bring(uuid)
        field.clock.advance(pause_s)
    with pytest.raises(Invalid, match="within 60 s"):
        field.bring(uuid)


def test_progress_is_told_in_the_timeline_and_to_those_who_ask(field, monkeypatch):
    seconds = iter(range(0, 10_000, 6))
    field.mirror.monotonic = lambda: float(next(seconds))
    monkeypatch.setattr("images.checksum.CHUNK", 4096)
    told = []
    field.sources = field.mirror.sources(field.database, field.clock)  # with that clock

    def check():
        with field.database.read() as session:
            told.append(image_claims.progress(session, field.mine))

    field.bring(field.claim().fetch, check=check)
    assert "% of 0.1 MiB" in told[3]
    shares = [int(line.partition("%")[0]) for line in told if "%" in line]
    assert shares == sorted(shares)
    with field.database.read() as session:
        mine = (Event.kind == "image.fetch") & (Event.node_id == field.node.id)
        said = session.scalars(select(Event.message).where(mine).order_by(Event.id)).all()
    assert said[0] == "image from https://mirror.example.com/images/debian.raw: 0% of 0.1 MiB"
    assert said[-1].endswith("0.1 MiB are here, and looked at")
    assert 3 <= len(said) <= 5, "ever more seldom"


def test_a_checksum_is_found_in_its_file(field):
    assert field.sources.checksum(field.node, 60.0) == CHECKSUM
    field.mirror.files[SUMS] = b"nothing of use here"
    with pytest.raises(Invalid, match="no line for"):
        field.sources.checksum(field.node, 60.0)


def test_what_opens_an_address_is_in_no_table(field, fetched):
    with field.database.read() as session:
        for table in Node.metadata.sorted_tables:
            for row in session.execute(text(f'SELECT * FROM "{table.name}"')):
                assert CANARY not in "".join(str(value) for value in row), table.name


def test_an_image_stays_as_long_as_a_node_has_it_and_a_day_longer(field, fetched):
    field.end(field.mine)
    owner = field.add_node("has", instance={"image_uuid": fetched})
    field.clock.advance(30 * 86400)
    assert field.sources.sweep() == 0
    with field.database.write() as session:
        session.get(Node, owner.id).instance = None
    field.clock.advance(86400 - 1)
    assert field.sources.sweep() == 0
    field.clock.advance(1)
    assert field.sources.sweep() == 1
    assert field.image(fetched) is None
    assert not (field.mirror.root / fetched).exists()
    with field.database.read() as session:
        assert session.scalars(select(ImageSource)).all() == []


def test_of_images_that_no_node_has_only_some_are_kept(field, monkeypatch):
    monkeypatch.setattr(image_sources, "KEPT_MOST", 2)
    made = []
    for number in range(4):
        uuid = field.claim(address=f"{number}" * 64).fetch
        field.bring(uuid)
        made.append(uuid)
        field.clock.advance(1)
    assert field.sources.sweep() == 2
    assert [field.image(uuid) is not None for uuid in made] == [False, False, True, True]


def test_what_a_dead_fetch_left_and_old_failures_go_and_running_ones_stay(field):
    uuid = field.claim().fetch
    (field.mirror.root / uuid).mkdir(parents=True)
    assert field.sources.sweep() == 0
    field.end(field.mine)
    assert field.sources.sweep() == 1
    assert not (field.mirror.root / uuid).exists()
    other = field.begin()
    field.sources.give_up(field.claim(other).fetch, "no such file")
    assert field.sources.sweep() == 0
    field.clock.advance(3601)
    assert field.sources.sweep() == 1


def test_images_of_the_operators_are_none_of_its_business(field):
    with field.database.write() as session:
        images.create(session, name="debian", sha256=None, properties={}, actor="ann", now=field.clock())
    field.clock.advance(86400 * 365)
    assert field.sources.sweep(unused_for=timedelta(0)) == 0


def test_a_full_disk_is_made_room_on_at_once(field, fetched):
    field.mirror.fault = StorageFull()
    uuid = field.claim(address="1" * 64).fetch
    with pytest.raises(StorageFull):
        field.bring(uuid)
    assert field.image(fetched) is None
    assert field.image(uuid) is not None
