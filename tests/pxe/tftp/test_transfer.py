"""The transfer against a client that follows the RFCs, over a network that loses, repeats and reorders; no sockets,
no clock.
"""

import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pxe.tftp import packet
from pxe.tftp.negotiate import Terms, negotiate
from pxe.tftp.transfer import Outcome, Transfer


class Client:
    """Receives in order, answers with the ACK that RFC 7440 wants, repeats its last ACK on time-out."""

    def __init__(self, terms):
        self.terms = terms
        self.content = bytearray()
        self.block = 0
        self.in_window = 0
        self.is_done = False
        self.last = None

    def on_datagram(self, data):
        opcode, number = struct.unpack_from("!HH", data)
        if opcode == 6:
            self.last = packet.ack(0)
            return [self.last]
        assert opcode == 3, data
        block = data[4:]
        if number != (self.block + 1) & 0xFFFF or self.is_done:
            self.in_window = 0
            self.last = packet.ack(self.block)
            return [self.last]
        self.block += 1
        self.content += block
        self.in_window += 1
        self.is_done = len(block) < self.terms.blksize
        if self.is_done or self.in_window == self.terms.windowsize:
            self.in_window = 0
            self.last = packet.ack(self.block)
            return [self.last]
        return []


def file_of(size):
    return random.Random(size).randbytes(size)


def transfer_of(content, terms, now=0.0):
    return Transfer(size=len(content), read=lambda at, size: content[at : at + size], terms=terms, now=now)


def play(content, asked, *, chance=None, loss=0.0, duplicates=0.0, reorder=0.0, client_timeout_s=2.0):
    """Time goes on only when nothing is on its way. Returns (client, transfer, datagrams sent)."""
    chance = chance or random.Random(1)
    terms = negotiate(asked, size=len(content))
    client, transfer, now = Client(terms), transfer_of(content, terms), 0.0
    to_client, sent, quiet_until = transfer.start(now), 1, client_timeout_s
    while transfer.outcome is None and now < 300:
        if not to_client:
            now = min(transfer.deadline(), quiet_until)
            to_client += transfer.on_time(now)
            sent += len(to_client)
            if now >= quiet_until:
                quiet_until = now + client_timeout_s
                if client.last and chance.random() >= loss:
                    to_client += deliver(transfer, client.last, now)
            continue
        if len(to_client) > 1 and chance.random() < reorder:
            chance.shuffle(to_client)
        data = to_client.pop(0)
        if chance.random() < loss:
            continue
        for ack in client.on_datagram(data):
            quiet_until = now + client_timeout_s
            for _ in range(1 + (chance.random() < duplicates)):
                if chance.random() >= loss:
                    out = deliver(transfer, ack, now)
                    sent += len(out)
                    to_client += out
    return client, transfer, sent


def deliver(transfer, ack, now):
    return transfer.on_ack(struct.unpack_from("!H", ack, 2)[0], now)


@settings(deadline=None)
@given(
    st.integers(0, 5000),
    st.sampled_from([{}, {"blksize": "100"}, {"blksize": "8", "windowsize": "16"}, {"tsize": "0", "windowsize": "4"}]),
)
def test_quiet_network(size, asked):
    content = file_of(size)
    client, transfer, sent = play(content, asked)
    assert bytes(client.content) == content
    assert (transfer.outcome, transfer.sent_bytes, transfer.repeats) == (Outcome.DONE, size, 0)
    assert sent == size // client.terms.blksize + 1 + bool(asked)


@settings(deadline=None, max_examples=60)
@given(
    st.randoms(use_true_random=False),
    st.sampled_from([0.0, 0.01, 0.05]),
    st.sampled_from([0.0, 0.1]),
    st.sampled_from([0.0, 0.25]),
    st.sampled_from(["1", "4", "16"]),
)
def test_bad_network(chance, loss, duplicates, reorder, windowsize):
    """Content is right, and a storm never happens: twice the file, and what the clock repeats, is the most."""
    content = file_of(8_000)
    asked = {"blksize": "500", "windowsize": windowsize}
    client, transfer, sent = play(content, asked, chance=chance, loss=loss, duplicates=duplicates, reorder=reorder)
    assert transfer.outcome in {Outcome.DONE, Outcome.LOST}  # the last ACK may get lost
    assert sent <= 2 * 17 + 64 + int(windowsize) * transfer.repeats + 2
    if transfer.outcome is Outcome.DONE:
        assert bytes(client.content) == content
    else:
        assert client.is_done or loss > 0


@pytest.mark.parametrize("size", [8 * 65_535 + 1, 8 * 65_536, 8 * 65_537])
def test_block_numbers_wrap(size):
    content = file_of(size)
    client, transfer, _ = play(content, {"blksize": "8", "windowsize": "16"})
    assert bytes(client.content) == content
    assert transfer.outcome is Outcome.DONE


def test_exact_multiple_ends_with_an_empty_block():
    client, _, sent = play(file_of(1024), {})
    assert client.block == 3
    assert sent == 3


@pytest.mark.parametrize("asked", [{}, {"blksize": "1468", "windowsize": "16"}])
def test_silent_peer_gets_three_datagrams_and_is_reaped(asked):
    content = file_of(100_000)
    terms = negotiate(asked, size=len(content))
    transfer = transfer_of(content, terms)
    out, now = transfer.start(0.0), 0.0
    while transfer.outcome is None:
        now = transfer.deadline()
        out += transfer.on_time(now)
    assert transfer.outcome is Outcome.LOST
    assert len(out) == 3
    assert sum(map(len, out)) <= 3 * (terms.blksize + 4)
    assert now <= 15


def test_peer_that_goes_silent_later_is_reaped_too():
    transfer = transfer_of(file_of(100_000), Terms())
    transfer.start(0.0)
    transfer.on_ack(1, 1.0)
    count, now = 0, 1.0
    while transfer.outcome is None:
        now = transfer.deadline()
        count += len(transfer.on_time(now))
    assert count == 4
    assert now <= 15


def test_duplicate_and_impossible_acks_cause_nothing():
    transfer = transfer_of(file_of(100_000), Terms())
    transfer.start(0.0)
    assert len(transfer.on_ack(1, 0.1)) == 1
    for block in (1, 0, 3, 9, 65535):
        assert transfer.on_ack(block, 0.2) == []


def test_wrong_first_ack_does_not_open_the_flow():
    transfer = transfer_of(file_of(1000), Terms(accepted={"tsize": "1000"}))
    transfer.start(0.0)
    assert transfer.on_ack(1, 0.1) == []
    assert len(transfer.on_ack(0, 0.1)) == 1


def test_gap_in_a_window_goes_back():
    transfer = transfer_of(file_of(100_000), Terms(windowsize=8, accepted={"windowsize": "8"}))
    transfer.start(0.0)
    assert len(transfer.on_ack(0, 0.1)) == 8
    again = transfer.on_ack(3, 0.2)
    assert [struct.unpack_from("!H", data, 2)[0] for data in again] == [*range(4, 12)]


def test_gaps_without_end_use_up_their_budget():
    """A client that acknowledges each block of a window by itself would be sent every window many times."""
    transfer = transfer_of(file_of(512 * 200), Terms(windowsize=16, accepted={"windowsize": "16"}))
    transfer.start(0.0)
    sent = len(transfer.on_ack(0, 0.1))
    for block in range(1, 201):
        sent += len(transfer.on_ack(block, 0.1))
        if transfer.deadline() is not None and transfer._sent < block + 1:
            sent += len(transfer.on_time(transfer.deadline()))
    assert sent <= 2 * 201 + 64 + 16


def test_file_that_shrinks_is_an_error_and_not_a_short_file():
    content = bytearray(file_of(2000))
    transfer = transfer_of(content, Terms())
    transfer.start(0.0)
    del content[700:]
    out = transfer.on_ack(1, 0.1)
    assert out[0][:2] == b"\0\5"
    assert transfer.outcome is Outcome.CHANGED
