"""The bytes of images on their way in: received to a part file, checked, looked at, packed for agents, then active.

Each way ends in a named state: `active`, or where an image rests that has no bytes (domain.images.resting), with the
reason in its row. Restart-safe: image_recovery goes on with, or ends, what a crash of this appliance left between.
"""

import contextlib
import logging
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from appliance.domain.clock import Clock
from appliance.domain.errors import Conflict, RackwrightError, TooLarge, Unavailable
from appliance.domain.images import COMING, MOVES, Status, resting
from appliance.models import event
from appliance.models.database import Database
from appliance.models.image import Image
from appliance.services import image_fetches, image_tasks
from appliance.services.image_faults import ImageRefused, in_our_words
from appliance.services.image_fetches import FETCHED, Address
from appliance.services.image_files import ImageFiles
from appliance.services.vault import Vault
from images import checksum

log = logging.getLogger(__name__)

MAX_UPLOAD = 64 << 30
FETCHES, FETCH_PAUSE_S = 3, 5.0
"""How often a download is begun, at most, and seconds between: what can be gone on with is gone on with meanwhile."""
_NOT_PACKED = "the image could not be packed; the appliance's log has the reason"
LOOK_S = 2.0
"""Seconds at least between two looks whether an image that is fetched is still wanted."""
FetchOpener = Callable[[str, float], contextlib.AbstractContextManager[checksum.Source]]
"""(URL, seconds that it may take). Raises Unavailable for what may pass, ImageRefused for the rest."""
Opener = Callable[[], contextlib.AbstractContextManager[checksum.Source]]
Promises = Sequence[tuple[str, str]]
"""(algorithm, hexadecimal) of checksums that the bytes must have: images.checksum.ALGORITHMS."""


class Packer(Protocol):
    """Looks at a received file and turns it into what agents fetch. Raises ImageRefused with a sentence for people.

    disk_format, container_format: what the uploader called it; None: whatever can be deployed.
    """

    def __call__(
        self, source: Path, into: Path, *, sha256: str, disk_format: str | None, container_format: str | None
    ) -> "Packed": ...


class Packed(Protocol):
    @property
    def disk_format(self) -> str: ...

    @property
    def virtual_size_bytes(self) -> int | None: ...

    @property
    def not_deployable(self) -> str: ...

    def to_json(self) -> dict[str, Any] | None: ...


class ImageStore(ImageFiles):
    """One per process. Calls block; run them where blocking is fine.

    check: raises ImageRefused for an address that `fetch` would refuse. name: of this appliance among those that share.
    """

    def __init__(
        self, root: Path, *, database: Database, vault: Vault, pack: Packer, fetch: FetchOpener, clock: Clock,
        check: Callable[[str], None] = lambda _url: None, name: str = "", pause: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        super().__init__(root, vault=vault, clock=clock)
        self.name, self.check_url = name, check
        self._database, self._pack, self._fetch, self._pause = database, pack, fetch, pause
        self._unsettled: dict[str, str] = {}
        self._coming: set[str] = set()
        """What comes in or is packed in this process: a recovery must not take it for what a crash left."""

    # Bytes come in ------------------------------------------------------------------------------------------------

    def receive(
        self, uuid: str, source: checksum.Source, *, size: int | None, promises: Promises = (),
        status: Status = Status.SAVING,
    ) -> None:  # fmt: skip
        """Stream the bytes to disk; the row goes `queued` → status. On any failure nothing of them is kept.

        status: `saving`, and make_ready follows; or `uploading`, and they lie ready until somebody imports them.
        """
        if size is not None and size > MAX_UPLOAD:
            raise TooLarge(f"an image is at most {MAX_UPLOAD} bytes")
        promised = self._begin(uuid, status)
        self._take(uuid, source, size=size, promises=[*promises, *promised])
        if status is Status.UPLOADING:
            self._coming.discard(uuid)

    def expect_from(self, session: Session, row: Image, address: Address) -> None:
        """The bytes of this image will be fetched from there, by this process or by its successor."""
        image_fetches.keep(session, self._vault, row, address)
        self.expect(row.uuid)

    def fetch(self, uuid: str) -> None:
        """Fetch from an outside address through the one fetcher, then make it ready. The row says `saving` already."""
        problem = "the image could not be fetched; the appliance's log has the reason"
        with contextlib.suppress(RackwrightError):  # its row says it
            with self._ending(uuid, problem):
                self._download(uuid)
            self.make_ready(uuid)

    def _download(self, uuid: str) -> None:
        with self._database.write() as session:
            address, until = image_fetches.begin(session, self._vault, uuid, now=self._clock())
            image_tasks.start(session, uuid, now=self._clock())
            expected = session.scalar(select(Image.sha256).where(Image.uuid == uuid))
        promises = [*address.promises, *([("sha256", expected)] if expected else [])]
        for _ in range(FETCHES - 1):
            with contextlib.suppress(Unavailable):  # it may pass
                return self._download_once(uuid, address.url, promises, until)
            self._pause(FETCH_PAUSE_S)
            self._refuse_unwanted(uuid)
        return self._download_once(uuid, address.url, promises, until)

    def _download_once(self, uuid: str, url: str, promises: Promises, until: datetime) -> None:
        left_s = (until - self._clock()).total_seconds()
        if left_s <= 0:
            raise ImageRefused("the download took too long", next_step="check the server, then import it again")
        with self._fetch(url, left_s) as source:
            wanted = _Wanted(source, lambda: self._refuse_unwanted(uuid))
            self._receive(uuid, wanted, size=None, promises=promises)

    def _refuse_unwanted(self, uuid: str) -> None:
        with self._database.read() as session:
            found = session.execute(select(Image.status, Image.holder).where(Image.uuid == uuid)).one_or_none()
        if found is None or found.status not in FETCHED or found.holder != self.name:
            raise Conflict("the image was deleted while its bytes came in")

    def take_staged(self, uuid: str) -> None:
        """The turn of bytes that lie ready."""
        with self._ending(uuid, _NOT_PACKED), self._database.write() as session:
            image_tasks.start(session, uuid, now=self._clock())
        self.make_ready(uuid)

    def bring(self, uuid: str, opened: Opener, *, promises: Promises, attempt: str) -> None:
        """As `fetch`, for who holds the row and will try again: what goes wrong is raised, and the row left as it is.

        What has come whole is not fetched again, and what is active is let be. attempt: no two of them write into one
        file, should one be thought dead and go on.
        """
        with self._database.read() as session:
            row = session.scalars(select(Image).where(Image.uuid == uuid)).one_or_none()
        if row is not None and row.status == Status.ACTIVE:
            return
        if row is None or row.sha512 is None or not self.original(uuid).is_file():
            with in_our_words():
                self.folder(uuid).mkdir(mode=0o700, parents=True, exist_ok=True)
                for left in self.folder(uuid).glob("coming-*"):
                    left.unlink(missing_ok=True)
                target = self.folder(uuid) / f"coming-{attempt}"
                with opened() as source:
                    got = checksum.receive(source, target, max_bytes=MAX_UPLOAD, expected=promises)
                target.replace(self.original(uuid))
            self._received(uuid, got)
        self._make_ready(uuid)

    def expect(self, uuid: str) -> None:
        """The bytes of this image will be fetched, or made ready, by this process."""
        self._coming.add(uuid)

    def is_expected(self, uuid: str) -> bool:
        return uuid in self._coming

    def _begin(self, uuid: str, status: Status) -> Promises:
        """Claim the image for this process. Returns what its row says that the bytes must be."""
        with self._database.write() as session:
            row = session.scalar(select(Image).where(Image.uuid == uuid).with_for_update())
            if row is None:
                raise Conflict("the image was deleted meanwhile", next_step="rackwright image list")
            if status not in MOVES[Status(row.status)]:
                raise Conflict(
                    f"image {row.label} is {row.status}; its bytes cannot be sent again",
                    next_step=f"rackwright image delete {row.label}, then import it anew",
                )
            row.status, row.problem, row.holder, row.updated_at = status, None, self.name, self._clock()
            self._coming.add(uuid)
            return [("sha256", row.sha256)] if row.sha256 else []

    def _take(self, uuid: str, source: checksum.Source, *, size: int | None, promises: Promises) -> None:
        with self._ending(uuid, "the upload broke off; send it again"):
            self._receive(uuid, source, size=size, promises=promises)

    def _receive(self, uuid: str, source: checksum.Source, *, size: int | None, promises: Promises) -> None:
        with in_our_words():
            self.folder(uuid).mkdir(mode=0o700, parents=True, exist_ok=True)
            got = checksum.receive(
                source, self.original(uuid), max_bytes=MAX_UPLOAD, size_bytes=size, expected=promises
            )
        self._received(uuid, got)

    def _received(self, uuid: str, got: checksum.Received) -> None:
        with self._database.write() as session:
            row = session.scalar(select(Image).where(Image.uuid == uuid).with_for_update())
            if row is None:
                raise Conflict("the image was deleted while its bytes came in")
            if got.size_bytes == 0 and row.disk_format is None:
                raise ImageRefused("no bytes came", next_step="send the file")
            row.size_bytes, row.md5, row.sha256, row.sha512 = got.size_bytes, got.md5, got.sha256, got.sha512
            row.updated_at = self._clock()

    # And are made ready -------------------------------------------------------------------------------------------

    def make_ready(self, uuid: str) -> str:
        """Detect, inspect, pack; → `active`, or what is wrong. Repeating it after a crash starts over."""
        try:
            with self._ending(uuid, _NOT_PACKED):
                self._make_ready(uuid)
        except RackwrightError as fault:
            return str(fault)
        return ""

    def _make_ready(self, uuid: str) -> None:
        with self._database.read() as session:
            row = session.scalars(select(Image).where(Image.uuid == uuid)).one_or_none()
        if row is None:
            raise Conflict("it was deleted")
        into = self.folder(uuid) / "stream"
        with in_our_words():
            shutil.rmtree(into, ignore_errors=True)
            into.mkdir()
            packed = self._pack(
                self.original(uuid), into, sha256=row.sha256 or "", disk_format=row.disk_format,
                container_format=row.container_format,
            )  # fmt: skip
        with self._database.write() as session:
            self._activate(session, uuid, packed)
        self._coming.discard(uuid)

    def _activate(self, session: Session, uuid: str, packed: Packed) -> None:
        row = session.scalar(select(Image).where(Image.uuid == uuid).with_for_update())
        if row is None:
            raise Conflict("it was deleted")
        row.status, row.problem, row.holder = Status.ACTIVE, None, None
        row.disk_format = row.disk_format or packed.disk_format
        row.container_format = row.container_format or "bare"
        row.virtual_size_bytes, row.stream = packed.virtual_size_bytes, packed.to_json()
        row.not_deployable, now = packed.not_deployable or None, self._clock()
        row.updated_at = now
        image_fetches.end(session, row)
        image_tasks.end(session, uuid, problem="", now=now)
        event.record(session, at=now, kind="image.active", actor="images", message=f"image {row.label} is active")

    # Or not -------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _ending(self, uuid: str, problem: str) -> Iterator[None]:
        """Whatever ends this early, the image rests with the reason. problem: of what is no fault of ours to word."""
        try:
            yield
        except RackwrightError as fault:
            self.give_up(uuid, ": ".join(text for text in (str(fault), fault.why) if text))
            raise
        except BaseException:  # also when the peer went away, which the HTTP server tells in an exception of its own
            self.give_up(uuid, problem)
            raise

    def give_up(self, uuid: str, problem: str) -> None:
        """Keep nothing of it, and say why in its row; at the next `settle` if the database is away or full."""
        self.drop_bytes(uuid)
        self._coming.discard(uuid)
        try:
            self._rest(uuid, problem)
        except SQLAlchemyError as fault:
            log.warning("image not settled uuid=%s fault=%s", uuid, type(fault).__name__)
            self._unsettled[uuid] = problem

    def _rest(self, uuid: str, problem: str) -> None:
        with self._database.write() as session:
            row = session.scalar(select(Image).where(Image.uuid == uuid).with_for_update())
            now = self._clock()
            image_tasks.end(session, uuid, problem=problem, now=now)
            if row is None or row.status not in COMING:
                return
            image_fetches.end(session, row)
            row.status, row.problem, row.holder, row.updated_at = resting(row.disk_format), problem, None, now
            if row.status == Status.QUEUED:
                row.size_bytes = row.md5 = row.sha256 = row.sha512 = None
            kind = "image.killed" if row.status == Status.KILLED else "image.refused"
            event.record(session, at=now, kind=kind, actor="images", message=f"image {row.label}: {problem}")
        log.warning("image refused uuid=%s reason=%s", uuid, problem)

    def settle(self) -> int:
        """Finish what a full disk or a database that was away had left. Returns how many images that were."""
        waiting = list(self._unsettled.items())
        for uuid, problem in waiting:
            self._rest(uuid, problem)
            del self._unsettled[uuid]
        return len(waiting)

    def remove_unknown(self) -> None:
        """Folders without a row. The row comes first: whoever writes into a folder has one."""
        folders = [path for path in self._root.iterdir() if path.is_dir()] if self._root.is_dir() else []
        with self._database.read() as session:
            known = set(session.scalars(select(Image.uuid)))
        for path in folders:
            if path.name not in known:
                shutil.rmtree(path, ignore_errors=True)


class _Wanted:
    """Bytes on their way: now and then it is asked whether they are still wanted. refuse: raises when not."""

    def __init__(self, source: checksum.Source, refuse: Callable[[], None]) -> None:
        self._source, self._refuse, self._looked = source, refuse, time.monotonic()

    def read(self, size: int = -1, /) -> bytes:
        data = self._source.read(size)
        if time.monotonic() - self._looked >= LOOK_S:
            self._refuse()
            self._looked = time.monotonic()
        return data
