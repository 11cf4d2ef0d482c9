from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pxe.dhcp4.book import OFFER_HOLD_S, QUARANTINE_S, AddressBook, Grant, Refusal
from pxe.types import Lease, Mac, Reservation, Subnet

HOUR = 3600


def subnet(*, size=20, reservations=(), gateway="10.0.0.1"):
    return Subnet(
        name="lab",
        network=IPv4Network("10.0.0.0/24"),
        pool_start=IPv4Address("10.0.0.100"),
        pool_end=IPv4Address("10.0.0.100") + size - 1,
        interface="br0",
        gateway=IPv4Address(gateway),
        domain="rack.internal",
        lease_s=HOUR,
        reservations=tuple(reservations),
    )


def mac(number):
    return Mac(f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}")


def ip(last):
    return IPv4Address(f"10.0.0.{last}")


def take(book, number, now=0.0, *, known=False, wanted=None):
    """DISCOVER and REQUEST."""
    choice = book.offer(mac(number), wanted=wanted, known=known, now=now)
    if isinstance(choice, Refusal):
        return choice
    result = book.grant(mac(number), choice, client_id=b"", hostname=None, known=known, now=now)
    return result.lease.address if isinstance(result, Grant) else result


def test_addresses_are_given_in_order_and_kept():
    book = AddressBook(subnet(), [])
    assert [take(book, n) for n in (1, 2, 3)] == [ip(100), ip(101), ip(102)]
    assert [take(book, n, now=99) for n in (3, 2, 1)] == [ip(102), ip(101), ip(100)]


def test_a_machine_finds_its_old_address_after_expiry():
    book = AddressBook(subnet(), [])
    take(book, 1)
    take(book, 2)
    assert take(book, 2, now=10 * HOUR) == ip(101)


def test_the_longest_expired_address_is_reused_when_no_fresh_one_is_left():
    book = AddressBook(subnet(size=3), [])
    for number, now in ((1, 0), (2, 10), (3, 20)):
        take(book, number, now)
    assert take(book, 4, now=HOUR + 1) == ip(100)
    assert book.lease_of(mac(1)) is None
    assert take(book, 1, now=HOUR + 2) is Refusal.POOL_EMPTY
    assert take(book, 1, now=HOUR + 11) == ip(101)


def test_what_it_asks_for_is_given_when_free():
    book = AddressBook(subnet(), [])
    assert take(book, 1, wanted=ip(110)) == ip(110)
    assert take(book, 2, wanted=ip(110)) == ip(100)
    assert take(book, 3, wanted=ip(5)) == ip(101)  # not of the pool


def test_own_and_gateway_addresses_are_never_given():
    book = AddressBook(subnet(size=3, gateway="10.0.0.101"), [], taken=[ip(100)])
    assert take(book, 1) == ip(102)
    assert take(book, 2) is Refusal.POOL_EMPTY


def test_an_offer_is_held_for_a_minute():
    book = AddressBook(subnet(size=1), [])
    assert book.offer(mac(1), wanted=None, known=True, now=0) == ip(100)
    assert book.offer(mac(2), wanted=None, known=True, now=1) is Refusal.POOL_EMPTY
    assert book.offer(mac(2), wanted=None, known=True, now=OFFER_HOLD_S) == ip(100)


def test_reservation_wins_and_nobody_else_gets_it():
    book = AddressBook(subnet(size=2, reservations=[Reservation(mac=mac(9), address=ip(100))]), [])
    assert take(book, 1, wanted=ip(100)) == ip(101)
    assert take(book, 9) == ip(100)
    assert take(book, 2) is Refusal.POOL_EMPTY


def test_reservation_outside_of_the_pool():
    book = AddressBook(subnet(reservations=[Reservation(mac=mac(9), address=ip(7))]), [])
    assert take(book, 9) == ip(7)
    assert book.free(0) == 20


def test_reservation_of_an_address_that_another_machine_still_has_waits_for_its_end():
    """Never two owners, not even for the operator's wish."""
    first = AddressBook(subnet(), [])
    take(first, 1)
    book = AddressBook(subnet(reservations=[Reservation(mac=mac(9), address=ip(100))]), first.leases())
    assert take(book, 9, now=10) == ip(101)
    assert book.grant(mac(1), ip(100), client_id=b"", hostname=None, known=True, now=20) is Refusal.WRONG_ADDRESS
    assert take(book, 9, now=HOUR + 20) == ip(100)
    assert book.owner(ip(101), HOUR + 20) is None


def test_reservation_of_our_own_address_is_ignored():
    book = AddressBook(subnet(reservations=[Reservation(mac=mac(9), address=ip(1))]), [])
    assert take(book, 9) == ip(100)


def test_request_for_an_address_of_another_machine_is_refused():
    book = AddressBook(subnet(), [])
    take(book, 1)
    assert book.grant(mac(2), ip(100), client_id=b"", hostname=None, known=False, now=1) is Refusal.WRONG_ADDRESS
    assert book.owner(ip(100), 1).mac == mac(1)


def test_flood_of_strangers_leaves_a_share_for_known_machines():
    book = AddressBook(subnet(size=20), [])
    results = [book.offer(mac(n), wanted=None, known=False, now=0) for n in range(1000)]
    assert sum(not isinstance(found, Refusal) for found in results) == 18
    assert results[-1] is Refusal.KEPT_FOR_KNOWN
    assert isinstance(take(book, 5000, known=True), IPv4Address)


def test_release_needs_the_holder():
    book = AddressBook(subnet(), [])
    take(book, 1)
    assert book.release(mac(2), ip(100), client_id=b"", now=1) is None
    assert book.release(mac(1), ip(101), client_id=b"", now=1) is None
    assert book.release(mac(1), ip(100), client_id=b"x", now=1) is None
    assert book.release(mac(1), ip(100), client_id=b"", now=1).after.expires_at == 1
    assert book.release(mac(1), ip(100), client_id=b"", now=1) is None
    assert book.owner(ip(100), 1) is None
    assert take(book, 1, now=5) == ip(100)


def test_decline_sets_aside_only_what_the_machine_has_and_not_too_much():
    book = AddressBook(subnet(size=40), [])
    assert book.decline(mac(1), ip(100), 0) is None
    assert take(book, 1) == ip(100)
    assert book.decline(mac(2), ip(100), 0) is None
    assert book.decline(mac(1), ip(100), 0).after is None
    assert take(book, 1) == ip(101)
    book.decline(mac(1), ip(101), 0)
    assert book.free(0) == 38  # two of forty are the cap
    take(book, 1)
    book.decline(mac(1), ip(102), 0)
    assert book.free(0) == 38
    assert book.free(QUARANTINE_S) == 40


def test_decline_of_a_reserved_address_is_ignored():
    book = AddressBook(subnet(reservations=[Reservation(mac=mac(1), address=ip(7))]), [])
    take(book, 1)
    assert book.decline(mac(1), ip(7), 1) is None


def test_undo():
    book = AddressBook(subnet(size=2), [])
    take(book, 1)
    before = book.leases()
    book.offer(mac(2), wanted=None, known=True, now=HOUR + 1)
    result = book.grant(mac(2), ip(101), client_id=b"", hostname=None, known=True, now=HOUR + 1)
    book.undo(result.changes)
    assert book.leases() == before
    assert book.owner(ip(101), HOUR + 2) is None


def test_moving_to_a_reservation_frees_the_old_address_in_the_same_step():
    first = AddressBook(subnet(), [])
    take(first, 1)
    book = AddressBook(subnet(reservations=[Reservation(mac=mac(1), address=ip(7))]), first.leases())
    assert book.offer(mac(1), wanted=None, known=True, now=5) == ip(7)
    result = book.grant(mac(1), ip(7), client_id=b"", hostname=None, known=True, now=5)
    assert [(change.address, change.after is None) for change in result.changes] == [(ip(100), True), (ip(7), False)]
    assert book.owner(ip(100), 5) is None


def test_leases_of_other_subnets_are_not_taken():
    stray = Lease(address=IPv4Address("192.0.2.1"), mac=mac(1), subnet="lab", expires_at=9e9)
    other = Lease(address=ip(100), mac=mac(1), subnet="other", expires_at=9e9)
    assert AddressBook(subnet(), [stray, other]).leases() == []


def test_many_renewals_do_not_grow_the_book():
    book = AddressBook(subnet(), [])
    for now in range(3000):
        take(book, 1, now=now)
    assert len(book._expiry) < 200


@settings(max_examples=60, stateful_step_count=40, deadline=None)
class Life(RuleBasedStateMachine):
    """Any order of messages and any passing of time: one address has one owner and one machine one address."""

    def __init__(self):
        super().__init__()
        reserved = [Reservation(mac=mac(0), address=ip(101)), Reservation(mac=mac(1), address=ip(7))]
        self.book = AddressBook(subnet(size=6, reservations=reserved), [])
        self.now = 0.0
        self.promised: dict[IPv4Address, tuple[Mac, float]] = {}

    @rule(seconds=st.sampled_from((1, 59, 61, 1800, HOUR)))
    def wait(self, seconds):
        self.now += seconds

    @rule(number=st.integers(0, 7), wanted=st.none() | st.integers(99, 107), known=st.booleans())
    def discover(self, number, wanted, known):
        self.book.offer(mac(number), wanted=ip(wanted) if wanted else None, known=known, now=self.now)

    @rule(number=st.integers(0, 7), last=st.integers(99, 107) | st.just(7), known=st.booleans(), lost=st.booleans())
    def request(self, number, last, known, lost):
        result = self.book.grant(mac(number), ip(last), client_id=b"", hostname=None, known=known, now=self.now)
        if not isinstance(result, Grant):
            return
        if lost:
            self.book.undo(result.changes)
            return
        owner, until = self.promised.get(ip(last), (mac(number), 0.0))
        assert owner == mac(number) or until <= self.now, "two owners"
        for change in result.changes:
            self.promised.pop(change.address, None)
        self.promised[ip(last)] = (mac(number), result.lease.expires_at)

    @rule(number=st.integers(0, 7), last=st.integers(99, 107))
    def release(self, number, last):
        if self.book.release(mac(number), ip(last), client_id=b"", now=self.now):
            del self.promised[ip(last)]

    @rule(number=st.integers(0, 7), last=st.integers(99, 107))
    def decline(self, number, last):
        if self.book.decline(mac(number), ip(last), self.now):
            del self.promised[ip(last)]

    @rule()
    def restart(self):
        self.book = AddressBook(self.book.subnet, self.book.leases())

    @invariant()
    def promises_are_kept(self):
        for address, (owner, until) in self.promised.items():
            if until > self.now:
                assert self.book.owner(address, self.now).mac == owner

    @invariant()
    def the_count_is_right(self):
        free = self.book.free(self.now)
        assert 0 <= free <= self.book.pool_size
        live = {owner for owner, until in self.promised.values() if until > self.now}
        assert len(live) == sum(until > self.now for _, until in self.promised.values())


TestLife = Life.TestCase


@pytest.mark.parametrize("size", [1, 2, 9])
def test_every_address_of_the_pool_can_be_used(size):
    book = AddressBook(subnet(size=size), [])
    assert {take(book, n, known=True) for n in range(size)} == {ip(100 + n) for n in range(size)}
    assert take(book, 99, known=True) is Refusal.POOL_EMPTY
