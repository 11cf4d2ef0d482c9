"""What these servers need from their owner, as small Protocols. `tests/fakes` holds a second implementation of each."""

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address
from typing import Protocol

from pxe.types import BootPlan, Client, Lease, LeaseChange, Mac

EventValue = str | int | float | bool | None


class BootDirectory(Protocol):
    """Says what a machine shall boot. Firmware asks several times per boot, so asking must be harmless to repeat."""

    async def plan_for(
        self, client: Client, *, address: IPv4Address | None, subnet: str, server: IPv4Address
    ) -> BootPlan:
        """Never raises and never takes longer than a few seconds: without an answer it falls back by itself."""
        ...


class LeaseBook(Protocol):
    """Durable memory of leases. Calls block and come from one thread at a time."""

    def load(self) -> Sequence[Lease]: ...

    def apply(self, changes: Iterable[LeaseChange]) -> None:
        """All or nothing, on the disk when it returns. Raises StorageFault."""
        ...


class FileSource(Protocol):
    """Files of one read-only tree."""

    def open(self, name: str) -> int:
        """A file descriptor of a plain file, to be closed by the caller. Raises FileMissing or FileRefused."""
        ...


class ZoneData(Protocol):
    """The names that we are the authority for; every name is lower case and without the final dot."""

    @property
    def revision(self) -> int:
        """Grows with every change; also the serial number of the zones."""
        ...

    @property
    def origins(self) -> Sequence[str]:
        """The zones, forward and reverse."""
        ...

    @property
    def nameserver(self) -> str:
        """Our own host name, for SOA and NS records."""
        ...

    def addresses(self, name: str) -> Sequence[IPv4Address]: ...

    def pointer(self, name: str) -> str | None:
        """The host name behind a reverse name such as `7.0.77.10.in-addr.arpa`."""
        ...

    def exists(self, name: str) -> bool:
        """True also for a name that only has names below it (RFC 8020)."""
        ...


class Journal(Protocol):
    """Where the servers tell what they did. Must return at once."""

    def record(self, kind: str, mac: Mac | None, message: str, data: Mapping[str, EventValue]) -> None: ...
