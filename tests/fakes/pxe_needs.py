"""Second implementations of what `pxe` needs: a boot directory, a lease book, a journal."""

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address

from pxe.errors import StorageFault
from pxe.needs import EventValue
from pxe.types import Action, BootPlan, Client, Lease, LeaseChange, Mac


class FixedPlans:
    """The same plan for every machine."""

    def __init__(self, action: Action = Action.BOOT) -> None:
        self.plan = BootPlan(action=action, why="test")
        self.asked: list[Client] = []

    async def plan_for(
        self, client: Client, *, address: IPv4Address | None, subnet: str, server: IPv4Address
    ) -> BootPlan:
        del address, subnet, server
        self.asked.append(client)
        return self.plan


class MemoryLeases:
    """Keeps leases in a dict; `is_broken` makes the disk refuse."""

    def __init__(self) -> None:
        self.rows: dict[IPv4Address, Lease] = {}
        self.batches: list[int] = []
        self.is_broken = False

    def load(self) -> Sequence[Lease]:
        return list(self.rows.values())

    def apply(self, changes: Iterable[LeaseChange]) -> None:
        if self.is_broken:
            raise StorageFault
        changes = list(changes)
        self.batches.append(len(changes))
        for change in changes:
            self.rows.pop(change.address, None)
            if change.after is not None:
                self.rows[change.address] = change.after

    def close(self) -> None:
        """Nothing is open."""


class ListJournal:
    def __init__(self) -> None:
        self.entries: list[tuple[str, Mac | None, str, dict[str, EventValue]]] = []

    def record(self, kind: str, mac: Mac | None, message: str, data: Mapping[str, EventValue]) -> None:
        self.entries.append((kind, mac, message, dict(data)))

    def kinds(self) -> list[str]:
        return [entry[0] for entry in self.entries]
