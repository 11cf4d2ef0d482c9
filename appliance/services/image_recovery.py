"""What a crash of this appliance left of images that were coming in: gone on with, or ended with a reason.

What another appliance has in hand (the same database, the same folder) is not touched.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import select

from appliance.domain.clock import Clock
from appliance.domain.errors import RackwrightError
from appliance.domain.image_imports import Import
from appliance.domain.images import COMING, Status
from appliance.models.database import Database
from appliance.models.image import Image, ImageFetch
from appliance.services import image_fetches, image_tasks
from appliance.services.image_fetches import FETCHED
from appliance.services.image_store import ImageStore
from appliance.services.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """An import that goes on, in its turn."""

    one: Import
    work: Callable[[], object]


def recover(store: ImageStore, database: Database, vault: Vault, clock: Clock) -> list[Left]:
    """End what had broken off, remove what nobody knows. Returns what is to be gone on with: what was complete is
    packed again, what was to be fetched is fetched anew, from its first byte.
    """
    store.remove_unknown()
    mine = select(Image, ImageFetch).outerjoin(ImageFetch, ImageFetch.image_id == Image.id)
    with database.read() as session:
        rows = session.execute(mine.where(Image.status.in_(COMING), Image.holder == store.name).order_by(Image.id))
        found = [(row, fetch) for row, fetch in rows if not store.is_expected(row.uuid)]
    again = [left for row, fetch in found if (left := _left(store, vault, row, fetch)) is not None]
    with database.write() as session:
        for left in again:
            store.expect(left.one.uuid)
            image_tasks.wait(session, left.one.uuid, now=clock())
    return again


def _left(store: ImageStore, vault: Vault, row: Image, fetch: ImageFetch | None) -> Left | None:
    uuid, owner = row.uuid, row.owner or ""
    if store.original(uuid).is_file() and row.sha512 is not None:
        is_staged = row.status == Status.UPLOADING  # it waits for its import
        whole = Left(one=Import(uuid=uuid, owner=owner), work=lambda: store.take_staged(uuid))
        return None if is_staged else whole
    if fetch is None or row.status not in FETCHED:
        store.give_up(uuid, "the appliance stopped while the image was coming in; send it again")
        return None
    try:
        host = image_fetches.read(vault, row, fetch).host
    except RackwrightError as fault:
        store.give_up(uuid, f"the appliance stopped before it was fetched, and does not know from where: {fault}")
        return None
    store.drop_bytes(uuid)
    return Left(one=Import(uuid=uuid, owner=owner, host=host), work=lambda: store.fetch(uuid))
