"""Opens the sockets of the servers, each bound to one interface, so that no other network can reach them."""

import errno
import socket
import struct
from ipaddress import IPv4Address

from pxe.errors import ListenFault

_IP_PKTINFO = 8  # Linux; not in the socket module of Python 3.11
_PKTINFO = struct.Struct("=I4s4s")
_REASONS = {
    errno.EADDRINUSE: "another program listens there",
    errno.EADDRNOTAVAIL: "the address is not on this machine",
    errno.ENODEV: "there is no such interface",
    errno.EPERM: "this process may not",
    errno.EACCES: "this process may not",
}


def udp(*, what: str, interface: str, address: IPv4Address, port: int, broadcast: bool = False) -> socket.socket:
    """A non-blocking UDP socket. Raises ListenFault that names what, where and why."""
    return _open(socket.SOCK_DGRAM, what, interface, address, port, broadcast=broadcast)


def tcp(*, what: str, interface: str, address: IPv4Address, port: int) -> socket.socket:
    """A non-blocking TCP socket, bound but not yet listening. Raises ListenFault."""
    return _open(socket.SOCK_STREAM, what, interface, address, port, broadcast=False)


def _open(
    kind: socket.SocketKind, what: str, interface: str, address: IPv4Address, port: int, *, broadcast: bool
) -> socket.socket:
    opened = socket.socket(socket.AF_INET, kind | socket.SOCK_CLOEXEC)
    try:
        opened.setblocking(False)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")
        if kind is socket.SOCK_STREAM:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        elif port:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        if broadcast:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        opened.bind((str(address), port))
    except OSError as cause:
        opened.close()
        reason = _REASONS.get(cause.errno or 0, cause.strerror or str(cause))
        transport = "tcp" if kind is socket.SOCK_STREAM else "udp"
        raise ListenFault(
            f"{what}: cannot listen on {interface} {address} {transport} port {port}: {reason}"
        ) from cause
    return opened


def send_from(opened: socket.socket, data: bytes, *, source: IPv4Address, to: tuple[str, int]) -> None:
    """Send a datagram with `source` as its sender, whatever other addresses the interface has. Raises OSError."""
    control = [(socket.IPPROTO_IP, _IP_PKTINFO, _PKTINFO.pack(0, source.packed, b"\0\0\0\0"))]
    opened.sendmsg([data], control, 0, to)
