"""IPv6 router advertisements that tell boot programs "there is no IPv6 here, go on" (RFC 4861 §4.2).

iPXE asks for routers and waits about 15 seconds when nobody answers. The smallest answer ends the wait: router
lifetime 0 (we are no default router), neither the managed nor the other flag (no DHCPv6), and no prefix unless one is
given. So an installed system that hears it changes nothing. Decision 10.
"""

import asyncio
import logging
import socket
import struct
from ipaddress import IPv6Network

from pxe.errors import ListenFault, MalformedPacket
from pxe.limits import KeyedRate

log = logging.getLogger(__name__)

INTERVAL_S = 60.0
_ALL_NODES = "ff02::1"
_ALL_ROUTERS = "ff02::2"
_SOLICITATION = 133
_ADVERTISEMENT = 134
_ICMP6_FILTER = 1  # Linux; not in the socket module of every Python
_VALID_S = 3600
_READS_PER_WAKE = 16


def advertisement(prefix: IPv6Network | None = None) -> bytes:
    """The ICMPv6 message with checksum 0, which the kernel fills in. prefix: a /64 for autonomous addresses."""
    message = struct.pack("!BBHBBHII", _ADVERTISEMENT, 0, 0, 64, 0, 0, 0, 0)
    if prefix is not None:
        on_link_and_autonomous = 0xC0
        message += struct.pack("!BBBBIII", 3, 4, prefix.prefixlen, on_link_and_autonomous, _VALID_S, _VALID_S, 0)
        message += prefix.network_address.packed
    return message


def check_solicitation(data: bytes) -> None:
    """Raises MalformedPacket unless data is a router solicitation (RFC 4861 §6.1.1, as far as the kernel did not
    check).
    """
    if len(data) < 8 or data[0] != _SOLICITATION or data[1] != 0:
        raise MalformedPacket("not a router solicitation")
    at = 8
    while at < len(data):
        if at + 2 > len(data) or data[at + 1] == 0 or at + 8 * data[at + 1] > len(data):
            raise MalformedPacket("an option of the solicitation has no proper length")
        at += 8 * data[at + 1]


class RouterAdvertiser:
    """Advertises on any number of interfaces. All methods run on the event loop's thread."""

    def __init__(self, *, prefix: IPv6Network | None = None) -> None:
        self._message = advertisement(prefix)
        self._sockets: dict[str, socket.socket] = {}
        self._rate = KeyedRate(per_s=20, burst=100)
        self._timer: asyncio.TimerHandle | None = None

    def open(self, interface: str) -> None:
        """Raises ListenFault."""
        opened = _listen(interface)
        self._sockets[interface] = opened
        loop = asyncio.get_running_loop()
        loop.add_reader(opened, self._on_solicitation, interface, opened)
        self._send(interface, opened)
        if self._timer is None:
            self._timer = loop.call_later(INTERVAL_S, self._on_timer)

    def close(self, interface: str) -> None:
        opened = self._sockets.pop(interface, None)
        if opened is not None:
            asyncio.get_running_loop().remove_reader(opened)
            opened.close()

    def stop(self) -> None:
        for interface in list(self._sockets):
            self.close(interface)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_timer(self) -> None:
        for interface, opened in self._sockets.items():
            self._send(interface, opened)
        self._timer = asyncio.get_running_loop().call_later(INTERVAL_S, self._on_timer)

    def _on_solicitation(self, interface: str, opened: socket.socket) -> None:
        for _ in range(_READS_PER_WAKE):
            try:
                data, _peer = opened.recvfrom(1500)
                check_solicitation(data)
            except BlockingIOError:
                return
            except (OSError, MalformedPacket) as fault:
                log.debug("router solicitation ignored interface=%s why=%s", interface, fault)
                continue
            if self._rate.allows(interface, asyncio.get_running_loop().time()):
                self._send(interface, opened)

    def _send(self, interface: str, opened: socket.socket) -> None:
        """To all nodes: the one who asked may have no address to answer to yet."""
        try:
            opened.sendto(self._message, (_ALL_NODES, 0, 0, socket.if_nametoindex(interface)))
        except OSError as fault:  # no link-local address yet: the next solicitation or timer tries again
            log.debug("router advertisement not sent interface=%s fault=%s", interface, fault)


def _listen(interface: str) -> socket.socket:
    try:
        opened = socket.socket(socket.AF_INET6, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_ICMPV6)
    except OSError as cause:
        raise ListenFault(f"router advertisements: no raw IPv6 socket on {interface}: {cause.strerror}") from cause
    try:
        index = socket.if_nametoindex(interface)
        opened.setblocking(False)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")
        blocked = bytearray(b"\xff" * 32)  # one bit per ICMPv6 type, set = blocked (RFC 3542 §3.2)
        blocked[_SOLICITATION >> 3] &= ~(1 << (_SOLICITATION & 7)) & 0xFF
        opened.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, bytes(blocked))
        for hops in (socket.IPV6_MULTICAST_HOPS, socket.IPV6_UNICAST_HOPS):
            opened.setsockopt(socket.IPPROTO_IPV6, hops, 255)
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
        group = socket.inet_pton(socket.AF_INET6, _ALL_ROUTERS) + struct.pack("@I", index)
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group)
    except OSError as cause:
        opened.close()
        raise ListenFault(f"router advertisements: not possible on {interface}: {cause.strerror}") from cause
    return opened
