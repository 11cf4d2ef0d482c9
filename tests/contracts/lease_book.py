"""What every LeaseBook must do; run for the real one and for the fake."""

from dataclasses import replace
from ipaddress import IPv4Address

from pxe.needs import LeaseBook
from pxe.types import Lease, LeaseChange, Mac


def lease(last: int, number: int, *, expires_at: float = 100.0) -> Lease:
    return Lease(
        address=IPv4Address(f"10.0.0.{last}"),
        mac=Mac(f"02:00:00:00:00:{number:02x}"),
        subnet="lab",
        expires_at=expires_at,
        hostname="n1",
        client_id=b"\xffid\0",
    )


def change(before: Lease | None, after: Lease | None) -> LeaseChange:
    address = (after or before).address  # type: ignore[union-attr]  # one of the two is given
    return LeaseChange(address=address, before=before, after=after)


def check(book: LeaseBook) -> None:
    assert list(book.load()) == []
    one, two = lease(1, 1), lease(2, 2)
    book.apply([change(None, one), change(None, two)])
    assert _rows(book) == {one.address: one, two.address: two}
    renewed = replace(one, expires_at=200.0)
    book.apply([change(one, renewed)])
    assert _rows(book)[one.address] == renewed
    moved = replace(renewed, address=IPv4Address("10.0.0.3"))
    book.apply([change(renewed, None), change(None, moved)])
    assert set(_rows(book)) == {two.address, moved.address}
    taken = lease(2, 9)
    book.apply([change(two, taken)])
    assert _rows(book)[two.address] == taken
    book.apply([change(taken, None)])
    assert set(_rows(book)) == {moved.address}
    book.apply([])


def _rows(book: LeaseBook) -> dict[IPv4Address, Lease]:
    return {entry.address: entry for entry in book.load()}
