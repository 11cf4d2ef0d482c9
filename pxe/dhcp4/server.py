"""Moves DHCP datagrams: sockets, batches, the disk. What to say is decided in `conversation`.

Packets that arrive while a batch is being written wait for the next one, at least two milliseconds' worth of them, so
the disk is asked once for many leases; replies leave after the commit. When the disk refuses, the batch is taken back
and answered again with promises that are on the disk already.
"""

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from pxe import sockets
from pxe.dhcp4 import conversation
from pxe.dhcp4 import options as opt
from pxe.dhcp4 import packet as frame
from pxe.dhcp4.classify import classify
from pxe.dhcp4.conversation import Answer, Network, Question
from pxe.dhcp4.notes import Notes
from pxe.dhcp4.packet import Packet
from pxe.errors import MalformedPacket, PxeError, StorageFault
from pxe.limits import KeyedRate
from pxe.needs import BootDirectory, Journal, LeaseBook
from pxe.types import BootPlan, Client, Lease, Stage

log = logging.getLogger(__name__)

_ANYWHERE = IPv4Address(0)
_GATHER_S = 0.002
_READS_PER_WAKE = 64
_QUEUE_LIMIT = 4096
_PLANS_LIMIT = 512
_BIGGEST = 4096


@dataclass(slots=True)
class Counters:
    """What happened to packets since the start."""

    received: int = 0
    malformed: int = 0
    not_for_us: int = 0
    limited: int = 0
    overflowed: int = 0
    answered: int = 0
    silent: int = 0
    unsent: int = 0
    storage_faults: int = 0


@dataclass(slots=True)
class _Waiting:
    request: Packet
    client: Client
    plan: BootPlan | None
    net: Network
    interface: str


class DhcpServer:
    """Answers on any number of interfaces; they may come and go. All methods run on the event loop's thread."""

    def __init__(
        self,
        *,
        plans: BootDirectory,
        leases: LeaseBook,
        journal: Journal,
        clock: Callable[[], float],
        told: Callable[[Lease], None],
        port: int = 67,
    ) -> None:
        """clock: Unix seconds. told: hears of every lease that became durable. port: others than 67 are for tests."""
        self.counters = Counters()
        self.storage_fault = ""  # why the disk refused the last batch; empty once it takes one again
        self._plans = plans
        self._leases = leases
        self._notes = Notes(journal)
        self._clock = clock
        self._told = told
        self._port = port
        self._sockets: dict[str, socket.socket] = {}
        self._networks: Mapping[str, Sequence[Network]] = {}
        self._queue: deque[_Waiting] = deque()
        self._rate = KeyedRate(per_s=10, burst=20)
        self._strangers = KeyedRate(per_s=0.1, burst=1)
        self._asking: set[asyncio.Task[None]] = set()
        self._batch = asyncio.Lock()
        self._writer: asyncio.Task[None] | None = None

    async def serve(self, build: Callable[[], Mapping[str, Sequence[Network]]]) -> None:
        """Change what is served. build: gives networks by interface; called while no batch is being written, so that it
        may take the leases over from the books in use.
        """
        async with self._batch:
            self._networks = build()

    def open(self, interface: str) -> None:
        """Raises ListenFault."""
        opened = sockets.udp(what="DHCP", interface=interface, address=_ANYWHERE, port=self._port, broadcast=True)
        self._sockets[interface] = opened
        asyncio.get_running_loop().add_reader(opened, self._readable, interface, opened)

    def close(self, interface: str) -> None:
        opened = self._sockets.pop(interface, None)
        if opened is not None:
            asyncio.get_running_loop().remove_reader(opened)
            opened.close()

    async def stop(self) -> None:
        """Answer what is in hand, then stop."""
        for interface in list(self._sockets):
            asyncio.get_running_loop().remove_reader(self._sockets[interface])
        for task in list(self._asking):
            task.cancel()
        if self._writer is not None:
            await self._writer
        for interface in list(self._sockets):
            self._sockets.pop(interface).close()

    # -- in

    def _readable(self, interface: str, opened: socket.socket) -> None:
        for _ in range(_READS_PER_WAKE):
            try:
                data, _source = opened.recvfrom(_BIGGEST)
            except BlockingIOError:
                return
            except OSError as fault:
                log.info("dhcp receive failed interface=%s fault=%s", interface, fault)
                return
            self.counters.received += 1
            try:
                self._on_packet(data, interface)
            except MalformedPacket as fault:
                self.counters.malformed += 1
                log.info("dhcp packet malformed interface=%s size=%d why=%s", interface, len(data), fault)
            except Exception:  # a loop top: one packet must not silence DHCP
                log.exception("dhcp packet could not be handled interface=%s", interface)

    def _on_packet(self, data: bytes, interface: str) -> None:
        request = frame.parse(data)
        kind = opt.message_type(request.options)
        if request.op != frame.BOOTREQUEST or not request.is_ethernet:
            self._watch_for_rogue(request, interface)
            self.counters.not_for_us += 1
            return
        if not self._rate.allows((request.mac, request.giaddr), self._clock()):
            self.counters.limited += 1
            return
        net = conversation.locate(request, self._networks.get(interface, ()))
        if net is None:
            self.counters.not_for_us += 1
            log.debug("dhcp packet of no subnet interface=%s relay=%s", interface, request.giaddr)
            return
        client = classify(request)
        item = _Waiting(request, client, None, net, interface)
        self._notes.request(item.client, kind, subnet=item.net.place.subnet.name, interface=interface)
        if client.stage is Stage.OTHER:
            self._enqueue(item)
        elif len(self._asking) < _PLANS_LIMIT:
            task = asyncio.get_running_loop().create_task(self._ask_plan(item))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)
        else:
            self.counters.overflowed += 1

    async def _ask_plan(self, item: _Waiting) -> None:
        lease = item.net.book.lease_of(item.client.mac)
        address = lease.address if lease is not None else None
        place = item.net.place
        item.plan = await self._plans.plan_for(
            item.client, address=address, subnet=place.subnet.name, server=place.server
        )
        self._enqueue(item)

    def _enqueue(self, item: _Waiting) -> None:
        if len(self._queue) >= _QUEUE_LIMIT:
            self._queue.popleft()  # the oldest client has asked again by now
            self.counters.overflowed += 1
        self._queue.append(item)
        if self._writer is None or self._writer.done():
            self._writer = asyncio.get_running_loop().create_task(self._write_batches())

    def _watch_for_rogue(self, packet: Packet, interface: str) -> None:
        if packet.op == frame.BOOTREPLY and self._strangers.allows(interface, self._clock()):
            log.warning("dhcp reply of another server seen interface=%s server=%s", interface, packet.siaddr)

    # -- out

    async def _write_batches(self) -> None:
        await asyncio.sleep(_GATHER_S)
        while self._queue:
            async with self._batch:
                batch = [item for item in self._queue if self._relocate(item)]
                self._queue.clear()
                try:
                    await self._answer_batch(batch)
                except Exception:  # a loop top: clients ask again
                    log.exception("dhcp batch could not be answered size=%d", len(batch))

    def _relocate(self, item: _Waiting) -> bool:
        """Look the network up again: it may have changed while the plan was asked for."""
        net = conversation.locate(item.request, self._networks.get(item.interface, ()))
        if net is not None:
            item.net = net
        return net is not None

    async def _answer_batch(self, batch: Sequence[_Waiting]) -> None:
        """Answers that promise nothing new leave at once, the others after the commit."""
        promises: list[tuple[_Waiting, Answer]] = []
        for item in batch:
            found = self._decide(item, durable=True)
            if found.changes:
                promises.append((item, found))
            else:
                self._finish(item, found)
        if not promises:
            return
        changes = [change for _, found in promises for change in found.changes]
        try:
            await asyncio.get_running_loop().run_in_executor(None, self._leases.apply, changes)
        except StorageFault as fault:
            self.counters.storage_faults += 1
            self.storage_fault = str(fault)
            log.error("leases not written count=%d fault=%s", len(changes), fault)  # noqa: TRY400  (no bug of ours)
            for item, found in reversed(promises):
                item.net.book.undo(found.changes)
            promises = [(item, self._decide(item, durable=False)) for item, _ in promises]
        else:
            self.storage_fault = ""
        for item, found in promises:
            self._finish(item, found)

    def _decide(self, item: _Waiting, *, durable: bool) -> Answer:
        try:
            return conversation.answer(
                Question(
                    request=item.request,
                    client=item.client,
                    plan=item.plan,
                    net=item.net,
                    now=self._clock(),
                    durable=durable,
                )
            )
        except PxeError as fault:
            self.counters.malformed += 1
            return conversation.silence(str(fault))

    def _finish(self, item: _Waiting, found: Answer) -> None:
        if found.kind is not None:
            self._send(item, found)
        elif found.changes:
            log.warning("dhcp lease ended mac=%s why=%s", item.client.mac, found.why)
        else:
            self.counters.silent += 1
            log.info("dhcp silent mac=%s why=%s", item.client.mac, found.why)
        if found.lease is not None:
            self._told(found.lease)

    def _send(self, item: _Waiting, found: Answer) -> None:
        opened = self._sockets.get(item.interface)
        if opened is None:
            return
        host, port = found.to
        if self._port != conversation.RELAY_PORT:
            port = self._port + (port - conversation.RELAY_PORT)
        try:
            sockets.send_from(opened, found.reply, source=item.net.place.server, to=(str(host), port))
        except OSError as fault:
            self.counters.unsent += 1
            log.info("dhcp reply not sent mac=%s to=%s fault=%s", item.client.mac, host, fault)
            return
        self.counters.answered += 1
        self._notes.reply(item.client, found, plan=item.plan, subnet=item.net.place.subnet.name)
