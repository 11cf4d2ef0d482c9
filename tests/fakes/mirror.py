"""A web server with one image and its file of checksums, without a network; and the store that fetches from it."""

import hashlib
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from appliance.domain.clock import Clock
from appliance.models.database import Database
from appliance.services import image_address
from appliance.services.image_sources import ImageSources
from appliance.services.image_store import ImageStore
from tests.fakes.rack import vault

CANARY = "signature-canary"
URL = f"https://mirror.example.com/images/debian.raw?sig={CANARY}"
SUMS = f"https://mirror.example.com/images/SHA256SUMS?sig={CANARY}"
BYTES = b"a disk with a table" * 4096
DIGEST = hashlib.sha256(BYTES).hexdigest()
SOURCE = image_address.read(URL, SUMS, "raw")


class Body(io.BytesIO):
    @property
    def size_bytes(self) -> int:
        return len(self.getvalue())


class Mirror:
    """asked: addresses in the order of the questions. fault: raised instead of an answer, when set."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.asked: list[str] = []
        self.fault: Exception | None = None
        self.files = {URL: BYTES, SUMS: f"{'0' * 64}  other.raw\n{DIGEST} *debian.raw\n".encode()}
        self.monotonic: Callable[[], float] = lambda: 0.0

    @contextmanager
    def opened(self, url: str, within_s: float) -> Iterator[Body]:
        assert within_s > 0
        self.asked.append(url)
        if self.fault is not None:
            raise self.fault
        yield Body(self.files[url])

    def store(self, database: Database, clock: Clock) -> ImageStore:
        return ImageStore(self.root, database=database, vault=vault(), pack=pack, fetch=None, clock=clock, name="here")

    def sources(self, database: Database, clock: Clock) -> ImageSources:
        return ImageSources(
            database, vault(), self.store(database, clock), opened=self.opened, clock=clock,
            monotonic=self.monotonic,
        )  # fmt: skip


def pack(source: Path, into: Path, *, sha256: str, disk_format: str | None, container_format: str | None) -> Any:
    """Keeps the bytes only: what packing does is tested in tests/images."""
    (into / "image.data").write_bytes(source.read_bytes())
    return SimpleNamespace(
        disk_format=disk_format or "raw", virtual_size_bytes=source.stat().st_size, not_deployable="",
        to_json=lambda: {"data": "image.data"},
    )  # fmt: skip
