"""A BMC on a UDP socket. Many fit in one process: give them one `BmcLoop`, or let each have its own thread."""

import asyncio
import logging
import threading
import time
from collections.abc import Mapping
from typing import Self, cast
from uuid import UUID

from bmc.rmcp.message import Request, Response
from bmc.types import LanInfo
from bmc.virtual.commands import COMMANDS
from bmc.virtual.controller import GUEST, Controller
from bmc.virtual.faults import Faults, FaultyExecution, Hang
from bmc.virtual.needs import Machine
from bmc.virtual.sel import Event
from bmc.virtual.session_commands import SESSION_COMMANDS
from bmc.virtual.sessions import Datagram, Peer, Sessions

log = logging.getLogger(__name__)

START_S = 10.0


class BmcLoop:
    """An event loop on a thread of its own that serves any number of virtual BMCs."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="virtual-bmc", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class VirtualBmc:
    """One BMC. `start` binds address:udp_port (0 = any free port, then read `udp_port`)."""

    def __init__(
        self,
        machine: Machine,
        *,
        address: str,
        udp_port: int = 623,
        users: Mapping[str, str],
        guid: UUID,
        lan: LanInfo,
        serial: str,
        product: str,
        faults: Faults | None = None,
        loop: BmcLoop | None = None,
    ) -> None:
        self.address = address
        self.udp_port = udp_port
        self.controller = Controller(
            machine,
            commands=COMMANDS,
            users=users,
            guid=guid,
            lan=lan,
            udp_port=udp_port,
            serial=serial,
            product=product,
        )
        self.controller.console_sink = self._console_bytes
        self._execution = FaultyExecution(self.controller, faults or Faults())
        self._sessions = Sessions(self.controller, SESSION_COMMANDS, execute=self._execution.execute)
        self._sessions.before = self._execution.before
        self._given_loop = loop
        self._loop: BmcLoop | None = None
        self._endpoint: _Endpoint | None = None

    def start(self) -> None:
        self._loop = self._given_loop or BmcLoop()
        opening = asyncio.run_coroutine_threadsafe(self._open(), self._loop.loop)
        try:
            self._endpoint = opening.result(START_S)
        except OSError:
            self._close_own_loop()
            raise
        self.udp_port = self.controller.udp_port = self._endpoint.udp_port
        log.info("virtual bmc listens address=%s udp_port=%d", self.address, self.udp_port)

    async def _open(self) -> "_Endpoint":
        loop = asyncio.get_running_loop()
        _, endpoint = await loop.create_datagram_endpoint(
            lambda: _Endpoint(self._sessions, self._execution), local_addr=(self.address, self.udp_port)
        )
        if self._execution.faults.is_answering_elsewhere:
            endpoint.elsewhere, _ = await loop.create_datagram_endpoint(
                asyncio.DatagramProtocol, local_addr=(self.address, 0)
            )
        return endpoint

    def stop(self) -> None:
        if self._loop is None:
            return
        if self._endpoint is not None:
            asyncio.run_coroutine_threadsafe(self._endpoint.close(), self._loop.loop).result(START_S)
            self._endpoint = None
        self._close_own_loop()
        self.controller.machine.on_console(None)
        self.controller.close()

    def _close_own_loop(self) -> None:
        if self._loop is not None and self._given_loop is None:
            self._loop.close()
        self._loop = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def log_event(self, event: Event) -> None:
        """An entry for the system event log, for instance when the guest shut itself down."""
        self.controller.log_event(event)

    def guest_rebooted(self) -> None:
        """The guest restarted by itself: boot flags for one boot are used up."""
        self.controller.booted()

    def execute_for_guest(self, request: Request) -> Response:
        """A command that came by the guest's own KCS interface."""
        return self.controller.execute(request, GUEST)

    def drop_sessions(self) -> None:
        """As if the BMC had restarted: every session is gone."""
        with self.controller.lock:
            self._sessions.close_all()

    @property
    def executed(self) -> list[tuple[int, int]]:
        """The last commands that came over the network, as (network function, command)."""
        return self._execution.executed

    @property
    def most_answers_due(self) -> int:
        """How many requests were under way at once at most; 1 from a console that keeps to one conversation."""
        return self._execution.most_answers_due

    def set_faults(self, faults: Faults) -> None:
        self._execution.set(faults)

    def _console_bytes(self, data: bytes) -> None:
        loop, endpoint = self._loop, self._endpoint
        if loop is None or endpoint is None:
            return
        try:
            loop.loop.call_soon_threadsafe(endpoint.console_bytes, data)
        except RuntimeError:
            log.debug("serial bytes came after the loop was closed")


class _Endpoint(asyncio.DatagramProtocol):
    def __init__(self, sessions: Sessions, execution: FaultyExecution) -> None:
        self._sessions = sessions
        self._execution = execution
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.DatagramTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.elsewhere: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio's own class does not derive from DatagramTransport, whatever the documentation says.
        self._transport = cast("asyncio.DatagramTransport", transport)

    @property
    def udp_port(self) -> int:
        assert self._transport is not None
        port: int = self._transport.get_extra_info("sockname")[1]
        return port

    def datagram_received(self, data: bytes, addr: Peer) -> None:
        if self._execution.is_lost():
            return
        try:
            out = self._sessions.receive(data, (addr[0], addr[1]), time.monotonic())
        except Hang:
            return
        self._execution.answers_due += len(out)
        self._execution.most_answers_due = max(self._execution.most_answers_due, self._execution.answers_due)
        self._send(out, is_answer=True)

    def console_bytes(self, data: bytes) -> None:
        self._send(self._sessions.console_bytes(data, time.monotonic()))

    def _send(self, out: list[Datagram], *, is_answer: bool = False) -> None:
        for datagram, peer in out:
            if self._execution.is_lost():
                self._execution.answers_due -= is_answer
                continue
            spoiled = self._execution.spoil(datagram)
            if self._execution.faults.delay_s:
                self._loop.call_later(self._execution.faults.delay_s, self._transmit, spoiled, peer, is_answer)
            else:
                self._transmit(spoiled, peer, is_answer)
        self._arm()

    def _transmit(self, datagram: bytes, peer: Peer, is_answer: bool) -> None:  # noqa: FBT001  a timer calls it
        self._execution.answers_due -= is_answer
        transport = self.elsewhere or self._transport
        if transport is not None and not transport.is_closing():
            transport.sendto(datagram, peer)

    def _arm(self) -> None:
        """One timer, for the repetition of unacknowledged serial bytes."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._sessions.deadline()
        if deadline is not None:
            self._timer = self._loop.call_later(max(0.0, deadline - time.monotonic()), self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        self._send(self._sessions.on_time(time.monotonic()))

    async def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for transport in (self._transport, self.elsewhere):
            if transport is not None:
                transport.close()
        await asyncio.sleep(0)  # transports close their sockets in the next turn of the loop
