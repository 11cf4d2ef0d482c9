"""VirtualMedia (DSP0268): drives whose disc the BMC fetches from a URL. Newer services keep them below the system."""

import time
from collections.abc import Collection, Iterator, Mapping

from bmc.errors import Unsupported
from bmc.redfish.answers import Json
from bmc.redfish.tree import Tree, dig, text, words
from bmc.types import MediaKind, MediaSlot

TYPES: Mapping[MediaKind, frozenset[str]] = {
    MediaKind.CDROM: frozenset({"CD", "DVD"}),
    MediaKind.DISK: frozenset({"USBStick"}),
    MediaKind.FLOPPY: frozenset({"Floppy"}),
}
SLOTS_MAX = 16
SEEN_S, LOOK_S = 10.0, 0.5
"""How long a BMC may take to show what it has taken, and how often it is looked at."""


def slots(tree: Tree) -> list[MediaSlot]:
    return [_slot(drive) for drive in _drives(tree)]


def insert(tree: Tree, kind: MediaKind, url: str) -> None:
    """Empty the drives of this kind, put the image into the first that takes it, and see it there."""
    drives = [drive for drive in _drives(tree) if _fits(drive, kind)]
    if not drives:
        raise Unsupported(f"The BMC has no virtual drive of the kind {kind.value}.")
    for drive in drives:
        if drive.get("Inserted"):
            _eject(tree, drive)
    refusal: Unsupported | None = None
    for drive in drives:
        try:
            _insert(tree, drive, url)
        except Unsupported as error:
            refusal = error
            continue
        return _see(tree, drive)
    raise refusal or Unsupported("The BMC did not take the image.")


def eject(tree: Tree, kinds: Collection[MediaKind] | None) -> None:
    for drive in _drives(tree):
        if drive.get("Inserted") and (kinds is None or any(_fits(drive, kind) for kind in kinds)):
            _eject(tree, drive)


def _drives(tree: Tree) -> list[Json]:
    system = tree.system()[0]
    holder = system if "VirtualMedia" in system else tree.manager()
    return [tree.get(path) for path in tree.members(tree.path(holder, "VirtualMedia"))[:SLOTS_MAX]]


def _slot(drive: Json) -> MediaSlot:
    return MediaSlot(
        types=tuple(words(drive, "MediaTypes")), image=text(drive, "Image") or None,
        is_inserted=drive.get("Inserted") is True,
    )  # fmt: skip


def _fits(drive: Json, kind: MediaKind) -> bool:
    return bool(TYPES[kind] & set(words(drive, "MediaTypes")))


def _insert(tree: Tree, drive: Json, url: str) -> None:
    """By the action, with as little as the BMC wants to know; without an action (some of Lenovo) by a change."""
    path = _action(drive, "InsertMedia")
    if not path:
        return _change(tree, drive, {"Image": url, "Inserted": True, "WriteProtected": True})
    *first, last = _bodies(url)
    for body in first:
        try:
            return tree.client.do(path, body)
        except Unsupported:
            continue
    return tree.client.do(path, last)


def _bodies(url: str) -> Iterator[Json]:
    """Supermicro refuses what it need not know; others refuse to guess how to fetch it."""
    body: Json = {"Image": url}
    yield dict(body)
    body["TransferProtocolType"] = url.partition(":")[0].upper()
    yield dict(body)
    yield {**body, "TransferMethod": "Stream"}


def _eject(tree: Tree, drive: Json) -> None:
    path = _action(drive, "EjectMedia")
    if path:
        tree.client.do(path, {})
    else:
        _change(tree, drive, {"Image": None, "Inserted": False})


def _change(tree: Tree, drive: Json, wish: Json) -> None:
    tree.change(drive, wish, tree.tagged(text(drive, "@odata.id"))[1])


def _action(drive: Json, name: str) -> str:
    return text(dig(drive, "Actions", f"#VirtualMedia.{name}"), "target")


def _see(tree: Tree, drive: Json) -> None:
    until = time.monotonic() + min(SEEN_S, tree.client.left_s)
    while tree.get(text(drive, "@odata.id")).get("Inserted") is not True:
        if time.monotonic() + LOOK_S > until:
            raise Unsupported("The BMC accepted the image and shows an empty drive.")
        time.sleep(LOOK_S)
