"""From where an image is to be fetched: kept, sealed, from the request until the bytes are here or given up.

So a restart loses no import: what waited waits again, and what had begun begins anew, with the time that is left to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import orjson
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from appliance.domain.errors import Conflict
from appliance.domain.images import Status
from appliance.models.image import Image, ImageFetch
from appliance.services.vault import Vault

MOST = timedelta(hours=6)
"""From the first octet that is asked for to the last that came, over all tries and restarts."""
FETCHED = frozenset({Status.SAVING, Status.IMPORTING})
Promises = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    url: str = field(repr=False)
    promises: Promises

    @property
    def host(self) -> str:
        """As one of those whose downloads are counted; never empty."""
        try:
            return (urlsplit(self.url).hostname or "").rstrip(".") or "?"
        except ValueError:
            return "?"


def keep(session: Session, vault: Vault, image: Image, address: Address) -> None:
    """The image will be fetched from there."""
    plain = orjson.dumps({"url": address.url, "promises": [list(item) for item in address.promises]})
    session.execute(delete(ImageFetch).where(ImageFetch.image_id == image.id))
    session.add(ImageFetch(image_id=image.id, sealed=vault.seal(plain, _context(image.uuid))))


def read(vault: Vault, image: Image, row: ImageFetch) -> Address:
    """Raises NotSealedHere."""
    plain = orjson.loads(vault.open(row.sealed, _context(image.uuid)))
    return Address(url=plain["url"], promises=[(str(how), str(digits)) for how, digits in plain["promises"]])


def begin(session: Session, vault: Vault, uuid: str, *, now: datetime) -> tuple[Address, datetime]:
    """Its turn has come: from where, and until when. Raises Conflict when nobody wants it any more."""
    found = session.execute(
        select(Image, ImageFetch).join(ImageFetch, ImageFetch.image_id == Image.id).where(Image.uuid == uuid)
    ).one_or_none()
    if found is None or found[0].status not in FETCHED:
        raise Conflict("the image was deleted before it was fetched")
    image, row = found
    row.begun_at = row.begun_at or now
    return read(vault, image, row), row.begun_at + MOST


def end(session: Session, image: Image) -> None:
    session.execute(delete(ImageFetch).where(ImageFetch.image_id == image.id))


def _context(uuid: str) -> str:
    return f"image/{uuid}/address"
