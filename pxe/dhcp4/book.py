"""Which address of one subnet belongs to whom. Pure: time is an argument, durability is the caller's.

The key is the MAC address: firmware, iPXE, ramdisk and system of one machine send different client ids and must all get
the same address. Every decision that must survive a crash comes back as LeaseChanges; when these cannot be written,
`undo` takes them back. Offers and quarantine live in memory only: a restart forgets them, and REQUEST checks again.

Order of choice: reservation, what the machine had before, what it asks for, never used, longest expired.
"""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from ipaddress import IPv4Address

from pxe.types import Lease, LeaseChange, Mac, Reservation, Subnet

OFFER_HOLD_S = 60.0  # firmware collects offers for 4 s and doubles; iPXE asks again sooner
QUARANTINE_S = 1800.0
NOBODY = Mac("")
_QUARANTINE_SHARE = 20  # at most 1/20 of the pool, or declining becomes a way to empty it
_KNOWN_SHARE = 10  # the last 1/10 of the pool is kept for machines that we know


class Refusal(Enum):
    """Why a machine does not get an address; the value is told to people."""

    POOL_EMPTY = "no free address in the pool"
    KEPT_FOR_KNOWN = "the rest of the pool is kept for known machines"
    WRONG_ADDRESS = "that address is not this machine's"


@dataclass(frozen=True, slots=True)
class Grant:
    lease: Lease
    changes: tuple[LeaseChange, ...]


class AddressBook:
    """The leases of one subnet. `taken`: addresses never to give out, such as our own."""

    def __init__(self, subnet: Subnet, leases: Iterable[Lease], *, taken: Iterable[IPv4Address] = ()) -> None:
        self.subnet = subnet
        self._first, self._last = int(subnet.pool_start), int(subnet.pool_end)
        self.taken = frozenset(taken)
        self._never = {int(address) for address in self.taken}
        if subnet.gateway is not None:
            self._never.add(int(subnet.gateway))
        self._never |= {int(subnet.network.network_address), int(subnet.network.broadcast_address)}
        usable = [entry for entry in subnet.reservations if self._is_reservable(entry)]
        self._reserved: dict[Mac, Reservation] = {entry.mac: entry for entry in usable}
        self._kept: dict[int, Mac] = {int(entry.address): entry.mac for entry in usable}
        self._by_mac: dict[Mac, Lease] = {}
        self._by_address: dict[int, Lease] = {}
        self._expiry: list[tuple[float, int]] = []
        self._expired: dict[int, None] = {}
        self._offers: dict[Mac, tuple[int, float]] = {}
        self._offered: dict[int, Mac] = {}
        self._quarantine: dict[int, float] = {}
        self._busy: set[int] = set()  # addresses of the pool that are lent, offered or in quarantine
        self._cursor = self._first
        unusable = sum(self._first <= address <= self._last for address in self._never | set(self._kept))
        self.pool_size = max(0, self._last - self._first + 1 - unusable)
        for lease in leases:
            if lease.subnet == subnet.name and lease.address in subnet.network:
                self._put(lease)

    # -- questions

    def lease_of(self, mac: Mac) -> Lease | None:
        return self._by_mac.get(mac)

    def owner(self, address: IPv4Address, now: float) -> Lease | None:
        """The live lease of an address."""
        lease = self._by_address.get(int(address))
        return lease if lease is not None and lease.expires_at > now else None

    def leases(self) -> Sequence[Lease]:
        return list(self._by_address.values())

    def reservation_of(self, mac: Mac) -> Reservation | None:
        return self._reserved.get(mac)

    def free(self, now: float) -> int:
        """Addresses of the pool that a machine could still be given."""
        self._sweep(now)
        return self.pool_size - len(self._busy)

    # -- decisions

    def offer(self, mac: Mac, *, wanted: IPv4Address | None, known: bool, now: float) -> IPv4Address | Refusal:
        """Choose an address and hold it for a minute."""
        self._sweep(now)
        choice = self._settled(mac)
        if choice is None and not known and self._pressure():
            return Refusal.KEPT_FOR_KNOWN
        if choice is None and wanted is not None and self._is_free(int(wanted), mac):
            choice = int(wanted)
        if choice is None:
            choice = self._fresh() or self._oldest_expired()
        if choice is None:
            return Refusal.POOL_EMPTY
        self._hold(mac, choice, now + OFFER_HOLD_S)
        return IPv4Address(choice)

    def grant(
        self, mac: Mac, address: IPv4Address, *, client_id: bytes, hostname: str | None, known: bool, now: float
    ) -> Grant | Refusal:
        """Lend `address` to the machine, if it may have exactly that one."""
        self._sweep(now)
        wanted = int(address)
        settled = self._settled(mac)
        if settled not in (None, wanted):
            return Refusal.WRONG_ADDRESS
        if settled is None:
            if not self._is_free(wanted, mac):
                return Refusal.WRONG_ADDRESS
            if not known and self._pressure():
                return Refusal.KEPT_FOR_KNOWN
        lease = Lease(
            address=address,
            mac=mac,
            subnet=self.subnet.name,
            expires_at=now + self.subnet.lease_s,
            hostname=hostname,
            client_id=client_id,
        )
        changes = []
        former = self._by_mac.get(mac)
        if former is not None and former.address != address:
            changes.append(LeaseChange(address=former.address, before=former, after=None))
        changes.append(LeaseChange(address=address, before=self._by_address.get(wanted), after=lease))
        self._apply(changes)
        self._drop_offer(mac)
        return Grant(lease, tuple(changes))

    def release(self, mac: Mac, address: IPv4Address, *, client_id: bytes, now: float) -> LeaseChange | None:
        """End a lease, keeping the memory of who had it. Only its holder may: MAC, address and client id must agree."""
        lease = self._by_mac.get(mac)
        if lease is None or lease.address != address or lease.client_id != client_id or lease.expires_at <= now:
            return None
        change = LeaseChange(address=address, before=lease, after=replace(lease, expires_at=now))
        self._apply([change])
        return change

    def decline(self, mac: Mac, address: IPv4Address, now: float) -> LeaseChange | None:
        """The machine found somebody else on its address: take it out of use for a while.

        Only the address that this machine has or was offered, never a reserved one, and never too much of the pool.
        """
        number = int(address)
        lease = self._by_mac.get(mac)
        holds = lease is not None and lease.address == address
        if number in self._kept or not (holds or self._offered.get(number) == mac):
            return None
        self._sweep(now)
        if len(self._quarantine) < max(1, self.pool_size // _QUARANTINE_SHARE):
            self._quarantine[number] = now + QUARANTINE_S
            self._mark(number)
        self._drop_offer(mac)
        if not holds:
            return None
        change = LeaseChange(address=address, before=lease, after=None)
        self._apply([change])
        return change

    def undo(self, changes: Sequence[LeaseChange]) -> None:
        """Take back decisions that could not be made durable, newest first."""
        self._apply([LeaseChange(address=c.address, before=c.after, after=c.before) for c in reversed(changes)])

    # -- rules

    def _settled(self, mac: Mac) -> int | None:
        """The one address that this machine must have, if that is decided already."""
        kept = self._reserved.get(mac)
        if kept is not None and not self._is_lent_to_other(int(kept.address), mac):
            return int(kept.address)
        lease = self._by_mac.get(mac)
        if lease is not None and self._may_keep(int(lease.address), mac):
            return int(lease.address)
        held = self._offers.get(mac)
        return held[0] if held is not None else None

    def _is_lent_to_other(self, number: int, mac: Mac) -> bool:
        """True while somebody holds a lease from before the reservation: even then, never two owners."""
        lease = self._by_address.get(number)
        return lease is not None and lease.mac != mac and number not in self._expired

    def _may_keep(self, number: int, mac: Mac) -> bool:
        if number in self._kept or number in self._quarantine or not self._in_pool(number):
            return False
        return self._offered.get(number, mac) == mac

    def _is_free(self, number: int, mac: Mac) -> bool:
        return self._may_keep(number, mac) and (number not in self._by_address or number in self._expired)

    def _in_pool(self, number: int) -> bool:
        return self._first <= number <= self._last and number not in self._never

    def _is_reservable(self, entry: Reservation) -> bool:
        return entry.address in self.subnet.network and int(entry.address) not in self._never

    def _fresh(self) -> int | None:
        """The next address that nobody had; each is looked at once, so a big pool costs nothing."""
        while self._cursor <= self._last:
            number = self._cursor
            self._cursor += 1
            if number not in self._by_address and self._is_free(number, NOBODY):
                return number
        return None

    def _oldest_expired(self) -> int | None:
        for number in self._expired:
            if self._is_free(number, NOBODY):
                return number
        # Addresses that the cursor passed while they were held or in quarantine are found by starting it again.
        self._cursor = self._first
        return self._fresh() if len(self._busy) < self.pool_size else None

    def _pressure(self) -> bool:
        kept = self.pool_size // _KNOWN_SHARE
        return kept > 0 and self.pool_size - len(self._busy) <= kept

    # -- bookkeeping

    def _sweep(self, now: float) -> None:
        while self._expiry and self._expiry[0][0] <= now:
            at, number = heapq.heappop(self._expiry)
            lease = self._by_address.get(number)
            if lease is not None and lease.expires_at == at:
                self._expired[number] = None
                self._mark(number)
        while self._offers:  # in the order in which they were made, so the first is the oldest
            mac, (_, until) = next(iter(self._offers.items()))
            if until > now:
                break
            self._drop_offer(mac)
        for number in [number for number, until in self._quarantine.items() if until <= now]:
            del self._quarantine[number]
            self._mark(number)

    def _mark(self, number: int) -> None:
        lent = number in self._by_address and number not in self._expired
        if (lent or number in self._offered or number in self._quarantine) and (
            self._in_pool(number) and number not in self._kept
        ):
            self._busy.add(number)
        else:
            self._busy.discard(number)

    def _hold(self, mac: Mac, number: int, until: float) -> None:
        self._drop_offer(mac)
        self._offers[mac] = (number, until)
        self._offered[number] = mac
        if number in self._expired:  # to the end, so that the next search does not pass it again
            del self._expired[number]
            self._expired[number] = None
        self._mark(number)

    def _drop_offer(self, mac: Mac) -> None:
        held = self._offers.pop(mac, None)
        if held is not None:
            self._offered.pop(held[0], None)
            self._mark(held[0])

    def _apply(self, changes: Sequence[LeaseChange]) -> None:
        for change in changes:
            number = int(change.address)
            former = self._by_address.pop(number, None)
            self._expired.pop(number, None)
            if former is not None and self._by_mac.get(former.mac) is former:
                del self._by_mac[former.mac]
            if change.after is not None:
                self._put(change.after)
            self._mark(number)

    def _put(self, lease: Lease) -> None:
        number = int(lease.address)
        self._by_address[number] = lease
        self._by_mac[lease.mac] = lease
        self._mark(number)
        heapq.heappush(self._expiry, (lease.expires_at, number))
        if len(self._expiry) > 4 * len(self._by_address) + 64:
            alive = [(entry.expires_at, key) for key, entry in self._by_address.items() if key not in self._expired]
            self._expiry = alive
            heapq.heapify(self._expiry)
