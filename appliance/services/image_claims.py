"""Who fetches an image that deploys name by its address: decided in the transaction of a flow's step.

The image is a row as others, of nobody (no project sees it) and hidden; a row of ImageSource says what it was fetched
for. One work fetches it (services.image_sources), all others that name the same look until it is there.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.domain.images import Status, Visibility
from appliance.models.columns import new_uuid
from appliance.models.flow import IS_ACTIVE, Flow
from appliance.models.image import Image
from appliance.models.image_source import ImageSource
from appliance.services.image_address import Checksum

HOST_MOST = 2
"""Images that come from one server at once: one place is left for those from others."""
STEP = "fetch_image"
"""The step of a flow that fetches."""
HOLDER = "a deploy"
"""As Image.holder: its bytes are the business of a flow, which goes on after a crash."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One of these is there. ready: the image. fetch: UUID of the image that this work is to fetch.

    busy: other work fetches it, and how far it is. broken: why it cannot be had.
    """

    ready: Image | None = None
    fetch: str = ""
    busy: str = ""
    broken: str = ""


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
    if image.status == Status.SAVING and is_active(session, row.flow_uuid):
        return Claim(busy=f"another deploy fetches the image ({how_far(row)})")
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


def is_active(session: Session, flow_uuid: str) -> bool:
    return session.scalar(select(Flow.id).where(Flow.uuid == flow_uuid, IS_ACTIVE)) is not None


def progress(session: Session, flow_uuid: str) -> str:
    """How far the fetch of this work is, for people; empty when it fetches nothing."""
    row = session.scalar(select(ImageSource).where(ImageSource.flow_uuid == flow_uuid))
    return "" if row is None or row.begun_at is None else how_far(row)


def how_far(row: ImageSource) -> str:
    if row.total_bytes and row.done_bytes >= row.total_bytes:
        return f"{_mib(row.done_bytes)} are here, and looked at"
    if row.total_bytes:
        return f"{100 * row.done_bytes // row.total_bytes}% of {_mib(row.total_bytes)}"
    return f"{_mib(row.done_bytes)} so far"


def _mib(size: int) -> str:
    return f"{size / (1 << 20):.1f} MiB"
