"""Moves TFTP datagrams: one listening socket per address, one socket per transfer, one shared clock.

Caps: transfers in all, transfers per client, transfers per client that never answered (forged addresses).
"""

import asyncio
import logging
import os
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address

from pxe import sockets
from pxe.errors import FileMissing, FileRefused, ListenFault, MalformedPacket
from pxe.needs import EventValue, FileSource, Journal
from pxe.tftp import packet
from pxe.tftp.negotiate import negotiate
from pxe.tftp.packet import Ack, ErrorCode, Failure, ReadRequest, WriteRequest
from pxe.tftp.transfer import Outcome, Transfer
from pxe.types import Mac

log = logging.getLogger(__name__)

_TICK_S = 0.2
_READS_PER_WAKE = 32
_LONGEST_S = 600.0
_BIGGEST = 2048
_PROBE = "it only wanted to know the size"  # UEFI asks with tsize first, ends that with an error, then fetches

Peer = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    transfers: int = 1000
    per_client: int = 16
    silent_per_client: int = 4


@dataclass(slots=True, kw_only=True)
class _Session:
    transfer: Transfer
    socket: socket.socket
    peer: Peer
    name: str
    size: int
    file: int
    asked_size: bool
    started: float


class TftpServer:
    """Serves one FileSource on any number of addresses. All methods run on the event loop's thread."""

    def __init__(
        self,
        *,
        files: FileSource,
        journal: Journal,
        mac_of: Callable[[IPv4Address], Mac | None],
        port: int = 69,
        caps: Caps | None = None,
    ) -> None:
        """mac_of: whose address this is, for the journal."""
        self._files = files
        self._journal = journal
        self._mac_of = mac_of
        self._port = port
        self._caps = caps or Caps()
        self._listeners: dict[tuple[str, IPv4Address], socket.socket] = {}
        self._sessions: dict[tuple[IPv4Address, Peer], _Session] = {}
        self._clients: Counter[str] = Counter()
        self._ticking = False

    @property
    def active(self) -> int:
        return len(self._sessions)

    def open(self, interface: str, address: IPv4Address) -> None:
        """Raises ListenFault."""
        opened = sockets.udp(what="TFTP", interface=interface, address=address, port=self._port)
        self._listeners[interface, address] = opened
        asyncio.get_running_loop().add_reader(opened, self._on_request, interface, address, opened)

    def close(self, interface: str, address: IPv4Address) -> None:
        opened = self._listeners.pop((interface, address), None)
        if opened is not None:
            asyncio.get_running_loop().remove_reader(opened)
            opened.close()

    def stop(self) -> None:
        for interface, address in list(self._listeners):
            self.close(interface, address)
        for key in list(self._sessions):
            self._end(key, "the server stops")

    # -- requests

    def _on_request(self, interface: str, address: IPv4Address, opened: socket.socket) -> None:
        for _ in range(_READS_PER_WAKE):
            received = _receive(opened)
            if received is None:
                return
            data, peer = received
            try:
                self._handle_request(interface, address, opened, data, peer)
            except MalformedPacket as fault:
                log.info("tftp packet malformed peer=%s why=%s", peer[0], fault)
                if data[:2] == b"\0\1":
                    _send(opened, packet.error(ErrorCode.ILLEGAL, "malformed request"), peer)
            except Exception:  # a loop top: one request must not end the others
                log.exception("tftp request could not be handled peer=%s", peer[0])

    def _handle_request(
        self, interface: str, address: IPv4Address, opened: socket.socket, data: bytes, peer: Peer
    ) -> None:
        request = packet.parse(data)
        if isinstance(request, WriteRequest):
            _send(opened, packet.error(ErrorCode.ACCESS, "read only"), peer)
        if not isinstance(request, ReadRequest) or (address, peer) in self._sessions:
            return  # a repeated request is answered by the clock of the transfer that it began
        if request.mode != "octet":
            _send(opened, packet.error(ErrorCode.ILLEGAL, "only octet mode is served"), peer)
            return
        if not self._has_room(peer):
            log.info("tftp refused peer=%s why=too many transfers", peer[0])
            return
        self._begin(interface, address, opened, request, peer)

    def _has_room(self, peer: Peer) -> bool:
        count = self._clients[peer[0]]
        if len(self._sessions) >= self._caps.transfers or count >= self._caps.per_client:
            return False
        if count < self._caps.silent_per_client:
            return True
        silent = sum(s.peer[0] == peer[0] and not s.transfer.has_answered for s in self._sessions.values())
        return silent < self._caps.silent_per_client

    def _begin(
        self, interface: str, address: IPv4Address, opened: socket.socket, request: ReadRequest, peer: Peer
    ) -> None:
        mac = self._mac_of(IPv4Address(peer[0]))
        try:
            file = self._files.open(request.name.removeprefix("/"))
        except (FileMissing, FileRefused) as fault:
            code = ErrorCode.NOT_FOUND if isinstance(fault, FileMissing) else ErrorCode.ACCESS
            _send(opened, packet.error(code, "no such file"), peer)
            log.info("tftp failed mac=%s file=%r why=no such file", mac, request.name)
            told: dict[str, EventValue] = {"file": request.name[:128], "address": peer[0]}
            self._journal.record("tftp.failed", mac, f"{request.name[:128]}: no such file", told)
            return
        try:
            own = sockets.udp(what="TFTP", interface=interface, address=address, port=0)
        except ListenFault as fault:
            os.close(file)
            log.warning("tftp transfer not started fault=%s", fault)
            return
        loop = asyncio.get_running_loop()
        now = loop.time()
        size = os.fstat(file).st_size
        terms = negotiate(request.options, size=size)
        transfer = Transfer(size=size, read=partial(_pread, file), terms=terms, now=now)
        session = _Session(
            transfer=transfer,
            socket=own,
            peer=peer,
            name=request.name[:128],
            size=size,
            file=file,
            asked_size="tsize" in terms.accepted,
            started=now,
        )
        key = (address, peer)
        self._sessions[key] = session
        self._clients[peer[0]] += 1
        loop.add_reader(own, self._on_transfer, key, session)
        told = {"file": session.name, "size": size, "address": peer[0], "blksize": terms.blksize}
        self._journal.record("tftp.start", mac, f"begins to send {session.name}", told)
        self._emit(session, transfer.start(now))
        if not self._ticking:
            self._ticking = True
            loop.call_later(_TICK_S, self._tick)

    # -- transfers

    def _on_transfer(self, key: tuple[IPv4Address, Peer], session: _Session) -> None:
        now = asyncio.get_running_loop().time()
        for _ in range(_READS_PER_WAKE):
            received = _receive(session.socket)
            if received is None:
                return
            data, peer = received
            if peer != session.peer:
                _send(session.socket, packet.error(ErrorCode.UNKNOWN_TRANSFER, "not your transfer"), peer)
                continue
            try:
                message = packet.parse(data)
            except MalformedPacket:
                continue
            if isinstance(message, Failure):
                is_probe = session.asked_size and not session.transfer.has_answered
                self._end(key, _PROBE if is_probe else f"the client gave up: {message.message[:80] or message.code}")
                return
            if isinstance(message, Ack):
                self._emit(session, session.transfer.on_ack(message.block, now))
                if session.transfer.outcome is not None:
                    self._end(key, "")
                    return

    def _tick(self) -> None:
        now = asyncio.get_running_loop().time()
        for key, session in list(self._sessions.items()):
            self._emit(session, session.transfer.on_time(now))
            if session.transfer.outcome is not None:
                self._end(key, session.transfer.outcome.value)
            elif now - session.started > _LONGEST_S:
                self._end(key, "it took too long")
        self._ticking = bool(self._sessions)
        if self._ticking:
            asyncio.get_running_loop().call_later(_TICK_S, self._tick)

    def _emit(self, session: _Session, datagrams: list[bytes]) -> None:
        for datagram in datagrams:
            _send(session.socket, datagram, session.peer)

    def _end(self, key: tuple[IPv4Address, Peer], why: str) -> None:
        session = self._sessions.pop(key)
        loop = asyncio.get_running_loop()
        loop.remove_reader(session.socket)
        session.socket.close()
        os.close(session.file)
        host = session.peer[0]
        self._clients[host] -= 1
        if not self._clients[host]:
            del self._clients[host]
        self._tell(session, why, loop.time() - session.started)

    def _tell(self, session: _Session, why: str, duration_s: float) -> None:
        is_done = session.transfer.outcome is Outcome.DONE
        if why == _PROBE:
            return
        mac = self._mac_of(IPv4Address(session.peer[0]))
        sent = session.transfer.sent_bytes
        percent = 100 * sent // session.size if session.size else 100
        message = f"sent {session.name}" if is_done else f"{session.name} stopped at {percent}%: {why}"
        told: dict[str, EventValue] = {
            "file": session.name,
            "size": session.size,
            "sent": sent,
            "address": session.peer[0],
            "duration_s": round(duration_s, 3),
            "repeats": session.transfer.repeats,
        }
        log.info("tftp %s mac=%s file=%s sent=%d why=%s", "done" if is_done else "failed", mac, session.name, sent, why)
        self._journal.record("tftp.done" if is_done else "tftp.failed", mac, message, told)


def _pread(file: int, offset: int, size: int) -> bytes:
    return os.pread(file, size, offset)


def _receive(opened: socket.socket) -> tuple[bytes, Peer] | None:
    try:
        data, peer = opened.recvfrom(_BIGGEST)
    except OSError:  # nothing there, or an ICMP error of an earlier datagram
        return None
    return data, (peer[0], peer[1])


def _send(opened: socket.socket, datagram: bytes, peer: Peer) -> None:
    try:
        opened.sendto(datagram, peer)
    except OSError as fault:  # full buffer or no route: the clock repeats it
        log.debug("tftp send failed peer=%s fault=%s", peer[0], fault)
