"""Moves DNS messages over UDP and TCP. TCP clients are few, short, and cut off when they idle (RFC 7766 §6)."""

import asyncio
import logging
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address

from pxe import sockets
from pxe.dns.responder import Responder
from pxe.limits import KeyedRate

log = logging.getLogger(__name__)

_READS_PER_WAKE = 64
_IDLE_S = 5.0
_TCP_CLIENTS = 64
_QUERIES_PER_CONNECTION = 100


@dataclass(slots=True)
class _Listener:
    udp: socket.socket
    tcp: asyncio.Server


class DnsServer:
    """Answers on any number of addresses. All methods run on the event loop's thread."""

    def __init__(self, responder: Responder, *, port: int = 53) -> None:
        self.responder = responder
        self._port = port
        self._listeners: dict[tuple[str, IPv4Address], _Listener] = {}
        self._tcp_clients = 0
        self._rate = KeyedRate(per_s=6000, burst=6000)

    async def open(self, interface: str, address: IPv4Address) -> None:
        """Raises ListenFault."""
        udp = sockets.udp(what="DNS", interface=interface, address=address, port=self._port)
        try:
            listening = sockets.tcp(what="DNS", interface=interface, address=address, port=self._port)
        except BaseException:
            udp.close()
            raise
        tcp = await asyncio.start_server(self._on_connection, sock=listening, limit=65536, backlog=16)
        self._listeners[interface, address] = _Listener(udp, tcp)
        asyncio.get_running_loop().add_reader(udp, self._readable, udp)

    def close(self, interface: str, address: IPv4Address) -> None:
        listener = self._listeners.pop((interface, address), None)
        if listener is not None:
            asyncio.get_running_loop().remove_reader(listener.udp)
            listener.udp.close()
            listener.tcp.close()

    def stop(self) -> None:
        for interface, address in list(self._listeners):
            self.close(interface, address)

    def _readable(self, udp: socket.socket) -> None:
        now = asyncio.get_running_loop().time()
        for _ in range(_READS_PER_WAKE):
            try:
                data, peer = udp.recvfrom(4096)
                if not self._rate.allows(peer[0], now):
                    continue
                reply = self._answer(data, peer[0], over_tcp=False)
                if reply is not None:
                    udp.sendto(reply, peer)
            except BlockingIOError:
                return
            except OSError as fault:
                log.debug("dns reply not sent fault=%s", fault)

    def _answer(self, data: bytes, peer: str, *, over_tcp: bool) -> bytes | None:
        try:
            return self.responder.answer(data, over_tcp=over_tcp)
        except Exception:  # a loop top: one query must not silence DNS
            log.exception("dns query could not be answered peer=%s", peer)
            return None

    async def _on_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._tcp_clients >= _TCP_CLIENTS:
            writer.transport.abort()
            return
        self._tcp_clients += 1
        try:
            await self._converse(reader, writer)
        except (OSError, EOFError, TimeoutError) as fault:
            log.debug("dns connection ended fault=%r", fault)
        finally:
            self._tcp_clients -= 1
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = str(writer.get_extra_info("peername", ("?",))[0])
        for _ in range(_QUERIES_PER_CONNECTION):
            async with asyncio.timeout(_IDLE_S):
                size = int.from_bytes(await reader.readexactly(2), "big")
                reply = self._answer(await reader.readexactly(size), peer, over_tcp=True)
                if reply is None:
                    return
                writer.write(len(reply).to_bytes(2, "big") + reply)
                await writer.drain()
