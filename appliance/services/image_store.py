"""The bytes of images: STATE/images/UUID/. Received to a part file, checked, packed for agents, then active.

Restart-safe: `recover` finishes or kills what a crash left between. A token lets one machine fetch one image for a day.
"""

import base64
import binascii
import errno
import hashlib
import logging
import os
import shutil
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import orjson
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from appliance.domain.clock import Clock
from appliance.domain.errors import Conflict, Invalid, RackwrightError, StorageFull, TooLarge, Unavailable
from appliance.models import event
from appliance.models.database import Database
from appliance.models.image import Image
from appliance.services.vault import Vault

log = logging.getLogger(__name__)

CHUNK = 1 << 20
MAX_UPLOAD = 64 << 30
SCHEMA = "cloud-config.json"
_TOKEN = "image-token"  # noqa: S105  (a vault context, not a secret)


class Packer(Protocol):
    """Turns a received file into what agents fetch. Raises ImageRefused with a sentence for people."""

    def __call__(self, source: Path, into: Path, *, sha256: str) -> "Packed": ...


class Packed(Protocol):
    @property
    def disk_format(self) -> str: ...

    @property
    def virtual_size_bytes(self) -> int: ...

    def to_json(self) -> dict[str, Any]: ...


class ImageRefused(Invalid):
    """The image was refused."""

    code = "image-refused"


class ImageStore:
    """One per process. Calls block; run them where blocking is fine."""

    def __init__(self, root: Path, *, database: Database, vault: Vault, pack: Packer, fetch: Any, clock: Clock) -> None:
        self._root, self._database, self._vault = root, database, vault
        self._pack, self._fetch, self._clock = pack, fetch, clock
        self._unsettled: dict[str, str] = {}
        self._coming: set[str] = set()
        """What comes in or is packed in this process: `recover` must not take it for what a crash left."""

    def folder(self, uuid: str) -> Path:
        return self._root / uuid

    def receive(self, uuid: str, source: BinaryIO, *, size: int | None, sha256: str | None) -> None:
        """Stream the bytes to disk; the row goes `queued` → `saving`. On any failure the part file is removed."""
        if size is not None and size > MAX_UPLOAD:
            raise TooLarge(f"an image is at most {MAX_UPLOAD} bytes")
        self._coming.add(uuid)
        self._begin(uuid)
        self._take(uuid, source, size=size, sha256=sha256)

    def _take(self, uuid: str, source: BinaryIO, *, size: int | None, sha256: str | None) -> None:
        folder = self.folder(uuid)
        problem = "the upload broke off; send it again"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            digest, got = _copy(source, folder / "upload.part", limit=MAX_UPLOAD)
            if size is not None and got != size:
                raise Invalid(
                    f"the upload broke off after {got} of {size} bytes",
                    next_step="delete the image and import it again",
                )
            self._received(uuid, digest, got, sha256)
            (folder / "upload.part").replace(folder / "upload")
            problem = ""
        except OSError as cause:
            fault = _storage_fault(cause)
            problem = str(fault)
            raise fault from cause
        except RackwrightError as fault:
            problem = str(fault)
            raise
        finally:  # also when the peer went away, which the HTTP server tells in an exception of its own
            if problem:
                self._discard(uuid, problem)

    def _begin(self, uuid: str) -> None:
        with self._database.write() as session:
            row = session.scalar(select(Image).where(Image.uuid == uuid).with_for_update())
            if row is None:
                raise Conflict("the image was deleted meanwhile", next_step="rackwright image list")
            if row.status != "queued":
                raise Conflict(
                    f"image {row.name} is {row.status}; its bytes cannot be sent again",
                    next_step=f"rackwright image delete {row.name}, then import it anew",
                )
            row.status, row.updated_at = "saving", self._clock()

    def _received(self, uuid: str, digest: str, size: int, expected: str | None) -> None:
        with self._database.write() as session:
            row = session.scalar(select(Image).where(Image.uuid == uuid))
            if row is None:
                raise Conflict("the image was deleted while its bytes came in")
            for wanted in (expected, row.sha256):
                if wanted is not None and wanted != digest:
                    raise ImageRefused(
                        f"the checksum of image {row.name} differs",
                        why=f"expected sha256 {wanted}, the {size} bytes that came have {digest}",
                        next_step="fetch the image anew; nothing of it was kept",
                    )
            row.sha256, row.size_bytes, row.updated_at = digest, size, self._clock()

    def _sha256(self, uuid: str) -> str:
        with self._database.read() as session:
            return session.scalars(select(Image.sha256).where(Image.uuid == uuid)).one() or ""

    def _kill(self, uuid: str, problem: str) -> None:
        with self._database.write() as session:
            row = session.scalar(select(Image).where(Image.uuid == uuid))
            if row is None or row.status == "killed":
                return
            row.status, row.problem, row.updated_at = "killed", problem, self._clock()
            event.record(
                session, at=self._clock(), kind="image.killed", actor="images", message=f"image {row.name}: {problem}"
            )
        log.warning("image refused uuid=%s reason=%s", uuid, problem)

    def _discard(self, uuid: str, problem: str) -> None:
        """Keep nothing of it, and say why in its row; at the next `settle` if the database is away or full."""
        shutil.rmtree(self.folder(uuid), ignore_errors=True)
        self._coming.discard(uuid)
        try:
            self._kill(uuid, problem)
        except SQLAlchemyError as fault:
            log.warning("image not settled uuid=%s fault=%s", uuid, type(fault).__name__)
            self._unsettled[uuid] = problem

    def settle(self) -> int:
        """Finish what a full disk or a database that was away had left. Returns how many images that were."""
        waiting = list(self._unsettled.items())
        for uuid, problem in waiting:
            self._kill(uuid, problem)
            del self._unsettled[uuid]
        return len(waiting)

    def make_ready(self, uuid: str) -> None:
        """Detect, inspect, pack; `saving` → `active` or `killed`. Repeating it after a crash starts over."""
        problem = "the image could not be packed; the appliance's log has the reason"
        try:
            problem = self._make_ready(uuid)
        finally:
            if problem:
                self._discard(uuid, problem)

    def _make_ready(self, uuid: str) -> str:
        """What is wrong with the image; empty when it is active now."""
        folder = self.folder(uuid)
        try:
            shutil.rmtree(folder / "stream", ignore_errors=True)
            (folder / "stream").mkdir()
            packed = self._pack(folder / "upload", folder / "stream", sha256=self._sha256(uuid))
        except OSError as cause:
            return str(_storage_fault(cause))
        except RackwrightError as fault:
            return str(fault)
        with self._database.write() as session:
            row = session.scalar(select(Image).where(Image.uuid == uuid))
            if row is None:
                return "it was deleted"
            row.status, row.disk_format = "active", packed.disk_format
            row.virtual_size_bytes, row.stream, row.updated_at = (
                packed.virtual_size_bytes,
                packed.to_json(),
                self._clock(),
            )
            event.record(
                session, at=self._clock(), kind="image.active", actor="images", message=f"image {row.name} is active"
            )
        (folder / "upload").unlink(missing_ok=True)
        self._coming.discard(uuid)
        return ""

    def fetch(self, uuid: str, url: str) -> None:
        """Fetch from an outside address through the one fetcher, then make it ready."""
        problem = "the image could not be fetched; the appliance's log has the reason"
        try:
            with self._fetch(url) as source:
                self._take(uuid, source, size=None, sha256=None)
            problem = ""
        except RackwrightError as fault:
            problem = str(fault)
        finally:
            if problem:
                self._discard(uuid, problem)
        if not problem:
            self.make_ready(uuid)

    def recover(self) -> None:
        """After a restart: pack again what was complete, kill what had broken off, remove what nobody knows."""
        folders = [path for path in self._root.iterdir() if path.is_dir()] if self._root.is_dir() else []
        with self._database.read() as session:
            known = {row.uuid: row.status for row in session.execute(select(Image.uuid, Image.status))}
        for path in folders:
            if path.name not in known:
                shutil.rmtree(path, ignore_errors=True)
        for uuid in [uuid for uuid, status in known.items() if status == "saving" and uuid not in self._coming]:
            if (self.folder(uuid) / "upload").is_file():
                self.make_ready(uuid)
            else:
                self._kill(uuid, "the appliance stopped while the image was coming in; send it again")

    def keep_schema(self, uuid: str, schema: dict[str, Any]) -> None:
        """Keep the JSON schema of the cloud-config that this image understands."""
        folder = self.folder(uuid)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = folder / "cloud-config.part"
        part.write_bytes(orjson.dumps(schema))
        part.replace(folder / SCHEMA)

    def schema(self, uuid: str) -> dict[str, Any] | None:
        """The image's own schema of cloud-config; None when nobody gave one."""
        try:
            found: dict[str, Any] = orjson.loads((self.folder(uuid) / SCHEMA).read_bytes())
        except FileNotFoundError:
            return None
        return found

    def expect(self, uuid: str) -> None:
        """The bytes of this image will be fetched by this process."""
        self._coming.add(uuid)

    def forget(self, uuid: str) -> None:
        shutil.rmtree(self.folder(uuid), ignore_errors=True)

    def token(self, uuid: str, *, until: float) -> str:
        """A ticket for the files of one image, good until a moment (seconds since 1970)."""
        sealed = self._vault.seal(f"{uuid} {until:.0f}".encode(), _TOKEN)
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def served_file(self, path: str, token: str) -> Path | None:
        """The file behind /image/UUID/NAME, when the token allows it; None otherwise, without a reason."""
        parts = path.split("/")
        if len(parts) != 4 or parts[:2] != ["", "image"] or len(token) > 400:
            return None
        try:
            sealed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
            uuid, _, until = self._vault.open(sealed, _TOKEN).decode().partition(" ")
        except (RackwrightError, binascii.Error, ValueError):
            return None
        file = self.folder(uuid) / "stream" / parts[3]
        if uuid != parts[2] or parts[3] in ("", ".", "..") or float(until) < self._clock().timestamp():
            return None
        return file if file.is_file() else None


def _storage_fault(cause: OSError) -> RackwrightError:
    """Sentences for people; a full disk is the one that they can mend."""
    if cause.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StorageFull(next_step="delete images or enlarge the disk, then send it again")
    return Unavailable(f"the image cannot be stored: {cause.strerror or cause}", next_step="rackwright doctor")


def _copy(source: BinaryIO, target: Path, *, limit: int) -> tuple[str, int]:
    """(SHA-256 in hex, bytes copied), durable when it returns. limit: bytes. Raises TooLarge, Unavailable if empty."""
    digest, size = hashlib.sha256(), 0
    with target.open("wb") as out:
        while chunk := source.read(CHUNK):
            size += len(chunk)
            if size > limit:
                raise TooLarge(f"an image is at most {limit} bytes")
            digest.update(chunk)
            out.write(chunk)
        out.flush()
        os.fsync(out.fileno())
    if size == 0:
        raise Unavailable("no bytes came")
    return digest.hexdigest(), size
