"""Images that deploys fetch: each address with its checksum once, whoever names it, and for as long as it is used.

The image is a row as others, of nobody (no project sees it) and hidden; a row of ImageSource says what it was fetched
for. `claim` decides, in the transaction of a flow's step, who fetches; `ImageSources` does it. What no node has is
dropped KEPT_FOR after its last use, at once when the disk is full, and beyond KEPT_MOST.
"""

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.domain.clock import Clock
from appliance.domain.errors import Conflict, Invalid, RackwrightError, StorageFull, TooLarge
from appliance.domain.images import Status, Visibility
from appliance.models import event
from appliance.models.columns import new_uuid
from appliance.models.database import Database
from appliance.models.flow import IS_ACTIVE, Flow
from appliance.models.image import Image
from appliance.models.image_source import ImageSource
from appliance.models.node import Node
from appliance.services import image_address, instance_secrets
from appliance.services.image_address import MAX_FILE, Checksum
from appliance.services.image_store import ImageStore
from appliance.services.vault import Vault

KEPT_FOR = timedelta(hours=24)
KEPT_MOST = 20
"""Images that no node has."""
HOST_MOST = 2
"""Images that come from one server at once: one place is left for those from others."""
FORGET_FAILED = timedelta(hours=1)
CHECK_S, NOTE_S, EVENT_S = 1.0, 5.0, 10.0
"""Seconds at least between two looks whether the work is still wanted, two notes of progress, the first two events."""
STEP = "fetch_image"
"""The step of a flow that fetches."""
HOLDER = "a deploy"
"""As Image.holder: its bytes are the business of a flow, which goes on after a crash."""


class Bytes(Protocol):
    @property
    def size_bytes(self) -> int | None: ...

    def read(self, size: int = -1, /) -> bytes: ...


Opener = Callable[[str, float], AbstractContextManager[Bytes]]
"""(URL, seconds that it may take). Raises Unavailable for what may pass, ImageRefused for the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One of these is there. ready: the image. fetch: UUID of the image that this work is to fetch.

    busy: other work fetches it, and how far it is. broken: why it cannot be had.
    """

    ready: Image | None = None
    fetch: str = ""
    busy: str = ""
    broken: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What one run of a flow's step is to fetch. check: raises when the work is not wanted or not ours any more."""

    image_uuid: str
    checksum: Checksum
    attempt: str
    within_s: float
    flow_uuid: str
    step: str
    check: Callable[[], None] = field(repr=False)


def claim(
    session: Session, asked: Mapping[str, Any], checksum: Checksum, *, flow_uuid: str, since: datetime, now: datetime
) -> Claim:
    """asked: Source.open_part(). since: when this work began to ask: what failed later has failed for it too."""
    text = f"{asked['address']} {checksum[0]}:{checksum[1]} {asked['disk_format']}"
    key = hashlib.sha256(text.encode()).hexdigest()
    row = session.scalar(select(ImageSource).where(ImageSource.key == key).with_for_update())
    image = session.scalar(select(Image).where(Image.uuid == row.image_uuid)) if row is not None else None
    if row is not None and image is not None and (found := _of_others(session, row, image, flow_uuid, since, now)):
        return found
    if crowd := _crowd(session, asked["shown"]):
        return Claim(busy=crowd)
    if image is not None:
        session.delete(image)
    return _take(session, row, key, asked, flow_uuid=flow_uuid, now=now)


def _of_others(  # noqa: PLR0917  (what `claim` was given)
    session: Session, row: ImageSource, image: Image, flow_uuid: str, since: datetime, now: datetime
) -> Claim | None:
    """What an image says that is there already; None: nothing any more."""
    if image.status in (Status.ACTIVE, Status.DEACTIVATED):
        row.used_at = now
        return Claim(ready=image)
    if image.status == Status.SAVING and row.flow_uuid == flow_uuid:
        return Claim(fetch=image.uuid)
    if image.status == Status.SAVING and _is_active(session, row.flow_uuid):
        return Claim(busy=f"another deploy fetches the image ({_how_far(row)})")
    if image.status == Status.KILLED and image.updated_at >= since:
        return Claim(broken=image.problem or "it could not be fetched")
    return None


def _crowd(session: Session, shown: str) -> str:
    """Which other images have to come before this one, since they come from the same server; empty: none."""
    coming = session.scalars(
        select(ImageSource.address)
        .join(Image, Image.uuid == ImageSource.image_uuid)
        .join(Flow, Flow.uuid == ImageSource.flow_uuid)
        .where(Image.status == Status.SAVING, IS_ACTIVE)
    )
    host = _host(shown)
    count = sum(_host(address) == host for address in coming)
    return f"{count} other images come from {host}, which is asked for no more at once" if count >= HOST_MOST else ""


def _host(shown: str) -> str:
    return urlsplit(shown).hostname or "there"


def _take(
    session: Session, row: ImageSource | None, key: str, asked: Mapping[str, Any], *, flow_uuid: str, now: datetime
) -> Claim:
    """A new image, so that whoever still writes into the old one's files harms nobody."""
    uuid = new_uuid()
    if row is None:
        row = ImageSource(key=key)
        session.add(row)
    row.image_uuid, row.flow_uuid, row.address = uuid, flow_uuid, asked["shown"]
    row.done_bytes, row.total_bytes, row.begun_at, row.used_at = 0, None, None, now
    image = Image(
        uuid=uuid, status=Status.SAVING, holder=HOLDER, visibility=Visibility.PRIVATE, is_hidden=True,
        disk_format=asked["disk_format"], container_format="bare" if asked["disk_format"] else None,
        properties={"address": asked["shown"]}, created_at=now, updated_at=now,
    )  # fmt: skip
    session.add(image)
    session.flush()
    return Claim(fetch=uuid)


def _is_active(session: Session, flow_uuid: str) -> bool:
    return session.scalar(select(Flow.id).where(Flow.uuid == flow_uuid, IS_ACTIVE)) is not None


def progress(session: Session, flow_uuid: str) -> str:
    """How far the fetch of this work is, for people; empty when it fetches nothing."""
    row = session.scalar(select(ImageSource).where(ImageSource.flow_uuid == flow_uuid))
    return "" if row is None or row.begun_at is None else _how_far(row)


def _how_far(row: ImageSource) -> str:
    if row.total_bytes and row.done_bytes >= row.total_bytes:
        return f"{_mib(row.done_bytes)} are here, and looked at"
    if row.total_bytes:
        return f"{100 * row.done_bytes // row.total_bytes}% of {_mib(row.total_bytes)}"
    return f"{_mib(row.done_bytes)} so far"


def _mib(size: int) -> str:
    return f"{size / (1 << 20):.1f} MiB"


class ImageSources:
    """One per process. Calls block."""

    def __init__(
        self, database: Database, vault: Vault, store: ImageStore, *, opened: Opener, clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._database, self._vault, self._store, self._opened = database, vault, store, opened
        self._clock, self._monotonic = clock, monotonic

    def checksum(self, node: Node, within_s: float) -> Checksum:
        """The one in the file that the node's wish names. Raises Invalid, Unavailable."""
        wish = self._wish(node)
        found = bytearray()
        with self._opened(str(wish["checksum"]), within_s) as source:
            while part := source.read(65536):
                found += part
                if len(found) > MAX_FILE:
                    raise TooLarge(f"the file of checksums has more than {MAX_FILE} bytes")
        return image_address.in_file(found.decode("utf-8", "replace"), str(wish["url"]))

    def _wish(self, node: Node) -> dict[str, Any]:
        found = instance_secrets.read(self._vault, node).get("source")
        if not isinstance(found, dict):
            raise Conflict("where the image lies is not known any more", next_step="deploy anew")
        return found

    def bring(self, node: Node, order: Order) -> None:
        """Fetch, verify, look at, pack: then the image is active. Repeating it goes on, or starts over.

        Raises what is in the way, and whatever `order.check` raises.
        """
        url, left_s = str(self._wish(node)["url"]), self._begin(order)
        if left_s <= 0:
            raise Invalid(f"the image was not here within {order.within_s:.0f} s")

        @contextlib.contextmanager
        def opened() -> Iterator[Bytes]:
            with self._opened(url, left_s) as source:
                yield _Watched(source, self, node.id, order)

        try:
            self._store.bring(order.image_uuid, opened, promises=[order.checksum], attempt=order.attempt)
        except StorageFull:
            self.sweep(unused_for=timedelta(0))
            raise

    def _begin(self, order: Order) -> float:
        """Seconds that are left to it, over all tries."""
        now = self._clock()
        with self._database.write() as session:
            row = self._row(session, order)
            row.begun_at = row.begun_at or now
            row.done_bytes = 0
            return order.within_s - (now - row.begun_at).total_seconds()

    def _row(self, session: Session, order: Order) -> ImageSource:
        row = session.scalar(select(ImageSource).where(ImageSource.image_uuid == order.image_uuid).with_for_update())
        if row is None:
            raise Conflict("the image was deleted while it was fetched", next_step="deploy anew")
        return row

    def note(self, node_id: int, order: Order, *, done: int, total: int | None, is_event: bool) -> None:
        """Progress, for `why` and for those who wait; now and then also for the node's timeline."""
        with self._database.write() as session:
            row = self._row(session, order)
            row.done_bytes, row.total_bytes = done, total
            if is_event:
                event.record(
                    session, at=self._clock(), kind="image.fetch", actor="engine", node_id=node_id,
                    message=f"image from {row.address}: {_how_far(row)}",
                    data={"flow": order.flow_uuid, "step": order.step, "done": done, "total": total},
                )  # fmt: skip

    def monotonic(self) -> float:
        return self._monotonic()

    def give_up(self, uuid: str, problem: str) -> None:
        """Nobody tries again: those who wait for it fail with the same reason."""
        self._store.drop_bytes(uuid)
        now = self._clock()
        with self._database.write() as session:
            row = session.scalar(select(Image).where(Image.uuid == uuid).with_for_update())
            if row is not None and row.status == Status.SAVING:
                row.status, row.problem, row.holder, row.updated_at = Status.KILLED, problem, None, now

    def sweep(self, *, unused_for: timedelta = KEPT_FOR) -> int:
        """Drop what nobody needs, and the bytes of what is gone. Returns how many images."""
        now = self._clock()
        with self._database.write() as session:
            gone = [row.image_uuid for row in _unneeded(session, now=now, unused_for=unused_for)]
            for uuid in gone:
                for found in session.scalars(select(Image).where(Image.uuid == uuid)):
                    session.delete(found)
                for source in session.scalars(select(ImageSource).where(ImageSource.image_uuid == uuid)):
                    session.delete(source)
        for uuid in gone:
            self._store.forget(uuid)
        self._store.remove_unknown()
        return len(gone)


def _unneeded(session: Session, *, now: datetime, unused_for: timedelta) -> Sequence[ImageSource]:
    found: Sequence[tuple[ImageSource, Image | None]] = [
        (row, image)
        for row, image in session.execute(
            select(ImageSource, Image)
            .outerjoin(Image, Image.uuid == ImageSource.image_uuid)
            .order_by(ImageSource.used_at.desc(), ImageSource.key)
        )
    ]
    had = _had(session) if found else set()
    gone, spare = [], 0
    for row, image in found:
        if image is not None and image.uuid in had:
            row.used_at = now
        elif image is None or _is_dead(session, row, image, now):
            gone.append(row)
        elif image.status in (Status.ACTIVE, Status.DEACTIVATED) and not image.is_protected:
            spare += 1
            if now - row.used_at >= unused_for or spare > KEPT_MOST:
                gone.append(row)
    return gone


def _is_dead(session: Session, row: ImageSource, image: Image, now: datetime) -> bool:
    """Nobody fetches it any more, or it could not be fetched and all who waited for it know."""
    if image.status == Status.KILLED:
        return now - image.updated_at > FORGET_FAILED
    return image.status == Status.SAVING and not _is_active(session, row.flow_uuid)


def _had(session: Session) -> set[str]:
    """UUIDs of the images that nodes have."""
    return {uuid for uuid in session.scalars(select(Node.instance["image_uuid"].as_string()).distinct()) if uuid}


class _Watched:
    """Bytes on their way: now and then it is asked whether they are wanted, and said how many there are."""

    def __init__(self, source: Bytes, sources: ImageSources, node_id: int, order: Order) -> None:
        self._source, self._sources, self._node_id, self._order = source, sources, node_id, order
        self._done, now = 0, sources.monotonic()
        self._checked = self._noted = now
        self._say_at, self._pause_s = now + EVENT_S, EVENT_S
        sources.note(node_id, order, done=0, total=source.size_bytes, is_event=True)

    @property
    def size_bytes(self) -> int | None:
        return self._source.size_bytes

    def read(self, size: int = -1, /) -> bytes:
        data = self._source.read(size)
        self._done += len(data)
        now = self._sources.monotonic()
        if not data or now - self._checked >= CHECK_S:
            self._order.check()
            self._checked = now
        if not data or now - self._noted >= NOTE_S:
            self._note(now, is_end=not data)
        return data

    def _note(self, now: float, *, is_end: bool) -> None:
        total = self._done if is_end else self._source.size_bytes
        is_event = is_end or now >= self._say_at
        if is_event:  # a long fetch is told of ever more seldom
            self._pause_s *= 2
            self._say_at = now + self._pause_s
        self._noted = now
        self._sources.note(self._node_id, self._order, done=self._done, total=total, is_event=is_event)


def problem_of(fault: RackwrightError) -> str:
    """The reason of a failed fetch, for people."""
    said = ": ".join(text for text in (fault.message, fault.why) if text)
    return f"The image could not be fetched: {said.rstrip('.')}."
