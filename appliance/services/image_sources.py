"""Images that deploys fetch: each address with its checksum once, whoever names it, and for as long as it is used.

services.image_claims decides who fetches; `ImageSources` does it. What no node has is dropped KEPT_FOR after its last
use, at once when the disk is full, and beyond KEPT_MOST.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.domain.clock import Clock
from appliance.domain.errors import Conflict, Invalid, RackwrightError, StorageFull, TooLarge
from appliance.domain.images import Status
from appliance.models import event
from appliance.models.database import Database
from appliance.models.image import Image
from appliance.models.image_source import ImageSource
from appliance.models.node import Node
from appliance.services import image_address, instance_secrets
from appliance.services.image_address import MAX_FILE, Checksum
from appliance.services.image_claims import how_far, is_active
from appliance.services.image_store import ImageStore
from appliance.services.vault import Vault

KEPT_FOR = timedelta(hours=24)
KEPT_MOST = 20
"""Images that no node has."""
FORGET_FAILED = timedelta(hours=1)
CHECK_S, NOTE_S, EVENT_S = 1.0, 5.0, 10.0
"""Seconds at least between two looks whether the work is still wanted, two notes of progress, the first two events."""


class Bytes(Protocol):
    @property
    def size_bytes(self) -> int | None: ...

    def read(self, size: int = -1, /) -> bytes: ...


Opener = Callable[[str, float], AbstractContextManager[Bytes]]
"""(URL, seconds that it may take). Raises Unavailable for what may pass, ImageRefused for the rest."""


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
                    message=f"image from {row.address}: {how_far(row)}",
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
    return image.status == Status.SAVING and not is_active(session, row.flow_uuid)


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
