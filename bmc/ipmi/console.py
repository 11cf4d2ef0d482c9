"""Serial over LAN in the session that the commands use.

pyghmi's own Console waits on pyghmi's thread for each acknowledgement, so one slow console would hold up every BMC;
here `bmc.rmcp.sol` does the acknowledging and the thread's timers the repeating.
"""

import logging
import struct
import time
from collections.abc import Callable
from concurrent.futures import Future

from pyghmi.exceptions import IpmiException

from bmc.errors import Nonsense, Unreachable
from bmc.ipmi.channel import Channel
from bmc.ipmi.loop import PyghmiLoop, Timer
from bmc.ipmi.session import GuardedSession
from bmc.rmcp.errors import MalformedPacket
from bmc.rmcp.message import Code, NetFn, Request, Response
from bmc.rmcp.packet import PayloadType
from bmc.rmcp.sol import DEACTIVATED, SolLink, SolPayload

log = logging.getLogger(__name__)

# Instance 1; encrypted and authenticated, no alerts, CTS asserted (§24.1).
ACTIVATE = Request(netfn=NetFn.APP, command=0x48, data=bytes([PayloadType.SOL, 1, 0xC0, 0, 0, 0]))
DEACTIVATE = Request(netfn=NetFn.APP, command=0x49, data=bytes([PayloadType.SOL, 1, 0, 0, 0, 0]))
INSTANCE_INFO = Request(netfn=NetFn.APP, command=0x4B, data=bytes([PayloadType.SOL, 1]))
ALREADY_ACTIVE = 0x80
WATCH_S = 20.0
CLOSE_S = 3.0
LEAST_DATA, MOST_DATA = 16, 200


class IpmiConsole:
    """A `ConsoleStream`. `on_bytes` is called on pyghmi's thread and must return quickly."""

    def __init__(self, channel: Channel, loop: PyghmiLoop, on_bytes: Callable[[bytes], None]) -> None:
        self._channel = channel
        self._loop = loop
        self._on_bytes = on_bytes
        self._session: GuardedSession | None = None
        self._link: SolLink | None = None
        self._timer: Timer | None = None
        self._is_open = False

    def attach(self, activation: bytes) -> None:
        """On pyghmi's thread, after the BMC accepted ACTIVATE with this answer."""
        _, _, outbound, udp_port = struct.unpack_from("<IHHH", activation)
        session = self._channel.ready_session()
        if session is None:
            raise Unreachable("The session ended while the console was opened.")
        if udp_port not in (session.port, int.from_bytes(struct.pack(">H", session.port), "little")):
            raise Nonsense("The BMC wants to send its console to another UDP port.")
        if self._channel.on_lost is not None:
            self._channel.on_lost()  # a console of ours that this one replaces
        self._link = SolLink(max_data=min(max(outbound - 4, LEAST_DATA), MOST_DATA))
        self._session, self._is_open = session, True
        session.sol_handler = self._received
        self._channel.on_lost = self._ended
        self._watch()

    def _watch(self) -> None:
        """Some BMCs say nothing when they end a console; so ask now and then who has it."""
        if not self._is_open:
            return
        asked = self._channel.submit(INSTANCE_INFO, deadline=time.monotonic() + WATCH_S, may_repeat=False)
        asked.add_done_callback(self._watched)
        self._loop.call_at(time.monotonic() + WATCH_S, self._watch)

    def _watched(self, asked: "Future[Response]") -> None:
        """Without an answer nothing is known; `Channel.on_lost` tells when the session ends."""
        if asked.exception() is not None:
            return
        response = asked.result()
        owner = int.from_bytes(response.data[:4], "little")
        if self._session is not None and response.code == Code.OK and owner != self._session.sessionid:
            log.info("console is not ours any more")
            self._ended()

    @property
    def is_open(self) -> bool:
        return self._is_open

    def write(self, data: bytes) -> None:
        if not self._is_open:
            raise Unreachable("The console is closed.")
        self._loop.call(lambda: self._write(data))

    def close(self) -> None:
        if self._is_open:
            self._loop.call(self._ended)
            # Nobody waits for the answer; if it is lost the BMC drops the console with the session.
            self._channel.submit(DEACTIVATE, deadline=time.monotonic() + CLOSE_S)

    def _write(self, data: bytes) -> None:
        if self._link is not None:
            self._send(self._link.write(data, time.monotonic()))

    def _received(self, payload: bytearray | dict[str, object]) -> None:
        if self._link is None or not isinstance(payload, bytearray):
            self._ended()  # pyghmi reports its faults as a dict
            return
        try:
            read = SolPayload.decode(bytes(payload))
        except MalformedPacket:
            return
        if read.status & DEACTIVATED:
            log.info("console was ended by the bmc")
            self._ended()
            return
        fresh, answers = self._link.on_payload(read, time.monotonic())
        self._send(answers)
        if fresh:
            self._on_bytes(fresh)

    def _send(self, payloads: list[SolPayload]) -> None:
        if self._session is None or self._link is None:
            return
        try:
            for payload in payloads:
                self._session.send_payload(payload.encode(), payload_type=PayloadType.SOL, retry=False)
        except IpmiException:
            self._ended()
            return
        if self._timer is not None:
            self._timer.cancel()
        deadline = self._link.deadline()
        self._timer = None if deadline is None else self._loop.call_at(deadline, self._on_time)

    def _on_time(self) -> None:
        if self._link is None:
            return
        self._send(self._link.on_time(time.monotonic()))
        if self._link.is_lost:
            log.info("console lost")
            self._ended()

    def _ended(self) -> None:
        if self._session is not None:
            self._session.sol_handler = None
        if self._timer is not None:
            self._timer.cancel()
        self._session = self._link = self._timer = None
        self._is_open = False
