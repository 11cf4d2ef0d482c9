"""The resources of a Redfish service as the driver walks them: from the system to its manager, chassis and drives."""

from collections.abc import Iterator
from typing import Any

from bmc.errors import Unsupported
from bmc.redfish.answers import Json
from bmc.redfish.client import ROOT, RedfishClient

PAGES_MAX = 40
"""Pages of one collection that are read: services give 50 rows a page and more."""


class Tree:
    """All calls are inside an `operation` of the client. system_path: None where the service has one system alone."""

    def __init__(self, client: RedfishClient, system_path: str | None) -> None:
        self.client = client
        self._system_path = system_path

    def get(self, path: str) -> Json:
        return self.tagged(path)[0]

    def tagged(self, path: str) -> tuple[Json, str | None]:
        """A resource, which says where it is also on a service that leaves this out; and its ETag."""
        found, etag = self.client.ask("GET", path)
        return {**found, "@odata.id": text(found, "@odata.id") or path}, etag

    def system(self) -> tuple[Json, str | None]:
        """The ComputerSystem and its ETag."""
        if self._system_path is None:
            paths = self.members(ROOT + "Systems")
            if len(paths) != 1:
                raise Unsupported(f"The service has {len(paths)} systems: name one, one of {', '.join(paths[:8])}.")
            self._system_path = paths[0]
        return self.tagged(self._system_path)

    def manager(self) -> Json:
        return self.linked("ManagedBy", "Managers")

    def chassis(self) -> Json:
        return self.linked("Chassis", "Chassis")

    def linked(self, link: str, collection: str) -> Json:
        """What the system's links name, else the first of its kind."""
        found = paths(dig(self.system()[0], "Links").get(link)) or self.members(ROOT + collection)
        if not found:
            raise Unsupported(f"The service has no {collection}.")
        return self.get(found[0])

    def follow(self, resource: Json, name: str) -> Json:
        return self.get(self.path(resource, name))

    def path(self, resource: Json, name: str) -> str:
        found = text(dig(resource, name), "@odata.id")
        if not found:
            raise Unsupported(f"The BMC has no {name}.")
        return found

    def members(self, path: str) -> list[str]:
        """Where the members of a collection are, all its pages."""
        return paths(list(self.rows(path)))

    def rows(self, path: str) -> Iterator[Json]:
        """The members of a collection as it gives them: whole, or only their places."""
        for _ in range(PAGES_MAX):
            page = self.get(path)
            found = page.get("Members")
            yield from (one for one in (found if isinstance(found, list) else ()) if isinstance(one, dict))
            path = text(page, "Members@odata.nextLink")
            if not path:
                return

    def change(self, resource: Json, wish: Json, etag: str | None) -> None:
        self.client.change(text(resource, "@odata.id"), wish, etag)


def paths(links: Any) -> list[str]:
    """Of a list of links."""
    found = [text(one, "@odata.id") for one in links if isinstance(one, dict)] if isinstance(links, list) else []
    return [path for path in found if path]


def dig(value: Json, *keys: str) -> Json:
    """The object below the keys; an empty one where there is none."""
    found: Any = value
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def text(value: Json, key: str) -> str:
    found = value.get(key)
    return found[:1000] if isinstance(found, str) else ""


def words(value: Json, key: str) -> list[str]:
    """A list of texts, as the allowable values of a property are given."""
    found = value.get(key)
    return [one[:100] for one in found[:50] if isinstance(one, str)] if isinstance(found, list) else []
